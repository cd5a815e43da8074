"""SIGKILL at each edge of a job's life, with the reply to the next send delivered or lost."""

from __future__ import annotations

import signal

import pytest

from oracle.core.transaction import Purpose
from tests.chaos.acts import answers_to, raw_of, sent_for
from tests.support.crash import POINTS, SIX, Crash
from tests.support.failures import failure, thorough
from tests.support.fault_proxy import FaultProxy, lose_reply
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import ForkedNode, World

SAVED_WITH_RESULT = SIX[SIX.index("result saved") :]
SAVED_WITH_BYTES = SIX[SIX.index("transaction saved") :]
BY_DEFAULT = {("signed", "lost"), ("result saved", "delivered"), ("transaction saved", "lost")}
BY_DEFAULT |= {("sent but not marked", "delivered"), ("receipt seen", "lost")}

UNRAISED = {"bump_seconds": 600.0}
"""However long it takes to start again, no fee is raised: one attempt is what is looked for."""


def _cases() -> list[object]:
    cases = []
    for reply in ("delivered", "lost"):
        for point in SIX:
            marks = () if (point, reply) in BY_DEFAULT else (thorough,)
            cases.append(pytest.param(point, reply, id=f"{point}, reply {reply}", marks=marks))
    return cases


@failure(9, "six crash points, reply delivered or lost")
@pytest.mark.parametrize(("point", "reply"), _cases())
async def test_a_node_killed_at_an_edge_answers_once_with_the_same_bytes(
    world: World, proxy: FaultProxy, point: str, reply: str
) -> None:
    if reply == "lost":
        proxy.on("eth_sendRawTransaction", lose_reply, times=1)
    doomed = await world.process(crash=Crash(point), rpc_url=proxy.url, **UNRAISED)
    made = await world.ask()
    await killed(doomed)
    before = await world.job(made.id)
    assert before is not None
    sent_before = await answers_to(world, made.id)

    await world.process(rpc_url=proxy.url, **UNRAISED)
    (settled,) = await world.until_settled(made.id)
    await settle_down(world)
    (answer,) = await answers_to(world, made.id)
    assert len(answer.attempts) == 1
    if point in SAVED_WITH_RESULT and point != "signed":
        # Not run again: the seconds that the run took are those of before.
        assert settled.inference_seconds == before.inference_seconds is not None
        assert settled.signature == before.signature is not None
    if point in SAVED_WITH_BYTES:
        assert [raw_of(one) for one in sent_before] == [raw_of(answer)]
    assert [one.purpose for one in await sent_for(world, made.id)] == [
        Purpose.ANSWER,
        Purpose.SETTLE,
    ]
    await check_invariants(world)


@thorough
@failure(9, "killed before each of what it was about to do")
@pytest.mark.parametrize("point", [one for one in POINTS if one not in SIX])
async def test_a_node_killed_before_it_does_what_it_was_about_to_do(
    world: World, point: str
) -> None:
    doomed = await world.process(crash=Crash(point), **UNRAISED)
    made = await world.ask()
    await killed(doomed)
    await world.process(**UNRAISED)
    await world.until_settled(made.id)
    await settle_down(world)
    (answer,) = await answers_to(world, made.id)
    assert len(answer.attempts) == 1
    await check_invariants(world)


@thorough
@failure(9, "killed six times on the way, at one edge after the other")
async def test_a_node_killed_at_every_edge_in_turn_still_answers_once(world: World) -> None:
    doomed = await world.process(crash=Crash(SIX[0]))
    made = await world.ask()
    for point in SIX[1:]:
        await killed(doomed)
        doomed = await world.process(crash=Crash(point))
    await killed(doomed)
    await world.process()
    await world.until_settled(made.id)
    await settle_down(world)
    assert len(await answers_to(world, made.id)) == 1
    await check_invariants(world)


async def killed(node: ForkedNode) -> None:
    assert await node.exit_code() == -signal.SIGKILL
