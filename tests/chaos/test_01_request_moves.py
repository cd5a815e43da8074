"""A short reorg removes a request, moves it, or undoes what ended it."""

from __future__ import annotations

from oracle.chain.wire import to_hex
from oracle.core.job import JobState
from oracle.core.request import RequestState
from tests.chaos.acts import not_to, sent_for
from tests.support.failures import failure, thorough
from tests.support.fault_proxy import FaultProxy, lose_request
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import OPG, World


@failure(1, "the request vanishes, and comes back later")
async def test_a_request_that_vanishes_is_orphaned_and_nothing_is_sent(
    arena: World, arena_proxy: FaultProxy
) -> None:
    made = await arena.ask()
    raw = await arena.chain.raw_transaction(made.sent.hash)
    arena_proxy.on("eth_call", not_to(arena.deployment.oracle))
    await arena.process(rpc_url=arena_proxy.url)
    computed = await arena.until_job(made.id, JobState.COMPUTED)
    await arena.chain.reorg(1)
    orphan = await arena.until_job(made.id, JobState.ORPHANED)
    arena_proxy.heal()
    assert orphan.signature == computed.signature
    await settle_down(arena)
    assert await sent_for(arena, made.id) == []
    await check_invariants(arena)

    # The same transaction is mined after all.
    await arena.chain.rpc.request("eth_sendRawTransaction", [to_hex(raw)])
    (settled,) = await arena.until_settled(made.id)
    assert settled.signature == computed.signature
    assert settled.inference_seconds == computed.inference_seconds
    await settle_down(arena)
    await check_invariants(arena)


@thorough
@failure(1, "the request moves to another block")
async def test_a_request_that_moves_is_answered_once_at_its_new_place(
    arena: World, arena_proxy: FaultProxy
) -> None:
    await arena.chain.mine(2)
    made = await arena.ask()
    raw = await arena.chain.raw_transaction(made.sent.hash)
    arena_proxy.on("eth_call", not_to(arena.deployment.oracle))
    await arena.process(rpc_url=arena_proxy.url)
    before = await arena.until_job(made.id, JobState.COMPUTED)
    await arena.chain.reorg(2, [(raw, 1)])
    arena_proxy.heal()
    (after,) = await arena.until_settled(made.id)
    assert after.block_hash != before.block_hash
    assert after.signature == before.signature
    await settle_down(arena)
    await check_invariants(arena)


@failure(1, "the request is taken back, and then it is not")
async def test_a_cancellation_that_is_undone_leaves_the_request_to_be_served(
    arena: World, arena_proxy: FaultProxy
) -> None:
    arena_proxy.on("eth_estimateGas", lose_request)
    made = await arena.ask(fee=OPG, open_to_all=True)
    await arena.process(rpc_url=arena_proxy.url)
    await arena.until_job(made.id, JobState.ADMITTED)
    await arena.client.cancel(made.id)
    lost = await arena.until_job(made.id, JobState.LOST)
    assert lost.reason == "cancelled"
    await arena.chain.reorg(1)
    arena_proxy.heal()
    (settled,) = await arena.until_settled(made.id)
    assert settled.fee_earned == OPG
    await settle_down(arena)
    await check_invariants(arena)


@thorough
@failure(1, "our acceptance is un-mined")
async def test_an_acceptance_that_is_unmined_is_mined_again_before_the_answer(
    arena: World, arena_proxy: FaultProxy
) -> None:
    arena_proxy.on("eth_call", not_to(arena.deployment.oracle))
    made = await arena.ask(fee=OPG, open_to_all=True)
    await arena.process(rpc_url=arena_proxy.url)
    computed = await arena.until_job(made.id, JobState.COMPUTED)
    await arena.chain.reorg(1)
    assert await arena.state(made.id) is RequestState.REQUESTED
    arena_proxy.heal()
    (settled,) = await arena.until_settled(made.id)
    assert settled.signature == computed.signature
    assert len(await sent_for(arena, made.id)) == 3
    await settle_down(arena)
    await check_invariants(arena)
