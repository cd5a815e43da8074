"""Operators that show nothing but what they must, as late as they may: convicted all the same."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
import pytest

from oracle.bootstrap.node import open_node
from oracle.bootstrap.watcher import open_watcher
from oracle.chain.court_reader import CourtReader, Proceedings
from oracle.core.case import CaseState
from oracle.core.dispute import RevealDemand
from oracle.core.request import RequestState
from oracle.core.types import Address
from oracle.court.ahead import program_depth
from oracle.devnet.accounts import Person
from oracle.devnet.samples import sample
from oracle.inference.model_library import ModelLibrary
from oracle.program.compile import load_program
from oracle.service.reveal import Reveal
from tests.support.dishonest import Lying
from tests.support.failures import thorough
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
    watcher_settings,
    watching,
)
from tests.support.world import PATIENCE_SECONDS, World, until

pytestmark = pytest.mark.timeout(180)

DEEP = "digits-encoder"


async def proceedings(world: World, request_id: bytes) -> Proceedings:
    head = (await world.chain.head()).number
    return await CourtReader(world.chain.rpc, world.deployment.court).proceedings(
        request_id, 0, head
    )


@thorough
async def test_an_operator_that_reveals_in_the_last_second_does_not_outlast_the_walk(
    court: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await revealing(court, DEEP, window=12, reveal=4)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    library = ModelLibrary(court.settings.model_store)
    terms = (await court.contracts.registry.model(model)).terms
    program = load_program(library.read_program(terms.program_root))
    answer_demand = Reveal._answer
    late: list[int] = []

    async def in_the_last_second(self: Reveal, demand: RevealDemand) -> bool:
        if await court.chain.time() < demand.deadline - 2:
            return False
        late.append(demand.number)
        return await answer_demand(self, demand)

    monkeypatch.setattr(Reveal, "_answer", in_the_last_second)
    images, _ = sample(DEEP).held_out_samples()
    async with cheat(court, Lying(library, 30)):
        made = await asked(
            court, model, np.ascontiguousarray(images[:1]), window=12, time_to_answer=20
        )
        limit = await court.contracts.oracle.dispute_limit(made.request)
        left = limit - await court.chain.time()
        assert left < 4 * program_depth(program), "a step a window would not do"
        async with watching(court) as opened:
            case = await decided(opened, made.id)
    assert case.state is CaseState.CONVICTED, case
    assert await court.state(made.id) is RequestState.SLASHED
    assert await court.chain.time() < limit
    found = await proceedings(court, made.id)
    assert found.proven is not None, "by a proof, not by a demand that was not met"
    assert len(found.shown) == len(found.demands)
    assert late, "nothing was shown before"


@thorough
async def test_a_node_says_what_is_demanded_and_drains_after_it(
    court: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await revealing(court, reveal=30)
    answer_demand = Reveal._answer
    held = asyncio.Event()

    async def when_let(self: Reveal, demand: RevealDemand) -> bool:
        return held.is_set() and await answer_demand(self, demand)

    monkeypatch.setattr(Reveal, "_answer", when_let)
    async with open_node(court.settings, court.operator) as node:
        running = asyncio.create_task(node.run())
        made = await asked(court, model)
        demand = await demanded(court, made, rows=1)

        async def noted() -> bool:
            return bool(await court.storage.demands.pending())

        await until(noted)
        (shown,) = (await status(court))["demands"]
        assert shown["request"] == "0x" + made.id.hex()
        assert shown["leaves"] == "0 to 0"
        assert 0 < shown["seconds_left"] <= 30
        node.drain()
        await asyncio.sleep(1)
        assert not running.done(), "it owes an answer"
        held.set()
        await asyncio.wait_for(running, PATIENCE_SECONDS)
    assert not await court.contracts.court.is_pending(demand)
    assert (await proceedings(court, made.id)).shown
    assert await court.state(made.id) is RequestState.ANSWERED


async def status(world: World) -> dict[str, Any]:
    """What `oracle node status` says."""
    command = ["--config", str(world.write_settings()), "node", "status", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "oracle", *command, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out)
    return found


@thorough
async def test_a_malformed_input_that_was_run_all_the_same_is_convicted(court: World) -> None:
    """The operator claims a result for an input that is none, and shows no trace."""
    model = await revealing(court, reveal=3)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    made = await court.ask_bytes(b"\x00" * 7, model_id=model, window=WINDOW_SECONDS)
    await claimed_result(court, made, result=b"\x00" * 48, trace_root=b"\x3c" * 32)
    async with watching(court) as opened:
        case = await decided(opened, made.id)
    assert case.state is CaseState.CONVICTED, case
    assert "malformed input" in case.reason
    assert await court.state(made.id) is RequestState.SLASHED
    assert (await proceedings(court, made.id)).proven is None, "nothing was shown"


@thorough
async def test_a_malformed_input_whose_run_is_revealed_is_convicted_by_its_rows(
    court: World,
) -> None:
    """As above, by a node that commits to a run of something else, and shows what is demanded."""
    model = await revealing(court)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    async with court.node():
        honest = await asked(court, model)
        story = await court.client.story(honest.id)
        assert story.answered is not None
        root, result = story.answered.trace_root, story.answered.result
    taken = await court.ask_bytes(b"\x00" * 7, model_id=model, window=WINDOW_SECONDS)
    await claimed_result(court, taken, result=result, trace_root=root)
    async with court.node(), watching(court, only=taken.id) as opened:
        case = await decided(opened, taken.id)
    assert case.state is CaseState.CONVICTED, case
    found = await proceedings(court, taken.id)
    assert found.proven is not None
    assert "a trace of 1 rows of an input of 0" in case.reason


class Hidden:
    """The court as an operator calls it that hides what it reveals: through a contract of its own
    that takes the calldata after a byte of its own."""

    def __init__(self, court: Any, relay: Address) -> None:
        self._court = court
        self.address = relay

    async def is_pending(self, demand: RevealDemand) -> bool:
        return bool(await self._court.is_pending(demand))

    def reveal_data(self, *arguments: Any) -> bytes:
        return b"\x01" + bytes(self._court.reveal_data(*arguments))

    def meets(self, data: bytes, *arguments: Any) -> bool:
        return bool(self._court.meets(data[1:], *arguments))


async def relay(world: World) -> Address:
    """A contract that passes on all but the first byte of its calldata to the court."""
    runtime = (
        "60013603806001600037"  # calldata from the second byte on
        "3d3d823d3d73" + world.deployment.court[2:] + "5af1"  # call(court)
        "602d57600080fd5b00"  # revert where it does
    )
    owner = world.chain.sender(Person.OWNER)
    sent: str = await world.chain.rpc.request(
        "eth_sendTransaction",
        [{"from": owner.address, "data": "0x602f8060093d393df3" + runtime, "gas": hex(200_000)}],
    )

    async def mined() -> dict[str, Any] | None:
        found: dict[str, Any] | None = await world.chain.rpc.request(
            "eth_getTransactionReceipt", [sent]
        )
        return found

    receipt = await until(mined)
    assert receipt is not None
    return Address(receipt["contractAddress"])


async def convicted(court: World, request_id: bytes) -> bool:
    return await court.state(request_id) is RequestState.SLASHED


@thorough
async def test_what_is_revealed_through_another_contract_is_seen_all_the_same(
    court: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await revealing(court)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    through = await relay(court)
    answer_demand = Reveal._answer

    async def hidden(self: Reveal, demand: RevealDemand) -> bool:
        if not isinstance(self._court, Hidden):
            self._court = Hidden(self._court, through)  # type: ignore[assignment]
        return await answer_demand(self, demand)

    monkeypatch.setattr(Reveal, "_answer", hidden)
    async with cheat(court):
        made = await asked(court, model)
        async with open_watcher(watcher_settings(court), WATCHER, policy(court)) as opened:
            running = asyncio.create_task(opened.watcher.run())
            await until(lambda: convicted(court, made.id))
            opened.watcher.stop()
            await running
    found = await proceedings(court, made.id)
    assert found.proven is not None
