"""What the API says: records as JSON with stable names.

Amounts are decimal text in base units (18 decimals), ids and hashes 0x-hex, times Unix seconds.
`docs/explorer.md` documents the names; a change of one is a change of the API.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from oracle.core.chronicle import (
    NOBODY,
    Entry,
    ModelRecord,
    OfferRecord,
    OperatorRecord,
    RequestRecord,
    Tally,
)
from oracle.core.model import error_bar
from oracle.core.types import Tier
from oracle.explorer.decoded import Decoded, schema_of

LARGEST_DATA: Final = 1 << 16
MOST_NUMBERS: Final = 4_096
"""Of one tensor; a larger one is left out, as its bytes say the same."""


def request_document(record: RequestRecord, model: ModelRecord | None) -> dict[str, Any]:
    return {
        "id": _hex(record.request_id),
        "state": record.state.value,
        "model": {"id": _hex(record.model_id), "name": None if model is None else model.name},
        "requester": record.requester,
        "operator": None if record.operator == NOBODY else record.operator,
        "fee": str(record.fee),
        "bond": str(record.bond),
        "deadline": record.deadline,
        "created": {"block": record.created_block, "time": record.created_at},
        "answered": _when(record.answered_block, record.answered_at),
        "final_at": record.settle_at,
        "ended": _when(record.ended_block, record.ended_at),
        "earned": str(record.earned),
        "refunded": str(record.refunded),
        "slashed": str(record.slashed),
        "input_bytes": record.input_bytes,
        "result_bytes": record.result_bytes,
        "dispute": None
        if record.dispute is None
        else {
            "state": record.dispute.value,
            "block": record.dispute_block,
            "by": record.convicted_by,
            "how": record.convicted_how,
        },
    }


def model_document(
    record: ModelRecord, tally: Tally | None, offers: Sequence[OfferRecord] | None = None
) -> dict[str, Any]:
    schema = schema_of(record)
    document: dict[str, Any] = {
        "id": _hex(record.model_id),
        "name": record.name,
        "tier": Tier(record.tier).name.lower(),
        "epsilon": error_bar(record.epsilon),
        "registrar": record.registrar,
        "program_root": _hex(record.program_root),
        "challenge_window": record.challenge_window,
        "reveal_window": record.reveal_window,
        "min_bond": str(record.min_bond),
        "registered": {"block": record.registered_block, "time": record.registered_at},
        "deprecated_at": record.deprecated_at,
        "uri": record.uri,
        "schema": None
        if schema is None
        else {
            side: [
                {"name": one.name, "element": one.element.value, "shape": list(one.shape)}
                for one in specs
            ]
            for side, specs in (("inputs", schema.inputs), ("outputs", schema.outputs))
        },
        "requests": tally_document(tally),
    }
    if offers is not None:
        document["offers"] = [offer_document(one) for one in offers]
    return document


def operator_document(
    record: OperatorRecord, tally: Tally | None, offers: Sequence[OfferRecord] | None = None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "address": record.operator,
        "signer": record.signer,
        "payout": record.payout,
        "stake": str(record.stake),
        "slashed": str(record.slashed),
        "endpoint": record.endpoint or None,
        "registered": {"block": record.registered_block, "time": record.registered_at},
        "requests": tally_document(tally),
    }
    if offers is not None:
        document["offers"] = [offer_document(one) for one in offers]
    return document


def offer_document(record: OfferRecord) -> dict[str, Any]:
    return {
        "operator": record.operator,
        "model": _hex(record.model_id),
        "price": str(record.price),
        "max_bond": str(record.max_bond),
        "capacity": record.capacity,
        "min_time": record.min_time,
        "max_window": record.max_window,
        "max_callback_gas": record.max_callback_gas,
        "set": {"block": record.set_block, "time": record.set_at},
    }


def tally_document(tally: Tally | None) -> dict[str, Any]:
    found = tally or Tally()
    return {
        "total": found.requests,
        "answered": found.answered,
        "settled": found.settled,
        "defaulted": found.defaulted,
        "convicted": found.convicted,
        "disputed": found.disputed,
        "earned": str(found.earned),
        "locked": str(found.locked),
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """One event; amounts in its facts are text, as elsewhere."""
    document = {
        "event": entry.kind.value,
        "block": entry.block_number,
        "log": entry.log_index,
        "time": entry.timestamp,
        "transaction": _hex(entry.transaction_hash),
        "facts": _safe(entry.facts),
    }
    return document


def message_document(message: Decoded, data: bytes) -> dict[str, Any]:
    """An input or a result: its bytes where they are not too many, and what they decode to."""
    return {
        "bytes": len(data),
        "data": _hex(data) if len(data) <= LARGEST_DATA else None,
        "tensors": {
            name: _numbers(values.tolist()) if values.size <= MOST_NUMBERS else None
            for name, values in message.tensors.items()
        },
        "problem": message.problem,
    }


def _when(block: int | None, time: int | None) -> dict[str, int | None] | None:
    return None if block is None else {"block": block, "time": time}


def _safe(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Whole numbers that JavaScript would round are text."""
    return {name: _whole(value) for name, value in facts.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _safe(value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return str(value) if type(value) is int and abs(value) > 1 << 53 else value


def _numbers(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
