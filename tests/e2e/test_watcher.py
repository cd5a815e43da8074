"""Wrong answers end in a slash, whoever hides what; right ones are left alone. On a real chain."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
from typing import Any

import pytest
from structlog.testing import capture_logs

from oracle.bootstrap.watcher import open_watcher, run_watcher
from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader
from oracle.cli.narrative import tell
from oracle.core.case import CaseState
from oracle.core.job import JobState
from oracle.core.request import RequestState
from oracle.core.types import ZERO_BYTES32, format_opg
from oracle.devnet.accounts import signer_of
from oracle.errors import StorageError
from oracle.inference.model_library import ModelLibrary
from oracle.settings import Settings
from oracle.watcher.policy import WatcherPolicy
from tests.support.dishonest import Moving
from tests.support.failures import thorough
from tests.support.fault_proxy import Document, Dropped, Forward, fault_proxy
from tests.support.watching import (
    WATCHER,
    WINDOW_SECONDS,
    announce_endpoint,
    asked,
    cheat,
    claimed_result,
    decided,
    demanded,
    free_port,
    policy,
    revealing,
    slashed,
    watcher_settings,
    watching,
)
from tests.support.world import World, digit, until

SECOND_WATCHER = 10

pytestmark = pytest.mark.timeout(180)


async def test_a_cheating_operator_is_convicted_and_an_honest_one_is_not(court: World) -> None:
    await court.chain.increase_time(600)  # a chain where nobody sends anything for a while
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    async with court.node(serve_port=port):
        honest = await asked(court, window=600)
        async with watching(court) as opened:
            assert (await decided(opened, honest.id)).state is CaseState.CLEAN
    async with cheat(court, serve_port=port):
        made = await asked(court)
        async with watching(court) as opened:
            case = await decided(opened, made.id)
            assert case.state is CaseState.CONVICTED, case
            assert case.reason.startswith("by this watcher: row 0, instruction"), case.reason
            assert re.search(r"claimed -?[0-9.]+ \(0x[0-9a-f]{8}\), exact", case.reason), (
                case.reason
            )
            assert "·2^" not in case.reason
            report = (await opened.report()).facts()
        await slashed(court, made)
        assert report["states"] == {"clean": 1, "convicted": 1}
        assert report["claimable_opg"] == "6"
        assert report["transactions"] == 2, "an announcement and a proof"
    assert await court.contracts.staking.claimable(WATCHER.address) == made.request.bond * 3 // 10
    assert await court.state(honest.id) is RequestState.ANSWERED


async def test_two_watchers_do_not_break_each_other(court: World) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    second = signer_of(SECOND_WATCHER)
    async with cheat(court, serve_port=port):
        made = await asked(court)
        with capture_logs() as logs:
            async with watching(court) as first:
                settings = watcher_settings(court, "second")
                async with open_watcher(settings, second, policy(court)) as other:
                    running = asyncio.create_task(other.watcher.run())
                    ends = [await decided(one, made.id) for one in (first, other)]
                    other.watcher.stop()
                    await running
        await slashed(court, made)
    assert not [one for one in logs if one["event"] == "tried again later"]
    assert {one.state for one in ends} == {CaseState.CONVICTED}
    assert sum(one.reason.startswith("by this watcher") for one in ends) == 1
    staking = court.contracts.staking
    paid = [await staking.claimable(one.address) for one in (WATCHER, second)]
    assert sum(paid) == made.request.bond * 3 // 10


async def test_a_watcher_without_coin_says_so_misses_the_case_and_sends_nothing_later(
    court: World,
) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    poor = signer_of(SECOND_WATCHER)
    await court.chain.rpc.request("anvil_setBalance", [poor.address, "0x0"])
    with capture_logs() as logs:
        async with cheat(court, serve_port=port):
            made = await asked(court)
            settings = watcher_settings(court, "poor")
            async with open_watcher(settings, poor, policy(court, demand=False)) as opened:
                running = asyncio.create_task(opened.watcher.run())

                async def too_poor() -> bool:
                    return any("of the chain's coin" in str(one.get("error")) for one in logs)

                await until(too_poor)
                state = await court.client.state(made.id)
                await court.chain.travel_past(state.settle_at)
                case = await decided(opened, made.id)
                await court.chain.rpc.request("anvil_setBalance", [poor.address, hex(10**18)])
                await asyncio.sleep(3)
                opened.watcher.stop()
                await running
                report = await opened.report()
    assert case.state is CaseState.MISSED, case
    assert f"{poor.address} holds 0 of the chain's coin" in case.reason
    assert report.missed == {made.id}
    assert report.facts()["states"] == {"missed": 1}
    assert report.facts()["transactions"] == 0
    nonce = await court.chain.rpc.request("eth_getTransactionCount", [poor.address, "latest"])
    assert nonce == "0x0"
    (warned,) = [one for one in logs if one["event"] == "too little coin for a conviction"]
    assert warned["key"] == poor.address
    assert f"oracle devnet fund {poor.address}" in warned["next"]
    (told,) = [one for one in logs if one["event"] == "A WRONG ANSWER BECAME FINAL"]
    assert told["log_level"] == "error"
    assert told["request"] == "0x" + made.id.hex()


async def test_a_watcher_that_is_killed_after_its_announcement_goes_on(court: World) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    binding = CourtBinding(court.chain.rpc, court.deployment.court)
    announcements = 0

    async def only_one(asked: Document, forward: Forward) -> Document:
        """The proof, which would follow at once, does not get through before the kill."""
        nonlocal announcements
        announcements += 1
        if announcements > 1:
            raise Dropped
        return await forward(asked)

    async with cheat(court, serve_port=port), fault_proxy(court.chain.url) as proxy:
        made = await asked(court)
        proxy.on("eth_sendRawTransaction", only_one)
        settings = watcher_settings(court).model_copy(update={"rpc_url": proxy.url})
        spawned = multiprocessing.get_context("forkserver").Process(
            target=_watch, args=(settings, policy(court)), daemon=True
        )
        spawned.start()
        topic = "0x" + binding.abi.events["ProofAnnounced"].topic.hex()

        async def announced() -> list[Any]:
            criteria = {"address": court.deployment.court, "topics": [topic], "fromBlock": "0x0"}
            found: list[Any] = await court.chain.rpc.request("eth_getLogs", [criteria])
            return found

        await until(announced)
        assert spawned.pid is not None
        os.kill(spawned.pid, signal.SIGKILL)
        await asyncio.to_thread(spawned.join)
        assert await court.state(made.id) is RequestState.ANSWERED
        async with watching(court) as opened:
            case = await decided(opened, made.id)
            assert case.state is CaseState.CONVICTED, case
        await slashed(court, made)
        assert len(await announced()) == 1
    paid = await court.contracts.staking.claimable(WATCHER.address)
    assert paid == made.request.bond * 3 // 10, "at once, as it was announced"


async def test_a_second_watcher_with_one_key_is_told_which(world: World) -> None:
    settings = watcher_settings(world)
    async with open_watcher(settings, WATCHER, policy(world)):
        with pytest.raises(StorageError, match=f"this key, {WATCHER.address}, runs") as refused:
            async with open_watcher(settings, WATCHER, policy(world)):
                pass
    assert "--keystore" in (refused.value.hint or "")


async def test_silence_is_slashed(court: World) -> None:
    model = await revealing(court, reveal=8)  # which passes in vain
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    async with cheat(court):
        made = await asked(court, model)
    async with watching(court) as opened:
        case = await decided(opened, made.id)
        assert case.state is CaseState.CONVICTED, case
        report = (await opened.report()).facts()
    assert await court.state(made.id) is RequestState.SLASHED
    assert float(report["claimable_opg"]) > 6, "the share and the deposit"
    async with court.node():
        await slashed(court, made)
    facts, text = await tell(court.client, made.id)
    first, *others = facts["demands"]
    assert first["demander"] == facts["conviction"]["by"] == WATCHER.address
    back = f"its deposit of {first['deposit_opg']} OPG back to {WATCHER.address}"
    assert f"demand 0 was not met: {back}" in text
    for one in others:
        assert f"demand {one['number']} came to nothing: its deposit of" in text
    assert f"convicted by {WATCHER.address}, by a demand that was not met" in text


@thorough
async def test_one_moved_element_is_found_though_the_result_is_right(court: World) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    moving = Moving(ModelLibrary(court.settings.model_store))
    async with cheat(court, moving, serve_port=port):
        made = await asked(court)
        async with watching(court, announce=False) as opened:
            case = await decided(opened, made.id)
        await slashed(court, made)
    assert case.state is CaseState.CONVICTED
    assert "instruction 0" in case.reason
    assert "element 0" in case.reason


@thorough
async def test_a_commitment_to_nothing_is_slashed_though_the_result_is_right(court: World) -> None:
    model = await revealing(court, reveal=3)
    async with court.node():
        honest = await asked(court, model)
    story = await court.client.story(honest.id)
    assert story.answered is not None
    made = await court.client.request(
        model, [digit()], operator=court.operator, window=WINDOW_SECONDS
    )
    await claimed_result(court, made, result=story.answered.result, trace_root=ZERO_BYTES32)
    async with watching(court, only=made.id) as opened:
        assert (await decided(opened, made.id)).state is CaseState.CONVICTED
    assert await court.state(made.id) is RequestState.SLASHED


@thorough
async def test_a_lie_that_is_revealed_piece_by_piece_is_convicted(court: World) -> None:
    model = await revealing(court)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    async with cheat(court):
        made = await asked(court, model)
        async with watching(court) as opened:
            case = await decided(opened, made.id)
            assert case.state is CaseState.CONVICTED, case
        assert re.search(r"claimed \S+ \(0x[0-9a-f]{8}\), exact -?[0-9]", case.reason), case.reason
        found = await CourtReader(court.chain.rpc, court.deployment.court).proceedings(
            made.id, 0, (await court.chain.head()).number
        )
        assert found.shown, "the operator showed what was demanded"
        assert found.proven is not None
        await slashed(court, made)
        facts, text = await tell(court.client, made.id)
    assert len(facts["demands"]) == len(found.demands)
    half = format_opg(found.demands[0].deposit // 2)
    assert f"demand 0 was met: of its deposit {half} OPG to the operator, {half} OPG burned" in text


@thorough
async def test_an_honest_operator_answers_every_demand_after_a_restart_too(court: World) -> None:
    model = await revealing(court, reveal=30)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    async with court.node():
        made = await asked(court, model)
        malformed = await court.ask_bytes(b"\x00" * 7, model_id=model, window=WINDOW_SECONDS)
        await court.until_job(malformed.id, JobState.ANSWERED)
    async with watching(court, demand_all=True) as opened:
        # This machine's run has the signed root, so there is nothing to demand.
        assert (await decided(opened, made.id)).state is CaseState.CLEAN
        assert (await decided(opened, malformed.id)).state is CaseState.CLEAN
    # The node is down: a stranger demands an output, of the right rows and of too many.
    demands = [
        await demanded(court, made, rows=1),
        await demanded(court, made, rows=2),
        await demanded(court, malformed, rows=1),
    ]
    assert await court.state(made.id) is RequestState.REVEAL_PENDING
    binding = court.contracts.court
    with capture_logs() as logs:
        async with court.node():

            async def met() -> bool:
                return not any([await binding.is_pending(one) for one in demands])

            await until(met)
            alerts = [one for one in logs if str(one["event"]).startswith("DEMAND")]
            assert len(alerts) == len(demands)
            assert {one["log_level"] for one in alerts} == {"error"}
            for one in (made, malformed):
                assert await court.state(one.id) is RequestState.ANSWERED
            await court.until_settled(made.id, malformed.id)
    head = (await court.chain.head()).number
    reader = CourtReader(court.chain.rpc, court.deployment.court)
    found = await reader.proceedings(made.id, 0, head)
    assert len(found.shown) == 1
    assert found.dismissed is not None
    assert found.dismissed[0] == 1
    assert (await reader.proceedings(malformed.id, 0, head)).dismissed == (0, bytes(32))


def _watch(settings: Settings, wanted: WatcherPolicy) -> None:
    asyncio.run(run_watcher(settings, WATCHER, wanted))
