"""What happened on chain, one frozen type per contract event the worker or a client follows.

The chain package decodes logs into these; nothing else crosses that border. Knows no ABI.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.core.request import Request
from oracle.core.types import Address


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a log stands on the chain. Orders as the chain does."""

    block_number: int
    log_index: int
    block_hash: bytes
    transaction_hash: bytes


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block, by number, hash and timestamp (Unix seconds)."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """Base: what happened at one place on the chain."""

    position: Position


@dataclass(frozen=True, slots=True)
class ChainEvent(LoggedEvent):
    """Base: an event about one request."""

    request_id: bytes


@dataclass(frozen=True, slots=True)
class RequestSeen(ChainEvent):
    """`RequestCreated`: the terms and the input bytes."""

    request: Request
    input: bytes


@dataclass(frozen=True, slots=True)
class RequestAccepted(ChainEvent):
    """`sequence` counts the requests that ever bound the operator, from 1: a gap is a lost log."""

    operator: Address
    sequence: int


@dataclass(frozen=True, slots=True)
class RequestAnswered(ChainEvent):
    """`settle_at` is the Unix second from which the answer is final."""

    operator: Address
    trace_root: bytes
    settle_at: int
    result: bytes


@dataclass(frozen=True, slots=True)
class RequestCancelled(ChainEvent):
    refund: int


@dataclass(frozen=True, slots=True)
class RequestExpired(ChainEvent):
    refund: int


@dataclass(frozen=True, slots=True)
class RequestDefaulted(ChainEvent):
    operator: Address
    refund: int
    penalty: int


@dataclass(frozen=True, slots=True)
class AnswerSuspended(ChainEvent):
    pass


@dataclass(frozen=True, slots=True)
class AnswerResumed(ChainEvent):
    settle_at: int


@dataclass(frozen=True, slots=True)
class AnswerVoided(ChainEvent):
    operator: Address
    watcher: Address
    refund: int
    penalty: int


@dataclass(frozen=True, slots=True)
class RequestSettled(ChainEvent):
    operator: Address
    payout: Address
    fee: int


@dataclass(frozen=True, slots=True)
class NoticeDelivered(ChainEvent):
    consumer: Address
    notice: int


@dataclass(frozen=True, slots=True)
class NoticeFailed(ChainEvent):
    consumer: Address
    notice: int


@dataclass(frozen=True, slots=True)
class LogBatch:
    """All events of one block range, in chain order, read from one and the same fork."""

    first_block: int
    last: BlockRef
    events: tuple[ChainEvent, ...]
