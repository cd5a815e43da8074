"""What entries come to: a request, a model, an operator, its offers, and sums of requests. Pure.

What is known is always what the entries, in chain order, add up to: taking the last ones away and
adding up again undoes them exactly. Missing entries make a record poorer, and never impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from oracle.core.chronicle import (
    Dispute,
    Entry,
    EntryKind,
    ModelRecord,
    OfferRecord,
    OperatorRecord,
    RequestRecord,
    Standing,
    Tally,
)
from oracle.core.types import Address

_BOUND: Final = frozenset({Standing.ACCEPTED, Standing.ANSWERED, Standing.REVEAL_PENDING})


def tally_of(record: RequestRecord) -> Tally:
    """What one request adds."""
    return Tally(
        requests=1,
        answered=int(record.answered_block is not None),
        settled=int(record.state is Standing.SETTLED),
        defaulted=int(record.state is Standing.DEFAULTED),
        convicted=int(record.dispute is Dispute.CONVICTED),
        disputed=int(record.dispute is not None),
        earned=record.earned,
        locked=record.bond if record.state in _BOUND else 0,
    )


_ENDS: Final = {
    EntryKind.CANCELLED: Standing.CANCELLED,
    EntryKind.EXPIRED: Standing.EXPIRED,
    EntryKind.DEFAULTED: Standing.DEFAULTED,
    EntryKind.VOIDED: Standing.SLASHED,
    EntryKind.SETTLED: Standing.SETTLED,
}

_CONVICTIONS: Final = {
    EntryKind.FRAUD_PROVEN: "proof",
    EntryKind.REVEAL_TIMED_OUT: "silence",
    EntryKind.EQUIVOCATION_SLASHED: "contradiction",
}

_COURT: Final = frozenset(
    {
        *_CONVICTIONS,
        EntryKind.REVEAL_DEMANDED,
        EntryKind.REVEALED,
        EntryKind.DEMAND_DISMISSED,
        EntryKind.DEMAND_REFUNDED,
    }
)


def request_of(entries: Sequence[Entry]) -> RequestRecord | None:
    """A request by its entries, in chain order; None where its creation is not among them."""
    created = next((one for one in entries if one.kind is EntryKind.REQUESTED), None)
    if created is None or created.request_id is None:
        return None
    facts = created.facts
    record = RequestRecord(
        request_id=created.request_id,
        model_id=_bytes(facts["model_id"]),
        requester=facts["requester"],
        operator=facts["operator"],
        fee=facts["fee"],
        bond=facts["bond"],
        deadline=facts["deadline"],
        state=Standing.REQUESTED,
        created_block=created.block_number,
        created_log=created.log_index,
        created_at=created.timestamp,
        updated_block=created.block_number,
        input_bytes=facts["input_bytes"],
    )
    demands: set[int] = set()
    for entry in entries:
        record = _moved(record, entry)
        if entry.kind in _COURT:
            record = _disputed(record, entry, demands)
    return replace(record, updated_block=entries[-1].block_number)


def _moved(record: RequestRecord, entry: Entry) -> RequestRecord:
    facts = entry.facts
    match entry.kind:
        case EntryKind.ACCEPTED:
            return replace(record, state=Standing.ACCEPTED, operator=facts["operator"])
        case EntryKind.ANSWERED:
            return replace(
                record,
                state=Standing.ANSWERED,
                operator=facts["operator"],
                settle_at=facts["settle_at"],
                answered_block=entry.block_number,
                answered_at=entry.timestamp,
                result_bytes=facts["result_bytes"],
            )
        case EntryKind.SUSPENDED:
            return replace(record, state=Standing.REVEAL_PENDING)
        case EntryKind.RESUMED:
            return replace(record, state=Standing.ANSWERED, settle_at=facts["settle_at"])
        case EntryKind.SLASHED:
            return replace(record, slashed=record.slashed + facts["amount"])
        case kind if kind in _ENDS:
            return replace(
                record,
                state=_ENDS[kind],
                ended_block=entry.block_number,
                ended_at=entry.timestamp,
                earned=facts.get("fee", 0),
                refunded=facts.get("refund", 0),
            )
        case _:
            return record


def _disputed(record: RequestRecord, entry: Entry, demands: set[int]) -> RequestRecord:
    """`demands` are the numbers of those that are not over."""
    facts = entry.facts
    if record.dispute is None:
        record = replace(
            record,
            dispute=Dispute.MET,
            dispute_block=entry.block_number,
            dispute_log=entry.log_index,
        )
    if entry.kind is EntryKind.REVEAL_DEMANDED:
        demands.add(facts["number"])
    elif "number" in facts:
        demands.discard(facts["number"])
    if entry.kind in _CONVICTIONS:
        by = facts.get("watcher") or facts.get("demander")
        how = _CONVICTIONS[entry.kind]
        return replace(record, dispute=Dispute.CONVICTED, convicted_by=by, convicted_how=how)
    if record.dispute is Dispute.CONVICTED:
        return record
    return replace(record, dispute=Dispute.DEMANDED if demands else Dispute.MET)


def model_of(entries: Iterable[Entry]) -> ModelRecord | None:
    """A model by its entries, in chain order."""
    record: ModelRecord | None = None
    for entry in entries:
        facts = entry.facts
        if entry.kind is EntryKind.MODEL_REGISTERED and entry.model_id is not None:
            record = ModelRecord(
                model_id=entry.model_id,
                registrar=facts["registrar"],
                name=facts["name"],
                tier=facts["tier"],
                epsilon=facts["epsilon"],
                program_root=_bytes(facts["program_root"]),
                challenge_window=facts["challenge_window"],
                reveal_window=facts["reveal_window"],
                min_bond=facts["min_bond"],
                registered_block=entry.block_number,
                registered_log=entry.log_index,
                registered_at=entry.timestamp,
                deprecated_at=None,
                schema=facts["schema"],
                uri=facts["uri"],
            )
        elif entry.kind is EntryKind.MODEL_DEPRECATED and record is not None:
            record = replace(record, deprecated_at=entry.timestamp)
    return record


def operator_of(entries: Iterable[Entry]) -> OperatorRecord | None:
    """An operator by its entries, in chain order; those of its offers say nothing here."""
    record: OperatorRecord | None = None
    for entry in entries:
        facts = entry.facts
        if entry.kind is EntryKind.OPERATOR_REGISTERED and entry.operator is not None:
            record = OperatorRecord(
                operator=entry.operator,
                signer=facts["signer"],
                payout=facts["payout"],
                stake=0,
                slashed=0,
                endpoint="",
                registered_block=entry.block_number,
                registered_log=entry.log_index,
                registered_at=entry.timestamp,
            )
        elif record is not None:
            record = _after(record, entry)
    return record


def _after(record: OperatorRecord, entry: Entry) -> OperatorRecord:
    facts = entry.facts
    match entry.kind:
        case EntryKind.BONDED:
            return replace(record, stake=record.stake + facts["amount"])
        case EntryKind.STAKE_WITHDRAWN:
            return replace(record, stake=max(0, record.stake - facts["amount"]))
        case EntryKind.SLASHED:
            amount = facts["amount"]
            left = max(0, record.stake - amount)
            return replace(record, stake=left, slashed=record.slashed + amount)
        case EntryKind.SIGNER_ANNOUNCED:
            return replace(record, signer=facts["signer"])
        case EntryKind.PAYOUT_CHANGED:
            return replace(record, payout=facts["payout"])
        case EntryKind.ENDPOINT_SET:
            return replace(record, endpoint=facts["uri"])
        case _:
            return record


def offers_of(entries: Iterable[Entry]) -> dict[tuple[Address, bytes], OfferRecord]:
    """The latest offer of each operator for each model, withdrawn ones included."""
    found: dict[tuple[Address, bytes], OfferRecord] = {}
    for entry in entries:
        if entry.kind is EntryKind.OFFER_SET and entry.operator and entry.model_id:
            found[entry.operator, entry.model_id] = OfferRecord(
                operator=entry.operator,
                model_id=entry.model_id,
                set_block=entry.block_number,
                set_at=entry.timestamp,
                **entry.facts["offer"],
            )
    return found


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
