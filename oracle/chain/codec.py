"""From the oracle's raw logs to the core's events.

Responsible for where a log stands and what it says. Knows nothing of endpoints; whether the logs of
a range belong together is the reader's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

from oracle.chain import abi
from oracle.chain.abi import EventAbi
from oracle.chain.coder import UnreadableData
from oracle.chain.wire import RawLog, to_bytes, to_int
from oracle.core import event as events
from oracle.core.event import ChainEvent, Position
from oracle.core.request import Request
from oracle.errors import ChainUnreachable, InputError

Values: TypeAlias = tuple[Any, ...]
Build: TypeAlias = Callable[[Position, Values, Values], ChainEvent]


def decode_log(log: RawLog) -> ChainEvent | None:
    """The event a log of the oracle carries, or None for one that no follower needs.

    Raises:
        ChainUnreachable: the log is cut short or malformed, which only a faulty endpoint makes it.
    """
    try:
        topics: list[str] = log["topics"]
        known = _readers().get(topics[0]) if topics else None
        if known is None:
            return None
        event, build = known
        joined = bytes.fromhex("".join([topic[2:] for topic in topics[1:]]))
        indexed, unindexed = event.decode(joined, to_bytes(log["data"]))
        return build(position_of(log), indexed, unindexed)
    except (UnreadableData, InputError, KeyError, ValueError, TypeError, IndexError) as error:
        raise ChainUnreachable(
            f"the node sent a log that cannot be read: {error}",
            hint="use another endpoint; this one is faulty",
        ) from error


def decode_logs(logs: Iterable[RawLog]) -> tuple[ChainEvent, ...]:
    """The events of several logs, in their order, such as a receipt's."""
    return tuple(event for event in map(decode_log, logs) if event is not None)


def position_of(log: RawLog) -> Position:
    """Where a log stands."""
    return Position(
        block_number=to_int(log["blockNumber"]),
        log_index=to_int(log["logIndex"]),
        block_hash=to_bytes(log["blockHash"]),
        transaction_hash=to_bytes(log["transactionHash"]),
    )


# ---- one builder per event: (position, indexed arguments, other arguments), in ABI order


def _created(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    terms, request_input = rest
    return events.RequestSeen(at, indexed[0], Request(*terms), request_input)


def _accepted(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.RequestAccepted(at, *indexed, *rest)


def _answered(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    trace_root, settle_at, result = rest
    return events.RequestAnswered(at, indexed[0], indexed[1], trace_root, settle_at, result)


def _cancelled(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.RequestCancelled(at, *indexed, *rest)


def _expired(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.RequestExpired(at, *indexed, *rest)


def _defaulted(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.RequestDefaulted(at, *indexed, *rest)


def _suspended(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.AnswerSuspended(at, *indexed)


def _resumed(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.AnswerResumed(at, *indexed, *rest)


def _voided(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.AnswerVoided(at, *indexed, *rest)


def _settled(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.RequestSettled(at, *indexed, *rest)


def _delivered(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.NoticeDelivered(at, *indexed, *rest)


def _failed(at: Position, indexed: Values, rest: Values) -> ChainEvent:
    return events.NoticeFailed(at, *indexed, *rest)


_BUILDERS: Mapping[str, Build] = {
    "RequestCreated": _created,
    "RequestAccepted": _accepted,
    "RequestAnswered": _answered,
    "RequestCancelled": _cancelled,
    "RequestExpired": _expired,
    "RequestDefaulted": _defaulted,
    "AnswerSuspended": _suspended,
    "AnswerResumed": _resumed,
    "AnswerVoided": _voided,
    "RequestSettled": _settled,
    "NoticeDelivered": _delivered,
    "NoticeFailed": _failed,
}


@cache
def _readers() -> Mapping[str, tuple[EventAbi, Build]]:
    """By the first topic, as the node writes it."""
    declared = abi.load("InferenceOracle").events
    return {
        "0x" + declared[name].topic.hex(): (declared[name], build)
        for name, build in _BUILDERS.items()
    }
