"""A registered model's file from whoever serves it, into this machine's store.

Responsible for where it is looked for, and for keeping nothing that is not what was registered: the
file's root is computed here and compared. Believes no place; judges no model.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from oracle.client import OracleClient
from oracle.client.trace_reader import ReadLimits
from oracle.core.model import ADD_AGAIN, Model
from oracle.core.types import Address, Tier
from oracle.errors import ModelFileError, NotFound, TraceUnavailable
from oracle.inference.content_store import sha256
from oracle.inference.model_library import ModelLibrary, root_of
from oracle.verify.places import FETCH_SECONDS, EndpointPrograms, Uri
from oracle.verify.sources import FileSource


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A model that is stored now. `source` is None where it was before; size in bytes."""

    model: Model
    source: str | None
    size: int


async def fetch_model(
    client: OracleClient,
    library: ModelLibrary,
    model: Model,
    endpoint: str | None = None,
    *,
    operator: Address | None = None,
    public_only: bool = False,
) -> FetchedModel:
    """Gets the file, unless it is here.

    Args:
        endpoint: whose; by default the registered URI, then every operator with an offer for it.
        operator: who asks, and is not asked itself.
        public_only: whether what others announce is not asked at private addresses.

    Raises:
        NotFound: nobody serves it; says of each place why not.
        InputError: `endpoint` is no http(s) URL.
        ModelFileError: the disk refuses.
    """
    root, tier = model.terms.program_root, model.terms.tier
    if library.has(root, tier):
        stored = await asyncio.to_thread(_read, library, root, tier)
        if stored is not None:
            return FetchedModel(model, None, len(stored))
    refusals = []
    for place in await _places(client, model, endpoint, operator, public_only):
        try:
            file = await place.read(root, tier)
            if file is None:
                continue
            found = await asyncio.to_thread(sha256 if tier is Tier.UNPROVEN else root_of, file)
        except (NotFound, TraceUnavailable, ModelFileError) as error:
            refusals.append(f"{place.name}: {error.message}")
            continue
        if found != root:
            refusals.append(f"{place.name} serves 0x{found.hex()} as 0x{root.hex()}")
            continue
        add = library.add if tier is Tier.UNPROVEN else library.add_program
        await asyncio.to_thread(add, file)
        return FetchedModel(model, place.name, len(file))
    nowhere = (
        f"no {'other ' if operator else ''}operator with an offer for it has announced an endpoint"
    )
    if tier is Tier.UNPROVEN:
        nowhere = "operators serve programs only, and it is an unproven model"
    raise NotFound(
        f"nobody serves the file of {model.name} (0x{model.id.hex()}): "
        + ("; ".join(refusals) or nowhere),
        hint=f"you registered it: {ADD_AGAIN}; or name a worker of yours that has it (--from URL)"
        if model.registrar == operator
        else "name an endpoint that serves it (--from URL), or ask its registrar for the file",
    )


def _read(library: ModelLibrary, root: bytes, tier: Tier) -> bytes | None:
    """The stored file; None where it is damaged, to be fetched once more."""
    try:
        return library.read_model(root, tier)
    except ModelFileError:
        return None


async def _places(
    client: OracleClient,
    model: Model,
    endpoint: str | None,
    operator: Address | None,
    public_only: bool,
) -> list[FileSource]:
    if endpoint is not None:
        return [EndpointPrograms(endpoint)]
    limits = ReadLimits(piece_seconds=FETCH_SECONDS, public_only=public_only)
    places: list[FileSource] = []
    if model.uri:
        places.append(Uri(model.uri, public_only=public_only))
    seen: set[str] = set()
    for one in await client.offers(model.id):
        if one.operator == operator:
            continue
        announced = await client.endpoint(one.operator)
        if announced is not None and announced not in seen:
            seen.add(announced)
            places.append(EndpointPrograms(announced, limits))
    return places
