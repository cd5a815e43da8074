"""A node that is killed, or told to end, loses nothing and repeats nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from oracle.core.job import JobState
from oracle.core.request import RequestState
from oracle.core.transaction import Purpose, TransactionState
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import SignedTwice
from oracle.service.sign import SIGNATURE_KIND
from tests.chaos.acts import not_to
from tests.support.fault_proxy import (
    fault_proxy,
    lose_reply,
)
from tests.support.invariants import settle_down
from tests.support.world import ForkedNode, World, digit, until


async def test_a_node_killed_at_every_step_answers_once_and_signs_once(world: World) -> None:
    async with fault_proxy(world.chain.url) as proxy:

        async def start() -> ForkedNode:
            # However long it takes to start again, no fee is raised.
            return await world.process(rpc_url=proxy.url, bump_seconds=600.0)

        # Killed when it has seen the request, before the model ran.
        proxy.on("eth_call", not_to(world.deployment.registry))
        worker = await start()
        made = await world.ask()
        await world.until_job(made.id, JobState.ACCEPTED)
        await worker.kill()

        # Killed when the result is computed and signed, before it was sent.
        proxy.heal()
        proxy.on("eth_call", not_to(world.deployment.oracle))
        worker = await start()
        computed = await world.until_job(made.id, JobState.COMPUTED)
        await worker.kill()

        # Killed when it is in the pool, of which the node knows nothing.
        proxy.heal()
        proxy.on("eth_sendRawTransaction", lose_reply)
        await world.chain.automine(False)
        worker = await start()
        await until(lambda: in_pool(world))
        await worker.kill()

        proxy.heal()
        await world.chain.mine()
        await world.chain.automine(True)
        worker = await start()
        answered = await world.until_job(made.id, JobState.ANSWERED)
        # Told to end while the settlement is in the pool: it is waited for.
        await world.chain.travel_past(answered.settle_at or 0)
        await world.chain.automine(False)
        await world.until_job(made.id, JobState.SETTLING, JobState.SETTLED)
        worker.signal(signal.SIGTERM)
        assert await ended_while(worker, world.chain.mine) == 0
    # It ends when its jobs have; that the last transaction was mined, the next one writes down.
    async with world.node():
        await settle_down(world)
    settled = await world.until_job(made.id, JobState.SETTLED)
    assert settled.signature == computed.signature
    assert settled.session == computed.session
    assert settled.inference_seconds == computed.inference_seconds
    sent = await world.storage.transactions.transactions_for(made.id)
    assert [one.purpose for one in sent] == [Purpose.ANSWER, Purpose.SETTLE]
    assert [len(one.attempts) for one in sent] == [1, 1]
    assert {one.state for one in sent} == {TransactionState.MINED}


async def in_pool(world: World) -> bool:
    signer = signer_of(Person.SIGNER).address
    pending = await world.client.gateway.next_nonce(signer, pending=True)
    return pending > await world.client.gateway.next_nonce(signer, pending=False)


async def ended_while(worker: ForkedNode, step: Callable[[], Awaitable[None]]) -> int | None:
    """The exit code of a worker that waits for something to go on."""

    async def over() -> bool:
        await step()
        return not worker.running

    await until(over)
    return await worker.exit_code()


async def test_a_second_signal_ends_a_node_at_once_and_the_next_goes_on(world: World) -> None:
    await world.chain.automine(False)
    worker = await world.process()
    made = await bound(world)
    await world.until_job(made, JobState.ANSWERING)
    worker.signal(signal.SIGTERM)
    await until(lambda: says(world, "draining"))
    worker.signal(signal.SIGTERM)
    assert await worker.exit_code() == 0
    job = await world.job(made)
    assert job is not None
    assert job.state is JobState.ANSWERING
    await world.chain.mine()
    await world.chain.automine(True)
    async with world.node():
        await world.until_settled(made)


async def bound(world: World) -> bytes:
    """A bound request on a chain that mines on demand."""
    oracle = world.contracts.oracle
    sender = world.client.sender
    params = await world.params()
    nonce = (await oracle.account(sender.address)).nonce
    message = {
        "from": sender.address,
        "to": oracle.address,
        "data": "0x" + oracle.request_data(params, digit().tobytes()).hex(),
    }
    # Anvil signs for its own accounts.
    await world.chain.rpc.request("eth_sendTransaction", [message])
    await world.chain.mine()
    head = (await world.chain.head()).number
    logs = await world.client.rpc.request(
        "eth_getLogs",
        [{"fromBlock": hex(head), "toBlock": hex(head), "address": oracle.address}],
    )
    assert nonce + 1 == (await oracle.account(sender.address)).nonce
    return bytes.fromhex(logs[0]["topics"][1][2:])


async def says(world: World, what: str) -> Any:
    """A field of the heartbeat."""
    return json.loads((world.settings.data_dir / "node.json").read_text())[what]


async def test_a_model_that_gives_two_results_is_not_signed_for_twice(world: World) -> None:
    """Its request fails alone: those that share its batch are answered."""
    spoilt = await world.ask()
    good = await world.ask(digit(1))
    jobs = world.storage.jobs
    await jobs.reserve_signatures(SIGNATURE_KIND, [(spoilt.id, b"\x07" * 32)])
    async with world.node():
        failed = await world.until_job(spoilt.id, JobState.FAILED)
        await world.until_settled(good.id)
    assert failed.signature is None
    assert failed.reason is not None
    assert failed.reason.startswith("refused to sign a second answer")
    with pytest.raises(SignedTwice):
        await jobs.reserve_signatures(SIGNATURE_KIND, [(spoilt.id, b"\x08" * 32)])


async def test_an_answer_whose_database_is_lost_is_settled_all_the_same(world: World) -> None:
    """What it takes is on the chain; nothing is signed for that request again."""
    node = await world.process()
    made = await world.ask(window=60)
    answered = await world.until_job(made.id, JobState.ANSWERED)
    await node.kill()
    elsewhere = world.settings.data_dir / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "models").symlink_to(world.settings.model_store)
    await world.chain.travel_past(answered.settle_at or 0)

    async def settled() -> bool:
        return await world.state(made.id) is RequestState.SETTLED

    async with world.node(data_dir=elsewhere):
        await until(settled)
