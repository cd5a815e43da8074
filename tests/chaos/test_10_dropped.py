"""A pool that forgets: what it had is sent again, with the same nonce and the same bytes."""

from __future__ import annotations

from oracle.core.job import JobState
from oracle.core.transaction import Purpose
from tests.chaos.acts import SIGNER, answers_to, raw_of, until_sent
from tests.support.failures import failure, thorough
from tests.support.fault_proxy import FaultProxy, lose_request
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import World, digit, until


async def pooled(world: World) -> int:
    """How many transactions of ours the pool holds."""
    pool = (await world.chain.pool())["pending"]
    return sum(len(one) for who, one in pool.items() if who.lower() == SIGNER.address.lower())


@failure(10, "one transaction")
async def test_a_dropped_transaction_is_sent_again_with_the_same_bytes(
    world: World, proxy: FaultProxy
) -> None:
    made = await world.ask()
    await world.chain.automine(False)
    await world.process(rpc_url=proxy.url, resend_seconds=0.5, bump_seconds=600.0)
    before = await until_sent(world, made.id, Purpose.ANSWER)
    proxy.on("eth_sendRawTransaction", lose_request)  # else it may be back before one looks

    async def dropped() -> bool:
        await world.chain.drop(before.attempts[0].hash)
        return await pooled(world) == 0

    await until(dropped)
    proxy.heal()

    async def back() -> bool:
        return await pooled(world) == 1

    await until(back)
    await world.chain.mine()
    await world.chain.automine(True)
    await world.until_settled(made.id)
    await settle_down(world)
    (after,) = await answers_to(world, made.id)
    assert raw_of(after) == raw_of(before)
    await check_invariants(world)


@thorough
@failure(10, "the first of several, so that the others wait behind its nonce")
async def test_a_dropped_transaction_holds_up_the_others_no_longer_than_it_takes(
    world: World,
) -> None:
    asked = [await world.ask(digit(number)) for number in range(3)]
    await world.chain.automine(False)
    await world.process(resend_seconds=0.5, answer_batch=1, bump_seconds=600.0)
    sent = [await until_sent(world, made.id, Purpose.ANSWER) for made in asked]
    first = min(sent, key=lambda one: one.nonce)
    await world.chain.drop(first.attempts[0].hash)

    async def back() -> bool:
        return await pooled(world) == 3

    await until(back)
    await world.chain.mine()
    await world.chain.automine(True)
    await world.until_settled(*(made.id for made in asked))
    await settle_down(world)
    for made in asked:
        job = await world.job(made.id)
        assert job is not None
        assert job.state is JobState.SETTLED
        assert len((await answers_to(world, made.id))[0].attempts) == 1
    await check_invariants(world)
