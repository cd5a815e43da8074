"""The simulation passes and the chain says no: others were first, or it was too late by then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oracle.chain.wire import to_hex
from oracle.core.job import JobState
from oracle.core.receipt import Accept
from oracle.core.request import RequestState
from oracle.core.signing import signature_over, signed_transaction
from oracle.core.transaction import Call, Purpose, Transaction, TransactionState
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund, register_operator
from tests.chaos.acts import PLENTY, answers_to, sent_for, states, until_sent
from tests.support.failures import failure, thorough
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import OPG, World, digit

GAS = 1_000_000


async def overtake(world: World, person: Person, data: bytes) -> None:
    """Puts a call to the oracle into the pool that the next block takes before all others."""
    signer = signer_of(person)
    nonce = await world.client.gateway.next_nonce(signer.address, pending=True)
    call = Call(Address(world.contracts.oracle.address), data, GAS)
    _, raw = await signed_transaction(
        signer, chain_id=world.chain.chain_id, nonce=nonce, call=call, fees=PLENTY
    )
    await world.chain.rpc.request("eth_sendRawTransaction", [to_hex(raw)])


@asynccontextmanager
async def waiting(
    world: World, purpose: Purpose, **terms: object
) -> AsyncIterator[tuple[bytes, Transaction]]:
    """A request, and our transaction for it in the pool; a block is mined at the end."""
    made = await world.ask(**terms)
    await world.chain.automine(False)
    await world.process()
    sent = await until_sent(world, made.id, purpose)
    yield made.id, sent
    await world.chain.mine()
    await world.chain.automine(True)


async def the_queue_goes_on(world: World) -> None:
    """The next request is served as if nothing had been."""
    after = await world.ask(digit(5))
    await world.until_settled(after.id)
    await settle_down(world)
    await check_invariants(world)


@failure(14, "another operator's acceptance is first in the block")
async def test_an_acceptance_that_came_second_is_lost_with_the_reason(world: World) -> None:
    owner = world.chain.sender(Person.SECOND_OWNER)
    rival = signer_of(Person.SECOND_SIGNER)
    await fund(world.chain.sender(Person.DEPLOYER), world.contracts, owner.address, opg=1_000 * OPG)
    await register_operator(
        owner, world.contracts, signer=rival.address, payout=owner.address, bond=1_000 * OPG
    )
    async with waiting(world, Purpose.ACCEPT, fee=OPG, open_to_all=True) as (request_id, _):
        job = await world.job(request_id)
        assert job is not None
        consent = Accept(request_id, owner.address, job.request.deadline)
        signature = await signature_over(rival, consent.preimage(world.deployment.domain))
        data = world.contracts.oracle.accept_data(job.request, consent, signature)
        await overtake(world, Person.RELAYER, data)
    lost = await world.until_job(request_id, JobState.LOST)
    assert lost.reason == f"accepted by {owner.address}"
    await the_queue_goes_on(world)
    assert states(await sent_for(world, request_id)) == [TransactionState.REVERTED]
    (revert,) = world.logged("transaction reverted")
    assert "reverted on chain: the contract refused:" in revert["reason"]


@failure(14, "the requester takes the request back in the same block")
async def test_an_acceptance_of_what_was_taken_back_is_lost_with_the_reason(world: World) -> None:
    async with waiting(world, Purpose.ACCEPT, fee=OPG, open_to_all=True) as (request_id, _):
        job = await world.job(request_id)
        assert job is not None
        await overtake(world, Person.REQUESTER, world.contracts.oracle.cancel_data(job.request))
    lost = await world.until_job(request_id, JobState.LOST)
    assert lost.reason == "cancelled"
    await the_queue_goes_on(world)
    assert states(await sent_for(world, request_id)) == [TransactionState.REVERTED]


@failure(14, "the deadline passes while the acceptance waits")
async def test_an_acceptance_that_is_mined_too_late_is_not_tried_again(world: World) -> None:
    async with waiting(world, Purpose.ACCEPT, fee=OPG, open_to_all=True) as (request_id, _):
        job = await world.job(request_id)
        assert job is not None
        await world.chain.rpc.request("evm_setNextBlockTimestamp", [job.request.deadline + 1])
    declined = await world.until_job(request_id, JobState.DECLINED)
    assert declined.reason is not None
    assert declined.reason.startswith("reverted on chain: the contract refused: ")
    assert "DeadlinePassed" in declined.reason or "Expired" in declined.reason
    await the_queue_goes_on(world)
    assert states(await sent_for(world, request_id)) == [TransactionState.REVERTED]


@thorough
@failure(14, "the deadline passes while the answer waits")
async def test_an_answer_that_is_mined_too_late_ends_its_job_and_no_other(world: World) -> None:
    async with waiting(world, Purpose.ANSWER) as (request_id, _):
        job = await world.job(request_id)
        assert job is not None
        await world.chain.rpc.request("evm_setNextBlockTimestamp", [job.request.deadline + 1])
    failed = await world.until_job(request_id, JobState.FAILED)
    assert failed.reason == "the deadline passed before it was posted"
    await world.client.reclaim(request_id)
    defaulted = await world.until_job(request_id, JobState.DEFAULTED)
    assert defaulted.reason == "not answered in time"
    await the_queue_goes_on(world)
    assert states(await sent_for(world, request_id)) == [TransactionState.REVERTED]


@thorough
@failure(14, "somebody copies our answer out of the pool and is first with it")
async def test_an_answer_that_somebody_else_posted_for_us_earns_its_fee_all_the_same(
    world: World,
) -> None:
    async with waiting(world, Purpose.ANSWER) as (request_id, sent):
        await overtake(world, Person.RELAYER, sent.call.data)
    (settled,) = await world.until_settled(request_id)
    assert settled.fee_earned == OPG
    await the_queue_goes_on(world)
    assert states(await answers_to(world, request_id)) == [TransactionState.REVERTED]


@thorough
@failure(14, "the payer empties its account after it has asked")
async def test_a_drained_payer_costs_nobody_anything(world: World) -> None:
    made = await world.ask()
    left = (await world.contracts.oracle.account(world.client.sender.address)).balance
    await world.client.withdraw(left)
    await world.process()
    (settled,) = await world.until_settled(made.id)
    assert settled.fee_earned == OPG
    await settle_down(world)
    assert await world.state(made.id) is RequestState.SETTLED
    await check_invariants(world)
