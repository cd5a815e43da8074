"""Somebody else uses the node's key, its nonce drifts, or one of its nonces is left to nobody."""

from __future__ import annotations

from oracle.chain.wire import to_hex
from oracle.core.job import JobState
from oracle.core.transaction import Purpose, TransactionState
from oracle.devnet.accounts import Person
from tests.chaos.acts import SIGNER, answers_to, foreign, states, until_sent
from tests.support.failures import failure, thorough
from tests.support.fault_proxy import FaultProxy, lose_request, refuse
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import World, digit

ALERT = "somebody else sends with this node's key"


async def latest_nonce(world: World) -> int:
    return await world.client.gateway.next_nonce(SIGNER.address, pending=False)


@failure(12, "somebody sends with the key while an answer waits")
async def test_an_answer_whose_nonce_was_taken_is_sent_with_the_next(
    world: World, proxy: FaultProxy
) -> None:
    proxy.on("eth_sendRawTransaction", lose_request)
    await world.process(rpc_url=proxy.url)
    made = await world.ask()
    await world.until_job(made.id, JobState.ANSWERING)
    stranger = world.chain.sender(Person.SIGNER)
    await stranger.send(stranger.address, value=1)
    proxy.heal()
    await world.until_settled(made.id)
    await settle_down(world)
    sent = await answers_to(world, made.id)
    assert states(sent) == [TransactionState.ABANDONED, TransactionState.MINED]
    assert sent[1].nonce == sent[0].nonce + 1
    assert len(world.logged(ALERT)) == 1
    await check_invariants(world)


@thorough
@failure(12, "somebody sends with the key while the node is idle")
async def test_nonces_that_were_taken_meanwhile_are_skipped_with_one_alert(world: World) -> None:
    await world.process()
    first = await world.ask()
    await world.until_settled(first.id)
    await settle_down(world)
    nonce = await latest_nonce(world)
    for number in range(3):
        raw = await foreign(world, nonce + number)
        await world.chain.rpc.request("eth_sendRawTransaction", [to_hex(raw)])
    second = await world.ask()
    await world.until_settled(second.id)
    await settle_down(world)
    (alert,) = world.logged(ALERT)
    assert (alert["first"], alert["last"]) == (nonce, nonce + 2)
    await check_invariants(world)


@failure(12, "the chain's nonce is ahead: anvil_setNonce")
async def test_a_nonce_that_drifted_ahead_is_followed_with_one_alert(world: World) -> None:
    made = await world.ask()
    await world.chain.automine(False)
    await world.process()
    sent = await until_sent(world, made.id, Purpose.ANSWER)
    await world.chain.set_nonce(SIGNER.address, sent.nonce + 5)
    await world.chain.drop(sent.attempts[0].hash)
    await world.chain.automine(True)
    await world.chain.mine()
    await world.until_settled(made.id)
    await settle_down(world)
    before, after = await answers_to(world, made.id)
    assert (before.state, after.state) == (TransactionState.ABANDONED, TransactionState.MINED)
    assert after.nonce == sent.nonce + 5
    assert len(world.logged(ALERT)) == 1
    await check_invariants(world)


@failure(12, "a transaction that the node refuses for good leaves a gap")
async def test_a_nonce_that_nobody_will_use_is_used_up_so_that_the_others_go_on(
    world: World, proxy: FaultProxy
) -> None:
    asked = [await world.ask(digit(number)) for number in range(3)]
    proxy.on("eth_sendRawTransaction", refuse(-32000, "oversized data"), times=1)
    await world.process(rpc_url=proxy.url, answer_batch=1)
    await world.until_settled(*(made.id for made in asked))
    await settle_down(world)
    given_up = [
        one
        for made in asked
        for one in await answers_to(world, made.id)
        if one.state is TransactionState.ABANDONED
    ]
    assert len(given_up) == 1
    assert len(world.logged("transaction given up")) == 1
    # Whether others were behind it by then decides who uses the nonce: they, or a transfer.
    assert len(world.logged("nonce gap")) == len(
        world.logged("nonce used up by a transfer to ourselves")
    )
    assert await latest_nonce(world) > given_up[0].nonce
    await check_invariants(world)
