"""Answers of a view that are opened to the court, by whom, when, and after what."""

from __future__ import annotations

import contextlib
import signal
from typing import TypeVar

import aiohttp
import pytest
from sqlalchemy import select

from oracle.client import ViewedAnswer
from oracle.core.case import CaseState
from oracle.core.job import JobState
from oracle.core.receipt import Answer
from oracle.core.request import RequestState
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import InputError, ViewRefused
from oracle.ports.contracts import AnswerItem
from oracle.service.sign import SIGNATURE_KIND
from oracle.storage.tables import signatures
from scripts.dishonest_operator import dishonest
from tests.support.crash import Crash
from tests.support.failures import thorough
from tests.support.viewing import (
    CALLER,
    announce_gateways,
    gateway,
    viewed,
    viewed_when_open,
)
from tests.support.watching import (
    WINDOW_SECONDS,
    announce_endpoint,
    cheat,
    decided,
    free_port,
    revealing,
    watching,
)
from tests.support.world import DIGITS, World, until

pytestmark = pytest.mark.timeout(180)

T = TypeVar("T")


@pytest.fixture
async def still(world: World) -> World:
    """A world whose clock is ahead of the wall's, so that no minute ends but by a block."""
    await world.chain.travel_past(await world.chain.time() + 600)
    return world


# ---- opened to the court


async def test_a_posted_receipt_is_answered_exactly_as_it_was_signed(world: World) -> None:
    async with gateway(world):
        found = await viewed(world)
        done = await world.client.post(found.receipt)
        assert done.state in (RequestState.ANSWERED, RequestState.SETTLED)
        assert not done.contradicted
        (job,) = await world.until_settled(found.request_id)
        assert (job.result, job.answer) == (
            found.receipt.result,
            found.receipt.receipt.answer(world.deployment.domain, found.receipt.result),
        )
        again = await viewed(world)
        assert again.request_id != found.request_id, "that one was sent"
        assert (await world.client.post(found.receipt)).transactions == ()


async def test_the_caller_posts_alone_while_the_operator_is_away(world: World) -> None:
    async with gateway(world):
        found = await viewed(world)
    done = await world.client.post(found.receipt)
    assert done.state is RequestState.ANSWERED
    assert len(done.transactions) == 2, "the standing offer accepted the request"
    async with gateway(world):
        await world.until_settled(found.request_id)
    with pytest.raises(InputError, match="this key is"):
        await world.client_of(Person.RELAYER).post(found.receipt)


async def test_nothing_is_paid_for_a_receipt_that_nothing_backs(world: World) -> None:
    async with gateway(world):
        found = await viewed(world)
    staking, owner = world.contracts.staking, world.chain.sender(Person.OWNER)
    free = (await staking.status(world.operator)).free
    await owner.send(staking.address, staking.unbond_data(free))
    with pytest.raises(InputError, match="no longer covers the bond"):
        await world.client.post(found.receipt)
    assert await world.state(found.request_id) is RequestState.NONE


async def test_a_dishonest_answer_in_a_view_is_convicted_once_it_is_posted(court: World) -> None:
    model = await revealing(court)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    await announce_endpoint(court, url)
    await announce_gateways(court, f"{url}/views")
    async with cheat(court, dishonest, serve_port=port, views=f"{DIGITS}-revealed"):
        found = await viewed_when_open(court, model, operator=court.operator)
        assert found.receipt.receipt.request.window == WINDOW_SECONDS
        done = await court.client.post(found.receipt)
        assert done.state is RequestState.ANSWERED
        async with watching(court) as opened:
            case = await decided(opened, found.request_id)
            assert case.state is CaseState.CONVICTED, case
    assert await court.state(found.request_id) is RequestState.SLASHED
    share = await court.contracts.staking.claimable(CALLER.address)
    assert share == found.receipt.receipt.request.bond // 5


async def test_another_answer_than_the_views_convicts_the_operator(court: World) -> None:
    """The operator signs one thing in the view, and posts another by hand."""
    async with gateway(court, views=f"{DIGITS}-revealed"):
        model = await revealing(court)
        found = await viewed(court, model=model, operator=court.operator)
    request, oracle = found.receipt.receipt.request, court.contracts.oracle
    requester, signer = court.client.sender, signer_of(Person.SIGNER)
    data = oracle.request_by_signature_data(
        request, found.receipt.input, requester.signer.sign_digest(found.request_id)
    )
    await requester.send(oracle.address, data)
    assert await court.state(found.request_id) is RequestState.ACCEPTED
    result, root = b"\x07" + found.receipt.result[1:], bytes(31) + b"\x01"
    answer = Answer.of(found.request_id, request, court.operator, result, root)
    signature = signer.sign_digest(answer.digest(court.deployment.domain))
    item = AnswerItem(request, result, root)
    await court.chain.sender(Person.SIGNER).send(
        oracle.address, oracle.answer_data(item, court.operator, signature)
    )
    done = await court.client.post(found.receipt)
    assert (done.contradicted, done.state) == (True, RequestState.SLASHED)
    claimable = await court.contracts.staking.claimable(CALLER.address)
    assert claimable == request.bond // 5 + request.bond * 3 // 10, "requester and watcher in one"


# ---- kept over restarts


async def test_what_was_signed_is_what_is_posted_after_a_kill(world: World) -> None:
    port = free_port()
    await announce_gateways(world, f"http://127.0.0.1:{port}/views")
    first = await world.process(serve_port=port, views=DIGITS)
    found = await viewed_when_open(world)
    await first.kill()
    requester, oracle = world.client.sender, world.contracts.oracle
    data = oracle.request_by_signature_data(
        found.receipt.receipt.request,
        found.receipt.input,
        requester.signer.sign_digest(found.request_id),
    )
    await requester.send(oracle.address, data)
    async with cheat(world):  # a run of its cheaper models would give another trace
        await world.until_job(found.request_id, JobState.ANSWERED, JobState.SETTLED)
    story = await world.client.story(found.request_id)
    assert story.answered is not None
    assert story.answered.result == found.receipt.result
    assert story.answered.trace_root == found.receipt.receipt.trace_root


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("a view is on record", marks=thorough),
        pytest.param("a view's trace is kept", marks=thorough),
        "a view's signature is reserved",
        pytest.param("a view is signed and not saved", marks=thorough),
    ],
)
async def test_a_node_killed_while_it_answers_a_view_signs_no_other_answer(
    still: World, point: str
) -> None:
    port = free_port()
    await announce_gateways(still, f"http://127.0.0.1:{port}/views")
    doomed = await still.process(crash=Crash(point), serve_port=port, views=DIGITS)

    async def killed() -> bool:
        with contextlib.suppress(ViewRefused):
            await viewed(still)
        return not doomed.running

    await until(killed)
    assert await doomed.exit_code() == -signal.SIGKILL
    reserved = await _reserved(still)
    # A run of its cheaper models gives another trace: what was reserved must not be run again.
    changed = dishonest if reserved else _unchanged
    async with cheat(still, changed, serve_port=port, views=DIGITS):
        found = await viewed_when_open(still)
        answer = found.receipt.receipt.answer(still.deployment.domain, found.receipt.result)
        assert await _reserved(still) == [answer.digest(still.deployment.domain)]
        assert reserved in ([], await _reserved(still))
        await still.client.post(found.receipt)
        (job,) = await still.until_settled(found.request_id)
        assert job.answer == answer
        assert await _kept(port, found), "it can be shown to a watcher"


def _unchanged(_name: str, adapter: T, /) -> T:
    return adapter


async def _reserved(world: World) -> list[bytes]:
    """Digests of answers that are on the sign-once record."""
    query = select(signatures.c.digest).where(signatures.c.kind == SIGNATURE_KIND)
    return await world.storage.database.read(lambda on: list(on.scalars(query)))


async def test_a_view_is_forgotten_when_its_request_can_no_longer_be_sent(world: World) -> None:
    async with gateway(world):
        found, sent = await viewed(world), await viewed(world, 1)
        await world.client.post(sent.receipt)
        await world.until_settled(sent.request_id)
    views = world.storage.views
    assert set(await views.views_of([found.request_id, sent.request_id])) == {
        found.request_id,
        sent.request_id,
    }
    deadline = max(one.receipt.receipt.request.deadline for one in (found, sent))
    await world.chain.travel_past(deadline + 601)

    async def forgotten() -> bool:
        return not await views.views_of([found.request_id, sent.request_id])

    async with gateway(world, serve_port=(port := free_port())):
        await until(forgotten)

        async def dropped() -> bool:
            return not await _kept(port, found)

        await until(dropped)
        assert await _kept(port, sent), "a job's now, and held as long as jobs' are"


async def _kept(port: int, answer: ViewedAnswer) -> bool:
    root = answer.receipt.receipt.trace_root.hex()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/traces/0x{root}") as response,
    ):
        return response.status == 200
