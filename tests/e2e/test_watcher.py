"""Wrong answers end in a slash, whoever hides what; right ones are left alone. On a real chain."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from oracle.bootstrap.devnet import standing_offer
from oracle.bootstrap.node import Instrument, open_node
from oracle.bootstrap.watcher import OpenWatcher, open_watcher, run_watcher
from oracle.chain.court_contract import CourtBinding, Disputed, decode_logs
from oracle.chain.court_reader import CourtReader
from oracle.chain.proof_coder import encode_place
from oracle.client import Requested
from oracle.core.case import Case, CaseState
from oracle.core.dispute import RevealDemand, RevealDemanded
from oracle.core.job import JobState
from oracle.core.receipt import Answer, AnswerCommitment
from oracle.core.request import RequestState
from oracle.court.opening import open_record
from oracle.court.proof import Place
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund, register_model
from oracle.inference.model_library import ModelLibrary
from oracle.program.compile import load_program
from oracle.program.encoding import encode
from oracle.settings import Settings
from oracle.watcher.policy import WatcherPolicy
from scripts.dishonest_operator import dishonest
from tests.support.dishonest import Moving, traceless
from tests.support.world import DIGITS, OPG, World, digit, until

WATCHER = signer_of(Person.WATCHER)
WINDOW_SECONDS = 40
REVEAL_SECONDS = 8
SECOND_WATCHER = 10

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def court(world: World) -> AsyncIterator[World]:
    """A world whose clock runs, and a watcher with money for deposits."""
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, WATCHER.address, opg=1_000 * OPG)
    await world.chain.rpc.request("evm_setIntervalMining", [1])
    yield world
    await world.chain.rpc.request("evm_setIntervalMining", [0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def announce_endpoint(world: World, url: str) -> None:
    staking = world.contracts.staking
    owner = world.chain.sender(Person.OWNER)
    await owner.send(staking.address, staking.set_endpoint_data(url))


async def revealing(world: World) -> bytes:
    """The digit model with a window to reveal, and the operator's offer for it."""
    contracts, owner = world.contracts, world.chain.sender(Person.OWNER)
    model = await contracts.registry.model(world.models[DIGITS])
    terms = replace(model.terms, challenge_window=WINDOW_SECONDS, reveal_window=REVEAL_SECONDS)
    model_id = await register_model(
        owner, contracts, terms, name="digits-revealed", schema=model.schema, uri=""
    )
    await owner.send(
        contracts.staking.address, contracts.staking.set_offer_data(model_id, standing_offer())
    )
    return model_id


@asynccontextmanager
async def cheat(
    world: World, instrument: Instrument = dishonest, **changes: Any
) -> AsyncIterator[None]:
    """A node that runs cheaper models by default, and serves what it commits to."""
    settings = world.settings.model_copy(update=changes)
    async with open_node(settings, world.operator, instrument=instrument) as node:
        running = asyncio.create_task(node.run())
        try:
            yield
        finally:
            node.stop()
            await running


async def asked(
    world: World, model: bytes | None = None, window: int = WINDOW_SECONDS
) -> Requested:
    """A request of one image, answered."""
    made = await world.client.request(
        model or world.models[DIGITS], [digit()], operator=world.operator, window=WINDOW_SECONDS
    )

    async def answered() -> bool:
        return await world.state(made.id) is RequestState.ANSWERED

    await until(answered)
    return made


def watcher_settings(world: World, name: str = "first") -> Settings:
    folder = world.settings.data_dir / f"watching-{name}"
    folder.mkdir(exist_ok=True)
    models = folder / "models"
    if not models.exists():
        models.symlink_to(world.settings.model_store)
    return world.settings.model_copy(update={"data_dir": folder})


def policy(world: World, **changes: Any) -> WatcherPolicy:
    return replace(WatcherPolicy(start_block=world.deployment.deployed_block), **changes)


@asynccontextmanager
async def watching(world: World, **changes: Any) -> AsyncIterator[OpenWatcher]:
    settings = watcher_settings(world)
    async with open_watcher(settings, WATCHER, policy(world, **changes)) as opened:
        running = asyncio.create_task(opened.watcher.run())
        try:
            yield opened
        finally:
            opened.watcher.stop()
            await running


async def decided(opened: OpenWatcher, request_id: bytes) -> Case:
    """The case of an answer, when it has ended."""

    async def there() -> Case | None:
        cases = await opened.storage.cases.everything()
        return next(
            (one for one in cases if one.request_id == request_id and one.state.ended), None
        )

    try:
        found = await until(there, 90)
    except TimeoutError:
        raise AssertionError(await opened.storage.cases.everything()) from None
    assert found is not None
    return found


async def slashed(world: World, made: Requested) -> None:
    """The operator has lost the bond, and the requester has its fee back."""
    assert await world.state(made.id) is RequestState.SLASHED
    story = await world.client.story(made.id)
    assert story.refund == made.request.fee
    share = await world.contracts.staking.claimable(made.request.requester)
    assert share == made.request.bond // 5
    await world.until_job(made.id, JobState.SLASHED)


async def test_a_cheating_operator_is_convicted_and_an_honest_one_is_not(court: World) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    async with court.node(serve_port=port):
        honest = await asked(court)
        async with watching(court) as opened:
            assert (await decided(opened, honest.id)).state is CaseState.CLEAN
    async with cheat(court, serve_port=port):
        made = await asked(court)
        async with watching(court) as opened:
            case = await decided(opened, made.id)
            assert case.state is CaseState.CONVICTED, case
            assert case.reason.startswith("by this watcher: row 0, instruction"), case.reason
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
        async with watching(court) as first:
            settings = watcher_settings(court, "second")
            async with open_watcher(settings, second, policy(court)) as other:
                running = asyncio.create_task(other.watcher.run())
                ends = [await decided(one, made.id) for one in (first, other)]
                other.watcher.stop()
                await running
        await slashed(court, made)
    assert {one.state for one in ends} == {CaseState.CONVICTED}
    assert sum(one.reason.startswith("by this watcher") for one in ends) == 1
    staking = court.contracts.staking
    paid = [await staking.claimable(one.address) for one in (WATCHER, second)]
    assert sum(paid) == made.request.bond * 3 // 10


async def test_a_watcher_that_is_killed_after_its_announcement_goes_on(court: World) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    binding = CourtBinding(court.chain.rpc, court.deployment.court)
    async with cheat(court, serve_port=port):
        made = await asked(court)
        settings = watcher_settings(court)
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


async def test_silence_is_slashed(court: World) -> None:
    model = await revealing(court)
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


async def test_a_commitment_to_nothing_is_slashed_though_the_result_is_right(court: World) -> None:
    model = await revealing(court)
    async with cheat(court, traceless):
        made = await asked(court, model)
        async with watching(court) as opened:
            assert (await decided(opened, made.id)).state is CaseState.CONVICTED
        await slashed(court, made)


async def test_a_lie_that_is_revealed_piece_by_piece_is_convicted(court: World) -> None:
    model = await revealing(court)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    async with cheat(court):
        made = await asked(court, model)
        async with watching(court) as opened:
            case = await decided(opened, made.id)
            assert case.state is CaseState.CONVICTED, case
        found = await CourtReader(court.chain.rpc, court.deployment.court).proceedings(
            made.id, 0, (await court.chain.head()).number
        )
        assert found.shown, "the operator showed what was demanded"
        assert found.proven is not None
        await slashed(court, made)


async def test_an_honest_operator_answers_every_demand_after_a_restart_too(court: World) -> None:
    model = await revealing(court)
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


async def demanded(world: World, made: Requested, rows: int) -> RevealDemand:
    """A stranger's demand for the first leaf of the first output."""
    sender, contracts = world.chain.sender(Person.RELAYER), world.contracts
    await fund(world.chain.sender(Person.DEPLOYER), contracts, sender.address, opg=100 * OPG)
    story = await world.client.story(made.id)
    assert story.answered is not None
    answered = story.answered
    answer = Answer.of(
        made.id, made.request, answered.operator, answered.result, answered.trace_root
    )
    model = await contracts.registry.model(made.request.model_id)
    library = ModelLibrary(world.settings.model_store)
    program = load_program(library.read_program(model.terms.program_root))
    encoded = encode(program)
    record = open_record(encoded, program.producer[program.outputs[0]] + 1)
    place = encode_place(Place(encoded.header, record, 0, rows, 0, 0, 1))
    disputed = Disputed(made.request, AnswerCommitment.of(answer), model.registrar, model.terms)
    approval = contracts.token.approve_data(contracts.court.address, 100 * OPG)
    await sender.send(contracts.token.address, approval)
    calldata = contracts.court.demand_reveal_data(disputed, place, 50 * OPG)
    (event,) = decode_logs((await sender.send(contracts.court.address, calldata)).logs)
    assert isinstance(event, RevealDemanded)
    return event.demand


def _watch(settings: Settings, wanted: WatcherPolicy) -> None:
    asyncio.run(run_watcher(settings, WATCHER, wanted))
