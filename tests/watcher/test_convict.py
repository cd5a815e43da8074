"""A proof's way to the court: given up for lost in time, and announced for nothing never."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from oracle.core.case import Case, CaseState
from oracle.core.request import RequestState
from oracle.core.transaction import Purpose
from oracle.errors import ChainRefused
from oracle.watcher.convict import Convict
from oracle.watcher.outbox import Estimate
from oracle.watcher.policy import WatcherPolicy
from tests.service.fakes import OPERATOR, STRANGER, request

CLOSES_AT = 1_000
CASE = Case(
    b"\x01" * 32,
    OPERATOR,
    7,
    b"\x02" * 32,
    CaseState.ACCUSED,
    "row 0: claimed 1, exact 2",
    b"proof",
    b"\x03" * 32,
)


class Scene:
    """A chain at a second, in a state; each look at the state takes the next of those given."""

    def __init__(self, *states: RequestState, now: int = 0, announced: int = 0) -> None:
        self.states = list(states)
        self.now, self.announced = now, announced
        self.sent_already = False
        self.idle_seconds = 0
        """How long ago the head was mined."""
        self.sent: list[Purpose] = []
        self.refusal: ChainRefused | None = None
        self.looks = 0
        view = SimpleNamespace(
            state=self.state,
            rpc=SimpleNamespace(
                latest=self.latest,
                block=self.block,
                next_timestamp=self.next_timestamp,
                on_one_endpoint=lambda read: read(),
            ),
            oracle=SimpleNamespace(limits=self.limits),
        )
        court = SimpleNamespace(
            prove_fraud_data=lambda *_: b"prove",
            announce_data=lambda *_: b"announce",
            announced_at=self.announced_at,
            limits=self.limits,
        )
        outbox = SimpleNamespace(
            sender=STRANGER, under_way=self.under_way, estimate=self.estimate, send=self.send
        )
        subjects = SimpleNamespace(subject=self.subject)
        self.convict = Convict(
            cast("Any", view),
            cast("Any", court),
            cast("Any", None),
            cast("Any", subjects),
            cast("Any", outbox),
            cast("Any", SimpleNamespace(look=self.look)),
            WatcherPolicy(start_block=0),
        )

    async def state(self, _: bytes) -> Any:
        found = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return SimpleNamespace(state=found, settle_at=CLOSES_AT)

    async def latest(self) -> Any:
        return SimpleNamespace(number=0, timestamp=self.now)

    async def next_timestamp(self) -> int:
        return self.now + self.idle_seconds

    async def block(self, _: int) -> None:
        return None

    async def limits(self) -> Any:
        return SimpleNamespace(fraud_watcher_bps=3_000, announcement_age=2)

    async def announced_at(self, _: bytes) -> int:
        return self.announced

    async def under_way(self, _: bytes) -> bool:
        return self.sent_already

    async def estimate(self, _: bytes) -> Estimate:
        return Estimate(300_000, 1, 2)

    async def send(self, purpose: Purpose, _: bytes, *, notice_gas: int = 0) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(purpose)

    async def subject(self, _: Case) -> Any:
        return SimpleNamespace(request=request(), disputed=None)

    async def look(self, *, now: bool) -> None:
        self.looks += now


async def test_an_answer_that_can_be_voided_is_announced_after_a_look_into_the_purse() -> None:
    scene = Scene(RequestState.ANSWERED)
    assert await scene.convict.step(CASE) == CASE
    assert (scene.sent, scene.looks) == ([Purpose.ANNOUNCE], 1)


@pytest.mark.parametrize("after", [RequestState.SLASHED, RequestState.SETTLED])
async def test_nothing_is_announced_where_the_request_ended_meanwhile(after: RequestState) -> None:
    """The court deletes an announcement that has convicted: none is there, and none is needed."""
    scene = Scene(RequestState.ANSWERED, after)
    assert await scene.convict.step(CASE) == CASE
    assert scene.sent == []


@pytest.mark.parametrize(
    ("state", "now"), [(RequestState.SETTLED, 5), (RequestState.ANSWERED, CLOSES_AT)]
)
async def test_a_wrong_answer_that_became_final_was_missed_for_what_held_its_proof_up(
    state: RequestState, now: int
) -> None:
    scene = Scene(RequestState.ANSWERED)
    scene.refusal = ChainRefused("the key holds 0 coin")
    with pytest.raises(ChainRefused):
        await scene.convict.step(CASE)
    scene.states, scene.now = [state], now
    after = await scene.convict.step(CASE)
    assert (after.state, after.reason) == (
        CaseState.MISSED,
        "the key holds 0 coin; row 0: claimed 1, exact 2",
    )
    assert await scene.convict.step(CASE) == after, "where the end could not be saved"


async def test_what_held_a_proof_up_before_it_was_sent_is_not_why_it_was_missed() -> None:
    scene = Scene(RequestState.ANSWERED, announced=0)
    scene.refusal = ChainRefused("gas is dear")
    with pytest.raises(ChainRefused):
        await scene.convict.step(CASE)
    scene.refusal = None
    await scene.convict.step(CASE)
    scene.states = [RequestState.SETTLED]
    after = await scene.convict.step(CASE)
    assert after.reason.startswith("its window closed before the proof was mined")


async def test_a_request_that_ended_otherwise_was_not_missed() -> None:
    scene = Scene(RequestState.DEFAULTED)  # a fork took the answer back
    assert (await scene.convict.step(CASE)).state is CaseState.OVER


async def test_an_answer_that_is_suspended_is_not_missed_however_late_it_is() -> None:
    scene = Scene(RequestState.REVEAL_PENDING, now=CLOSES_AT + 5)
    assert (await scene.convict.step(CASE)).state is CaseState.ACCUSED
    assert scene.sent


async def test_a_proof_is_sent_on_a_chain_that_mines_on_demand() -> None:
    """Nobody else sends anything, so the head is that of the announcement."""
    scene = Scene(RequestState.ANSWERED, now=100, announced=100)
    assert await scene.convict.step(CASE) == CASE
    assert scene.sent == []
    scene.idle_seconds = 2
    assert await scene.convict.step(CASE) == CASE
    assert scene.sent == [Purpose.PROVE]


async def test_where_no_block_comes_the_clock_closes_a_window_beyond_any_lag() -> None:
    scene = Scene(RequestState.ANSWERED, now=CLOSES_AT - 10, announced=CLOSES_AT - 20)
    scene.idle_seconds = 20
    assert (await scene.convict.step(CASE)).state is CaseState.ACCUSED
    scene.idle_seconds, scene.sent_already = 40, True
    assert (await scene.convict.step(CASE)).state is CaseState.ACCUSED, "it may be mined by now"
    scene.sent_already = False
    assert (await scene.convict.step(CASE)).state is CaseState.MISSED


async def test_what_somebody_else_convicted_on_a_fork_that_is_gone_is_looked_into_again() -> None:
    scene = Scene(RequestState.ANSWERED)
    bare = replace(CASE, state=CaseState.HELD, proof=None, salt=None)
    assert (await scene.convict.step(bare)).state is CaseState.OPEN
