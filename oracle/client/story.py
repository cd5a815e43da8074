"""The whole story of one request, from the chain's logs alone. Sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from oracle.chain.codec import decode_logs
from oracle.chain.logs import LogScanner
from oracle.chain.rpc import Rpc
from oracle.core.event import (
    AnswerVoided,
    ChainEvent,
    RequestAccepted,
    RequestAnswered,
    RequestCancelled,
    RequestDefaulted,
    RequestExpired,
    RequestSeen,
    RequestSettled,
)
from oracle.core.request import RequestState
from oracle.core.types import Address
from oracle.errors import NotFound

E = TypeVar("E", bound=ChainEvent)

_REFUNDING = (RequestCancelled, RequestExpired, RequestDefaulted, AnswerVoided)


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to a request, in chain order; the first event is always its creation."""

    events: tuple[ChainEvent, ...]

    @property
    def created(self) -> RequestSeen:
        first = self.events[0]
        if not isinstance(first, RequestSeen):
            raise NotFound("the logs do not hold the request's creation")
        return first

    def find(self, kind: type[E]) -> E | None:
        """The last event of a kind, or None."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

    @property
    def answered(self) -> RequestAnswered | None:
        return self.find(RequestAnswered)

    @property
    def operator(self) -> Address | None:
        """Who is or was bound to it, if anybody."""
        accepted = self.find(RequestAccepted)
        return accepted.operator if accepted else None

    @property
    def state(self) -> RequestState:
        """Where the request stands by its logs."""
        for kind, state in _STATES:
            if self.find(kind) is not None:
                return state
        return RequestState.REQUESTED

    @property
    def refund(self) -> int:
        """Base units credited back to the requester's account."""
        return sum(event.refund for event in self.events if isinstance(event, _REFUNDING))

    @property
    def earned(self) -> int:
        """Base units credited to the operator's payout account."""
        settled = self.find(RequestSettled)
        return settled.fee if settled else 0


_STATES: Sequence[tuple[type[ChainEvent], RequestState]] = (
    (RequestSettled, RequestState.SETTLED),
    (AnswerVoided, RequestState.SLASHED),
    (RequestDefaulted, RequestState.DEFAULTED),
    (RequestExpired, RequestState.EXPIRED),
    (RequestCancelled, RequestState.CANCELLED),
    (RequestAnswered, RequestState.ANSWERED),
    (RequestAccepted, RequestState.ACCEPTED),
)


async def read_story(rpc: Rpc, oracle: Address, request_id: bytes, first_block: int) -> Story:
    """Reads a request's logs.

    Args:
        first_block: no earlier block can hold them, such as the oracle's deployment.

    Raises:
        NotFound: the oracle has never seen this id.
    """
    head = await rpc.latest()
    logs = await LogScanner(rpc, oracle).scan(
        first_block, head.number, [None, "0x" + request_id.hex()]
    )
    events = sorted(decode_logs(logs), key=lambda event: event.position)
    if not events:
        raise NotFound(
            f"the oracle has no request 0x{request_id.hex()}",
            hint="check the id, and that the endpoint is of the right chain",
        )
    return Story(tuple(events))
