"""Waits for an answer, and says at each look what it waits for.

By the chain's clock: a deadline that has passed there without an answer ends the wait, as nobody
can answer any more. Polls the contract's state, so that it works with any endpoint.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from oracle.client.answer import InferenceAnswer
from oracle.core.request import RequestState
from oracle.core.types import Address
from oracle.errors import NoAnswer, NoAnswerYet, NotFound
from oracle.ports.contracts import OnChainRequest

if TYPE_CHECKING:
    from oracle.client.reader import OracleReader

Until = Literal["answered", "final"]

_UNANSWERED = (RequestState.REQUESTED, RequestState.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a request stands while it is waited for; as a text, on part of a line.

    Attributes:
        accepted_by: who is bound to answer; None for nobody yet, or where it is answered.
        seconds_left: by the chain's clock, to the deadline or, once it is answered, to finality;
            None where that is not known, or hangs on something else.
    """

    state: RequestState
    accepted_by: Address | None
    seconds_left: int | None

    def __str__(self) -> str:
        seconds = None if self.seconds_left is None else f"{max(0, self.seconds_left)} s"
        if self.state is RequestState.ANSWERED:
            return f"final in {seconds}"
        if self.state is RequestState.REVEAL_PENDING:
            return "not final before its operator has shown what was demanded"
        bound = f"{self.accepted_by[:6]}…" if self.accepted_by else "nobody yet"
        said = f"accepted by {bound}"
        return said if seconds is None else f"{said}; {seconds} left to answer"


async def wait_for_answer(
    reader: OracleReader,
    request_id: bytes,
    *,
    until: Until,
    timeout: float,
    poll_seconds: float,
    look: Callable[[Waiting], None] | None,
) -> InferenceAnswer:
    """As `OracleReader.wait`."""
    give_up_at = time.monotonic() + timeout
    deadline: int | None = None
    late = False
    while True:
        now, request = await reader.rpc.on_one_endpoint(lambda: _look(reader, request_id))
        state = request.state
        if state is RequestState.NONE:
            raise NotFound(
                f"the oracle has no request 0x{request_id.hex()}",
                hint="check the id, and that the endpoint is of the right chain",
            )
        if state is RequestState.SETTLED:
            return await reader.result(request_id)
        if state.terminal:
            raise NoAnswer(f"the request ended {state.name.lower()}, without an answer")
        if state not in _UNANSWERED and until == "answered":
            return await reader.result(request_id)
        left: int | None = None
        if state is RequestState.ANSWERED:
            left = request.settle_at - now
            if left <= 0:
                return await reader.result(request_id)
        elif state in _UNANSWERED:
            if deadline is None:
                with suppress(NotFound):  # logs that are behind the state
                    deadline = await reader.deadline(request_id)
            left = None if deadline is None else deadline - now
            # Told by two looks: an endpoint may be several machines, one of them a block behind.
            if left is not None and left < 0:
                if late:
                    raise _too_late(request_id, -left)
                late = True
        if look is not None:
            bound = request.accepted_by if state is RequestState.ACCEPTED else None
            look(Waiting(state, bound, left))
        if time.monotonic() >= give_up_at:
            # A chain that mines on demand has no block yet that says how late it is.
            next_at = await reader.rpc.next_timestamp()
            if state in _UNANSWERED and deadline is not None and next_at > deadline:
                raise _too_late(request_id, next_at - deadline)
            raise _not_yet(request_id, request, left, timeout)
        await asyncio.sleep(poll_seconds)


async def _look(reader: OracleReader, request_id: bytes) -> tuple[int, OnChainRequest]:
    """The chain's time, and the state not before it."""
    head = await reader.rpc.latest()
    return head.timestamp, await reader.state(request_id)


def _too_late(request_id: bytes, seconds: int) -> NoAnswer:
    return NoAnswer(
        f"the deadline passed {seconds} s ago and nobody answered",
        hint=f"`reclaim` (or `oracle reclaim 0x{request_id.hex()}`) gets the fee back",
        cli_hint=f"`oracle reclaim 0x{request_id.hex()}` gets the fee back",
    )


def _not_yet(
    request_id: bytes, request: OnChainRequest, left: int | None, timeout: float
) -> NoAnswerYet:
    """Time is up, and the answer may still come."""
    state, named = request.state, f"0x{request_id.hex()}"
    stands = f"the request is {state.name.lower()}"
    if state not in _UNANSWERED:
        return NoAnswerYet(
            f"no final answer after {timeout:g} s; {stands}",
            hint="wait longer" if left is None else f"wait {left} s more",
            cli_hint=f"`oracle show {named}` tells when it is final",
        )
    when = "after the deadline" if left is None else f"after the deadline, in {left} s"
    bound = (
        f"{request.accepted_by} is bound to answer it"
        if state is RequestState.ACCEPTED
        else "nobody has taken it yet"
    )
    return NoAnswerYet(
        f"no answer after {timeout:g} s; {stands}: {bound}",
        hint=f"wait longer; {when}, `reclaim` (or `oracle reclaim {named}`) gets the fee back",
        cli_hint=f"{when}, `oracle reclaim {named}` gets the fee back",
    )
