"""Typed events as entries of the index. Knows the events' fields, and nothing of how they are kept.

A stranger's text is cut here, so that no page and no answer is ever larger than was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from oracle.chain.protocol_reader import Chapter
from oracle.core import dispute, event, market_event
from oracle.core.chronicle import Entry, EntryKind
from oracle.core.event import ChainEvent, LoggedEvent

LONGEST_NAME: Final = 200
LONGEST_SCHEMA: Final = 64_000
LONGEST_TEXT: Final = 2_000

_KINDS: Final[Mapping[type[LoggedEvent], EntryKind]] = {
    event.RequestSeen: EntryKind.REQUESTED,
    event.RequestAccepted: EntryKind.ACCEPTED,
    event.RequestAnswered: EntryKind.ANSWERED,
    event.RequestCancelled: EntryKind.CANCELLED,
    event.RequestExpired: EntryKind.EXPIRED,
    event.RequestDefaulted: EntryKind.DEFAULTED,
    event.AnswerSuspended: EntryKind.SUSPENDED,
    event.AnswerResumed: EntryKind.RESUMED,
    event.AnswerVoided: EntryKind.VOIDED,
    event.RequestSettled: EntryKind.SETTLED,
    event.NoticeDelivered: EntryKind.NOTICE_DELIVERED,
    event.NoticeFailed: EntryKind.NOTICE_FAILED,
    dispute.FraudProven: EntryKind.FRAUD_PROVEN,
    dispute.PriorityClaimed: EntryKind.PRIORITY_CLAIMED,
    dispute.ShareCollected: EntryKind.SHARE_COLLECTED,
    dispute.RevealDemanded: EntryKind.REVEAL_DEMANDED,
    dispute.Revealed: EntryKind.REVEALED,
    dispute.DemandDismissed: EntryKind.DEMAND_DISMISSED,
    dispute.RevealTimedOut: EntryKind.REVEAL_TIMED_OUT,
    dispute.DemandRefunded: EntryKind.DEMAND_REFUNDED,
    dispute.EquivocationSlashed: EntryKind.EQUIVOCATION_SLASHED,
    market_event.ModelRegistered: EntryKind.MODEL_REGISTERED,
    market_event.ModelDeprecated: EntryKind.MODEL_DEPRECATED,
    market_event.OperatorRegistered: EntryKind.OPERATOR_REGISTERED,
    market_event.SignerAnnounced: EntryKind.SIGNER_ANNOUNCED,
    market_event.PayoutChanged: EntryKind.PAYOUT_CHANGED,
    market_event.StakeBonded: EntryKind.BONDED,
    market_event.UnbondingStarted: EntryKind.UNBONDING_STARTED,
    market_event.StakeWithdrawn: EntryKind.STAKE_WITHDRAWN,
    market_event.OfferSet: EntryKind.OFFER_SET,
    market_event.EndpointSet: EntryKind.ENDPOINT_SET,
    market_event.StakeSlashed: EntryKind.SLASHED,
}

_KEYS: Final = frozenset({"position", "request_id"})


def entries_of(chapter: Chapter) -> list[Entry]:
    """The entries of a chapter, in chain order."""
    return [entry_of(one, chapter.times[one.position.block_number]) for one in chapter.events]


def entry_of(found: LoggedEvent, timestamp: int) -> Entry:
    """One event as it is kept. Its block was mined at this Unix second."""
    at = found.position
    request_id = found.request_id if isinstance(found, ChainEvent) else None
    operator = model_id = None
    facts, data = _facts(found), b""
    match found:
        case event.RequestSeen():
            facts, data = _facts(found.request), found.input
            facts["input_bytes"] = len(data)
        case event.RequestAnswered():
            data = found.result
            facts["result_bytes"] = len(data)
            del facts["result"]
        case dispute.Revealed():
            data = found.data
            facts = {"number": found.number, "data_bytes": len(data)}
        case dispute.RevealDemanded():
            facts = {"operator": found.operator, **_facts(found.demand)}
            facts.pop("commitment")
        case market_event.ModelRegistered():
            model_id = found.model_id
            facts = {"registrar": found.registrar, **_facts(found.terms)}
            facts |= {
                "name": found.name[:LONGEST_NAME],
                "schema": found.schema if len(found.schema) <= LONGEST_SCHEMA else "",
                "uri": found.uri[:LONGEST_TEXT],
            }
        case market_event.ModelDeprecated():
            model_id = found.model_id
        case market_event.OfferSet():
            operator, model_id = found.operator, found.model_id
        case market_event.StakeSlashed():
            request_id, operator = found.cause, found.operator
        case market_event.EndpointSet():
            operator = found.operator
            facts["uri"] = found.uri[:LONGEST_TEXT]
        case _ if request_id is None:
            operator = facts["operator"]
    return Entry(
        block_number=at.block_number,
        log_index=at.log_index,
        block_hash=at.block_hash,
        timestamp=timestamp,
        transaction_hash=at.transaction_hash,
        kind=_KINDS[type(found)],
        request_id=request_id,
        operator=operator,
        model_id=model_id,
        facts=facts,
        data=data,
    )


def _facts(value: Any) -> dict[str, Any]:
    return {
        one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.name not in _KEYS
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return int(value)
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Iterable):
        return [_plain(one) for one in value]
    raise TypeError(f"{type(value).__name__} has no plain form")
