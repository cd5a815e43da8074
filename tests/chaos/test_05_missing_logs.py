"""The endpoint leaves out logs and says nothing: the contract's own counter says it."""

from __future__ import annotations

import pytest

from oracle.chain import abi
from oracle.core.job import JobState
from oracle.core.request import RequestState
from tests.support.failures import failure
from tests.support.fault_proxy import Document, FaultProxy, Forward, change
from tests.support.invariants import check_invariants, settle_down, until_green, until_red
from tests.support.watching import asked, demanded, revealing
from tests.support.world import World, until


@failure(5, "one reply is empty")
async def test_what_one_reply_left_out_is_read_again(world: World, proxy: FaultProxy) -> None:
    emptied: list[int] = []

    async def forgets_once(asked: Document, forward: Forward) -> Document:
        given = await forward(asked)
        if not emptied and given.get("result"):
            emptied.append(len(given["result"]))
            return {"result": []}
        return given

    made = await world.ask()
    proxy.on("eth_getLogs", forgets_once)
    await world.process(rpc_url=proxy.url)
    await world.until_settled(made.id)
    await settle_down(world)
    assert emptied
    await until_green(world)
    await check_invariants(world)


@failure(5, "every reply is empty, for a while")
async def test_a_node_is_red_while_its_endpoint_keeps_a_request_from_it(
    world: World, proxy: FaultProxy
) -> None:
    await world.process(rpc_url=proxy.url)
    proxy.on("eth_getLogs", change(lambda logs: []))
    made = await world.ask()
    await until_red(world, about="lack 1 of the")
    assert await world.job(made.id) is None
    proxy.heal()

    async def found() -> bool:
        await world.chain.mine()
        return await world.job(made.id) is not None

    await until(found)
    await world.until_settled(made.id)
    await settle_down(world)
    await until_green(world)
    await check_invariants(world)


@failure(5, "a reply is empty, and the node is killed before it has looked at the count")
async def test_what_was_left_out_before_a_kill_is_missed_after_it(
    world: World, proxy: FaultProxy
) -> None:
    killed = await world.process(rpc_url=proxy.url)
    proxy.on("eth_getLogs", change(lambda logs: []))
    made = await world.ask()
    bound_in = await world.chain.head()

    async def passed_over() -> bool:
        cursor = await world.storage.jobs.cursor()
        return cursor is not None and cursor.number >= bound_in.number

    await until(passed_over)
    await killed.kill()
    assert await world.job(made.id) is None
    proxy.heal()
    await world.process(rpc_url=proxy.url)
    await world.until_settled(made.id)
    await settle_down(world)
    await until_green(world)
    await check_invariants(world)


@pytest.mark.timeout(120)
@failure(5, "the log of a demand on an answer is left out")
async def test_a_demand_that_is_kept_from_a_node_is_counted_and_met_in_time(
    world: World, proxy: FaultProxy
) -> None:
    topic = "0x" + abi.load("DisputeManager").events["RevealDemanded"].topic.hex()
    await world.chain.rpc.request("evm_setIntervalMining", [1])
    proxy.on("eth_getLogs", change(lambda logs: [one for one in logs if one["topics"][0] != topic]))
    model = await revealing(world, reveal=30)
    await world.process(rpc_url=proxy.url)
    made = await asked(world, model)
    await demanded(world, made, rows=1)
    await until_red(world, about="lack demands on 1 of our answers")
    proxy.heal()

    async def met() -> bool:
        return await world.contracts.court.demands(made.id) == (1, 0)

    await until(met)
    assert await world.state(made.id) is RequestState.ANSWERED
    await until_green(world)
    await world.chain.rpc.request("evm_setIntervalMining", [0])


@pytest.mark.parametrize("event", ["RequestAnswered", "RequestSettled"])
@failure(5, "the log of our own transaction is left out, which no counter counts")
async def test_what_the_chain_knows_of_our_own_jobs_is_found_again(
    world: World, proxy: FaultProxy, event: str
) -> None:
    topic = "0x" + abi.load("InferenceOracle").events[event].topic.hex()
    left_out: list[str] = []

    async def forgets_once(asked: Document, forward: Forward) -> Document:
        given = await forward(asked)
        logs = given.get("result") or []
        if not left_out and any(one["topics"][0] == topic for one in logs):
            left_out.append(event)
            return {"result": [one for one in logs if one["topics"][0] != topic]}
        return given

    proxy.on("eth_getLogs", forgets_once)
    await world.process(rpc_url=proxy.url)
    made = await world.ask()

    async def settled() -> bool:
        job = await world.job(made.id)
        await world.chain.mine()
        return job is not None and job.state is JobState.SETTLED

    await until(settled)
    assert left_out
    await settle_down(world)
    assert world.logged("the chain has moved jobs on without a log")
    await until_green(world)
    await check_invariants(world)
