"""A node that is killed, told to end, or left without its chain loses nothing, repeats nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from oracle.core.job import JobState
from oracle.core.transaction import Purpose, TransactionState
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import SignedTwice, WrongChain
from oracle.service.infer import SIGNATURE_KIND
from tests.support.books import check_books
from tests.support.fault_proxy import (
    Document,
    Dropped,
    Fault,
    Forward,
    fault_proxy,
    lose_reply,
    lose_request,
)
from tests.support.world import OPG, ForkedNode, World, digit, ended, until


def not_to(contract: Address) -> Fault:
    """Drops calls to one contract, and lets the others through."""

    async def fault(asked: Document, forward: Forward) -> Document:
        if str(asked["params"][0]["to"]).lower() == contract.lower():
            raise Dropped
        return await forward(asked)

    return fault


async def test_a_node_killed_at_every_step_answers_once_and_signs_once(world: World) -> None:
    async with fault_proxy(world.chain.url) as proxy:

        async def start() -> ForkedNode:
            return await world.process(rpc_url=proxy.url)

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


async def test_a_lost_reply_does_not_make_a_second_transaction(world: World) -> None:
    async with fault_proxy(world.chain.url) as proxy:
        proxy.on("eth_sendRawTransaction", lose_reply)
        async with world.node(rpc_url=proxy.url):
            made = await world.ask()
            await world.until_settled(made.id)
    totals = await world.storage.jobs.totals()
    assert (totals.transactions, totals.reverted) == (2, 0)


async def test_a_node_without_its_chain_survives_and_catches_up(own_world: World) -> None:
    async with own_world.node(rpc_timeout_seconds=0.3):
        first = await own_world.ask()
        await own_world.until_settled(first.id)
        own_world.chain.suspend()
        await until(lambda: says(own_world, "trouble"))
        own_world.chain.resume()
        second = await own_world.ask()
        await own_world.until_settled(second.id)
    await check_books(own_world)
    assert (await own_world.storage.jobs.totals()).fees_earned == 2 * OPG


async def test_a_chain_that_began_anew_under_its_old_id_ends_the_node(own_world: World) -> None:
    worker = await own_world.worker()
    made = await own_world.ask()
    await own_world.until_settled(made.id)
    own_world.chain.restart()
    try:
        assert await ended(worker) == 4
        log = worker.log_file.read_text()
        assert "none of the blocks this database has read" in log
        assert "try: a local chain that started anew needs a new data directory" in log
        with pytest.raises(WrongChain, match="began anew since the deployment"):
            async with own_world.node():
                pass
    finally:
        own_world.chain.kill()


async def test_a_nonce_that_a_stranger_used_is_given_up_and_the_answer_sent_again(
    world: World,
) -> None:
    stranger = world.chain.sender(Person.SIGNER)
    async with fault_proxy(world.chain.url) as proxy:
        proxy.on("eth_sendRawTransaction", lose_request)
        async with world.node(rpc_url=proxy.url):
            made = await world.ask()
            await world.until_job(made.id, JobState.ANSWERING)
            await stranger.send(stranger.address, value=1)
            proxy.heal()
            await world.until_settled(made.id)
            await until(lambda: none_open(world))
    sent = await world.storage.transactions.transactions_for(made.id)
    assert [one.state for one in sent] == [
        TransactionState.ABANDONED,
        TransactionState.MINED,
        TransactionState.MINED,
    ]
    assert sent[1].nonce == sent[0].nonce + 1


async def none_open(world: World) -> bool:
    signer = signer_of(Person.SIGNER).address
    return not await world.storage.transactions.open_transactions(signer)
