"""The rig itself: a checker that cannot fail would prove nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.chain.gateway import Gateway
from oracle.chain.rpc import Rpc
from oracle.core.job import Job, JobState, Trigger
from oracle.core.signing import signed_transaction
from oracle.core.transaction import Attempt, Call, Fees, SendOutcome
from oracle.core.types import Address
from oracle.ports.jobs import JobMove
from tests.chaos.acts import SIGNER
from tests.support.fault_proxy import FaultProxy
from tests.support.fee_market import FeeMarket
from tests.support.invariants import (
    Scene,
    check_every_request_has_its_end,
    check_invariants,
    check_nonces,
    check_one_result_each,
    check_rescan,
    check_reverts,
    settle_down,
)
from tests.support.world import OPG, World, until

GWEI = 10**9


@pytest.fixture
async def served(world: World) -> Job:
    """A request that was asked, answered and paid, and nothing wrong with it."""
    async with world.node():
        made = await world.ask()
        (job,) = await world.until_settled(made.id)
        await settle_down(world)
    await check_invariants(world)
    return job


async def test_a_request_that_is_left_lying_is_found(world: World, served: Job) -> None:
    made = await world.ask()
    with pytest.raises(AssertionError, match=r"V1: 0x.* was never seen"):
        await check_invariants(world)
    scene = await Scene.read(world)
    scene.jobs[made.id] = replace(served, state=JobState.ACCEPTED, request_id=made.id)
    with pytest.raises(AssertionError, match="V1: accepted, and nothing will come of it"):
        check_every_request_has_its_end(scene)
    scene.jobs[made.id] = replace(served, state=JobState.FAILED, request_id=made.id, reason=None)
    with pytest.raises(AssertionError, match="V1: failed without a reason"):
        check_every_request_has_its_end(scene)


async def test_a_second_revert_is_found(world: World, served: Job) -> None:
    scene = await Scene.read(world)
    sent = scene.transactions[served.request_id][0]
    reverted = replace(sent, state=type(sent.state).REVERTED)
    scene.transactions[served.request_id] = [reverted]
    check_reverts(scene)
    scene.transactions[served.request_id] = [reverted, reverted]
    with pytest.raises(AssertionError, match=r"V2: 0x.* cost 2 reverts"):
        check_reverts(scene)


async def test_a_job_table_that_the_chain_does_not_give_is_found(world: World, served: Job) -> None:
    scene = await Scene.read(world)
    await check_rescan(scene, to_head=True)
    for wrong in (
        replace(served, state=JobState.ANSWERED),
        replace(served, accepted_block=1),
        replace(served, fee_earned=2 * OPG),
        replace(served, result=b""),
        replace(served, block_hash=b"\x01" * 32),
    ):
        scene.jobs[served.request_id] = wrong
        with pytest.raises(AssertionError, match="V3: 0x"):
            await check_rescan(scene, to_head=True)


async def test_a_job_of_a_request_that_is_on_no_block_is_found(world: World, served: Job) -> None:
    scene = await Scene.read(world)
    stray = replace(served, request_id=b"\x07" * 32)
    scene.jobs[stray.request_id] = stray
    with pytest.raises(AssertionError, match="is on no block, and settled"):
        await check_rescan(scene, to_head=True)


async def test_what_is_left_in_the_pool_is_found(world: World, served: Job) -> None:
    await check_nonces(world, [SIGNER.address])
    await world.chain.automine(False)
    await world.chain.rpc.request(
        "eth_sendTransaction", [{"from": SIGNER.address, "to": SIGNER.address, "value": "0x1"}]
    )
    with pytest.raises(AssertionError, match="V4: 1 transactions"):
        await check_nonces(world, [SIGNER.address])
    await world.chain.mine()
    await check_nonces(world, [SIGNER.address])


async def test_a_second_signed_result_is_found(world: World, served: Job) -> None:
    scene = await Scene.read(world)
    check_one_result_each(scene)
    scene.jobs[served.request_id] = replace(served, result=b"another")
    with pytest.raises(AssertionError, match=r"V5: 0x.* has 2 signed results"):
        check_one_result_each(scene)


async def test_a_sum_that_is_off_is_found(world: World, served: Job) -> None:
    move = JobMove(served.request_id, Trigger.ORPHANED, {"fee_earned": 7})
    await world.storage.jobs.move([move])
    with pytest.raises(AssertionError):
        await check_invariants(world)
    # Put back, as the fixture looks at the books, too.
    moves = [
        JobMove(served.request_id, Trigger.RESEEN),
        JobMove(served.request_id, Trigger.ACCEPTED_BY_US),
        JobMove(served.request_id, Trigger.ANSWERED),
        JobMove(served.request_id, Trigger.SETTLED, {"fee_earned": served.fee_earned}),
    ]
    await world.storage.jobs.move(moves)


async def test_the_fee_market_keeps_to_its_rules(world: World, proxy: FaultProxy) -> None:
    market = FeeMarket(proxy, floor_wei=10 * GWEI)
    async with await Rpc.connect(proxy.url) as rpc:
        gateway = Gateway(rpc)
        nonce = await gateway.next_nonce(SIGNER.address, pending=True)

        async def offer(max_fee: int, tip: int) -> tuple[SendOutcome, str | None]:
            call, fees = Call(Address(SIGNER.address), b"", 21_000), Fees(max_fee, tip)
            hash_, raw = await signed_transaction(
                SIGNER, chain_id=world.chain.chain_id, nonce=nonce, call=call, fees=fees
            )
            return await gateway.send(Attempt(hash_, raw, fees, 0.0, None, None))

        assert await offer(5 * GWEI, GWEI) == (SendOutcome.REFUSED, "transaction underpriced")
        market.hold = True
        assert (await offer(6 * GWEI, GWEI))[0] is SendOutcome.ACCEPTED
        assert await gateway.next_nonce(SIGNER.address, pending=True) == nonce + 1
        for max_fee, tip in ((6 * GWEI + 1, GWEI + 1), (9 * GWEI, GWEI), (6 * GWEI, 2 * GWEI)):
            outcome = await offer(max_fee, tip)
            assert outcome == (SendOutcome.REFUSED, "replacement transaction underpriced")
        assert (await offer(7 * GWEI, 2 * GWEI))[0] is SendOutcome.ACCEPTED
        assert len(market.held) == 1
        await market.fall()

        async def mined() -> bool:  # in a moment: what is sent is not mined yet when it is taken
            return await gateway.next_nonce(SIGNER.address, pending=False) == nonce + 1

        await until(mined)
