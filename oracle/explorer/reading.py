"""What several pages and the API read alike: records with their models, one request whole.

Between the index and who writes it down. Knows no route and no template.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from oracle.core.chronicle import Entry, EntryKind, ModelRecord, RequestRecord, Standing
from oracle.core.schema import ModelSchema
from oracle.core.types import bytes32
from oracle.errors import InputError, NotFound
from oracle.explorer.decoded import Decoded, decoded_input, decoded_result, schema_of
from oracle.storage.explorer_lookup import ExplorerLookup


@dataclass(frozen=True, slots=True)
class Whole:
    """One request with all that the index has of it."""

    record: RequestRecord
    model: ModelRecord | None
    schema: ModelSchema | None
    entries: Sequence[Entry]
    input: bytes
    result: bytes | None
    decoded_input: Decoded
    decoded_result: Decoded | None


async def whole(lookup: ExplorerLookup, request_id: bytes) -> Whole:
    """Raises NotFound."""
    record = await lookup.request(request_id)
    if record is None:
        raise NotFound(f"the index has no request 0x{request_id.hex()}")
    model = await lookup.model(record.model_id)
    entries = await lookup.entries(request_id)
    schema = schema_of(model)
    given = next((one.data for one in entries if one.kind is EntryKind.REQUESTED), b"")
    answers = [one.data for one in entries if one.kind is EntryKind.ANSWERED]
    result = answers[-1] if answers else None
    return Whole(
        record=record,
        model=model,
        schema=schema,
        entries=entries,
        input=given,
        result=result,
        decoded_input=decoded_input(schema, given),
        decoded_result=None if result is None else decoded_result(schema, given, result),
    )


async def models_of(
    lookup: ExplorerLookup, records: Iterable[RequestRecord]
) -> Mapping[bytes, ModelRecord]:
    """The models of some requests, by id."""
    return await lookup.models_of([one.model_id for one in records])


async def named_model(lookup: ExplorerLookup, reference: str) -> ModelRecord | None:
    """A model by its id or by its very name, the latest of them; None where nothing is asked.

    Raises:
        NotFound: there is none.
    """
    if not reference:
        return None
    try:
        found = await lookup.model(bytes32(reference))
    except InputError:
        found = await lookup.model_named(reference)
    if found is None:
        raise NotFound(f"there is no model {reference!r}")
    return found


def is_final(record: RequestRecord, now: int) -> bool:
    """Whether the answer cannot be disputed any more, as of the block that the index is as of."""
    if record.state is Standing.SETTLED:
        return True
    settles = record.settle_at
    return record.state is Standing.ANSWERED and settles is not None and now >= settles
