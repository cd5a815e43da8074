"""Gas grows dear while a transaction waits; a pool as on public chains stands in front of anvil."""

from __future__ import annotations

from itertools import pairwise

from oracle.core.job import JobState
from oracle.core.transaction import Purpose
from tests.chaos.acts import answers_to, until_sent
from tests.support.failures import failure, thorough
from tests.support.fault_proxy import FaultProxy
from tests.support.fee_market import FeeMarket
from tests.support.invariants import check_invariants, settle_down, until_green, until_red
from tests.support.world import World, until

GWEI = 10**9
HASTY = {"bump_seconds": 0.4, "resend_seconds": 0.4, "breaker_failures": 0}


async def attempts_of(world: World, request_id: bytes) -> int:
    return sum(len(one.attempts) for one in await answers_to(world, request_id))


@failure(11, "the base fee rises fiftyfold and the pool forgets what is below it")
async def test_a_fee_spike_is_followed_at_once(world: World) -> None:
    made = await world.ask()
    await world.chain.automine(False)
    await world.process(**HASTY)
    before = await until_sent(world, made.id, Purpose.ANSWER)
    spike = 50 * before.attempts[0].fees.max_fee
    await world.chain.base_fee(spike)
    await world.chain.mine()

    async def dearer() -> bool:
        (now,) = await answers_to(world, made.id)
        return now.attempts[-1].fees.max_fee > spike

    await until(dearer)
    await world.chain.automine(True)
    await world.chain.mine()
    await world.until_job(made.id, JobState.ANSWERED, JobState.SETTLING, JobState.SETTLED)
    (answer,) = await answers_to(world, made.id)
    # By what the chain asks, not by twenty per cent at a time.
    fees = [one.fees.max_fee for one in answer.attempts]
    below, above = next(pair for pair in pairwise(fees) if pair[1] > spike)
    assert above > 2 * below
    await world.until_settled(made.id)
    await settle_down(world)
    await check_invariants(world)


@failure(11, "a pool holds it for good; each replacement raises both fees by 10% at least")
async def test_a_stuck_transaction_is_replaced_by_the_rule_until_it_is_taken(
    world: World, proxy: FaultProxy
) -> None:
    market = FeeMarket(proxy, floor_wei=60 * GWEI, hold=True)
    await world.process(rpc_url=proxy.url, **HASTY)
    made = await world.ask()
    first = await until_sent(world, made.id, Purpose.ANSWER)
    market.floor_wei = 2 * first.attempts[0].fees.max_fee
    await world.until_job(made.id, JobState.ANSWERED, JobState.SETTLING, JobState.SETTLED)
    (answer,) = await answers_to(world, made.id)
    assert len(answer.attempts) > 3
    for lower, higher in pairwise(answer.attempts):
        assert 10 * higher.fees.max_fee >= 11 * lower.fees.max_fee
        assert 10 * higher.fees.max_priority_fee >= 11 * lower.fees.max_priority_fee
    assert "replacement transaction underpriced" not in market.refused
    await market.fall()
    await world.until_settled(made.id)
    await settle_down(world)
    await check_invariants(world)


@thorough
@failure(11, "an early attempt is mined after it was replaced")
async def test_any_attempt_that_is_mined_closes_the_job(world: World, proxy: FaultProxy) -> None:
    market = FeeMarket(proxy, floor_wei=10**6 * GWEI, hold=True)
    await world.process(rpc_url=proxy.url, **HASTY)
    made = await world.ask()

    async def replaced() -> bool:
        return await attempts_of(world, made.id) >= 3

    await until(replaced)
    (sent,) = await answers_to(world, made.id)
    # Another node kept the first one, and its miner takes that.
    await world.chain.rpc.request("eth_sendRawTransaction", ["0x" + sent.attempts[0].raw.hex()])
    await market.fall()
    await world.until_settled(made.id)
    await settle_down(world)
    (closed,) = await answers_to(world, made.id)
    assert closed.mined is not None
    assert closed.mined.attempt_hash == sent.attempts[0].hash
    await check_invariants(world)


@thorough
@failure(11, "dearer than the cap: red, and it goes on when the fees have fallen")
async def test_fees_end_at_the_cap_and_the_node_says_so(world: World, proxy: FaultProxy) -> None:
    market = FeeMarket(proxy, floor_wei=100 * GWEI)
    await world.process(rpc_url=proxy.url, max_fee_gwei=4.0, **HASTY)
    made = await world.ask()
    await until_red(world, about="max_fee_gwei")
    (waiting,) = await answers_to(world, made.id)
    assert max(one.fees.max_fee for one in waiting.attempts) <= 4 * GWEI
    assert set(market.refused) <= {
        "transaction underpriced",
        "already known",
        "replacement transaction underpriced",
    }
    await market.fall()
    await world.until_settled(made.id)
    await settle_down(world)
    await until_green(world)
    await check_invariants(world)


@thorough
@failure(11, "the node refuses what is below the floor until the bump is above it")
async def test_what_is_refused_as_underpriced_is_offered_more_for(
    world: World, proxy: FaultProxy
) -> None:
    market = FeeMarket(proxy, floor_wei=8 * GWEI)
    await world.process(rpc_url=proxy.url, **HASTY)
    made = await world.ask()
    await world.until_job(made.id, JobState.ANSWERED, JobState.SETTLING, JobState.SETTLED)
    assert "transaction underpriced" in market.refused
    (answer,) = await answers_to(world, made.id)
    assert answer.attempts[-1].fees.max_fee >= 8 * GWEI
    await market.fall()
    await world.until_settled(made.id)
    await settle_down(world)
    await check_invariants(world)
