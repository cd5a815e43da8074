"""The chain changes its mind: requests vanish, move and come back, answers are mined again."""

from __future__ import annotations

from oracle.chain.wire import to_hex
from oracle.core.job import JobState
from oracle.core.request import RequestState
from oracle.core.transaction import Purpose
from tests.e2e.test_durability import not_to
from tests.support.books import check_books
from tests.support.fault_proxy import fault_proxy
from tests.support.world import OPG, World


async def test_a_request_that_vanishes_is_orphaned_and_nothing_is_sent(own_world: World) -> None:
    """Also where all that was ever read is gone with it: the node has read one range."""
    world = own_world
    made = await world.ask()
    raw = await world.chain.raw_transaction(made.sent.hash)
    async with fault_proxy(world.chain.url) as proxy:
        proxy.on("eth_call", not_to(world.deployment.oracle))
        async with world.node(rpc_url=proxy.url):
            computed = await world.until_job(made.id, JobState.COMPUTED)
            await world.chain.reorg(1)
            orphan = await world.until_job(made.id, JobState.ORPHANED)
            proxy.heal()
            assert orphan.signature == computed.signature
            assert await world.storage.transactions.transactions_for(made.id) == []

            # The same transaction is mined after all.
            await world.chain.rpc.request("eth_sendRawTransaction", [to_hex(raw)])
            (settled,) = await world.until_settled(made.id)
    assert settled.signature == computed.signature
    assert settled.inference_seconds == computed.inference_seconds
    await check_books(world)


async def test_a_request_that_moves_is_answered_once_at_its_new_place(own_world: World) -> None:
    world = own_world
    await world.chain.mine(2)
    async with world.node(answer_batch=1):
        earlier = await world.ask()
        await world.until_settled(earlier.id)
    made = await world.ask()
    raw = await world.chain.raw_transaction(made.sent.hash)
    async with fault_proxy(world.chain.url) as proxy:
        proxy.on("eth_call", not_to(world.deployment.oracle))
        async with world.node(rpc_url=proxy.url):
            before = await world.until_job(made.id, JobState.COMPUTED)
            await world.chain.reorg(1, [(raw, 0)])
            proxy.heal()
            (after,) = await world.until_settled(made.id)
    assert after.block_hash != before.block_hash
    assert after.signature == before.signature
    await check_books(world)


async def test_an_answer_that_is_unmined_is_sent_again_with_the_same_bytes(
    own_world: World,
) -> None:
    world = own_world
    async with world.node():
        made = await world.ask()
        answered = await world.until_job(made.id, JobState.ANSWERED)
        await world.chain.reorg(1)
        await world.until_job(made.id, JobState.ANSWERING, JobState.ANSWERED)
        (settled,) = await world.until_settled(made.id)
    assert settled.signature == answered.signature
    sent = await world.storage.transactions.transactions_for(made.id)
    assert [one.purpose for one in sent] == [Purpose.ANSWER, Purpose.SETTLE]
    assert len(sent[0].attempts) == 1
    await check_books(world)


async def test_a_settlement_that_is_unmined_earns_its_fee_once(own_world: World) -> None:
    world = own_world
    async with world.node():
        made = await world.ask()
        await world.until_settled(made.id)
        await world.chain.reorg(1)
        await world.until_job(made.id, JobState.SETTLING)
        assert (await world.storage.jobs.totals()).fees_earned == 0
        await world.until_settled(made.id)
    assert (await world.storage.jobs.totals()).fees_earned == OPG
    await check_books(world)


async def test_an_acceptance_that_is_unmined_is_mined_again_before_the_answer(
    own_world: World,
) -> None:
    world = own_world
    async with fault_proxy(world.chain.url) as proxy:
        proxy.on("eth_call", not_to(world.deployment.oracle))
        made = await world.ask(fee=OPG, open_to_all=True)
        async with world.node(rpc_url=proxy.url):
            await world.until_job(made.id, JobState.COMPUTED)
            await world.chain.reorg(1)
            assert await world.state(made.id) is RequestState.REQUESTED
            proxy.heal()
            await world.until_settled(made.id)
    await check_books(world)
