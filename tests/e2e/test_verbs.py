"""Every verb of a request's state table, through the client and a node that serves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oracle.bootstrap.devnet import standing_offer
from oracle.chain.sender import TransactionSender
from oracle.core.event import RequestAnswered, RequestSeen
from oracle.core.job import JobState
from oracle.core.receipt import Accept, AnswerCommitment
from oracle.core.request import FIRST_SIGNED_NONCE, DeliveryState, Request, RequestState, data_hash
from oracle.core.tensor import encode_inputs
from oracle.core.transaction import Purpose
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import fund, register_operator
from oracle.devnet.samples import sample
from oracle.errors import ContractReverted, InputError, NoAnswer
from oracle.ports.contracts import SettleItem
from tests.support.world import DIGITS, OPG, PATIENTS, World, digit


async def test_a_standing_offer_binds_the_operator_and_its_node_answers(world: World) -> None:
    _, labels = sample(DIGITS).held_out_samples()
    async with world.node():
        made = await world.ask()
        (job,) = await world.until_settled(made.id)
    answer = await world.client.wait(made.id)
    assert made.accepted
    assert answer.final
    assert answer.operator == world.operator
    assert answer.outputs["label"].tolist() == [int(labels[0])]
    assert job.fee_earned == made.request.fee
    assert (await world.storage.jobs.totals()).fees_earned == OPG


async def test_an_open_request_is_accepted_by_a_signature_and_answered(world: World) -> None:
    async with world.node():
        made = await world.ask(fee=OPG, open_to_all=True)
        assert not made.accepted
        await world.until_settled(made.id)
    sent = await world.storage.transactions.transactions_for(made.id)
    assert [one.purpose for one in sent] == [Purpose.ACCEPT, Purpose.ANSWER, Purpose.SETTLE]


async def test_a_request_that_names_us_beyond_our_offer_is_for_the_settings_to_allow(
    world: World,
) -> None:
    """Its window is longer than the offer's: by itself, the offer is what is taken on."""
    staking, owner = world.contracts.staking, world.chain.sender(Person.OWNER)
    brief = replace(standing_offer(), max_window=0)
    await owner.send(staking.address, staking.set_offer_data(world.models[DIGITS], brief))
    async with world.node():
        made = await world.ask(operator=world.operator)
        assert not made.accepted
        job = await world.until_job(made.id, JobState.DECLINED)
    assert (job.reason or "").endswith("longer than the 0 s of this operator's own offer")
    async with world.node(max_window_seconds=made.request.window):
        allowed = await world.ask(operator=world.operator)
        assert not allowed.accepted
        await world.until_settled(allowed.id)


async def test_a_request_that_names_us_below_our_offer_is_declined(world: World) -> None:
    """Naming us makes it no cheaper than asking openly."""
    async with world.node():
        made = await world.ask(fee=OPG // 2, operator=world.operator)
        job = await world.until_job(made.id, JobState.DECLINED)
    assert "this operator's own offer" in (job.reason or "")


async def test_a_relayer_brings_a_signed_request_and_the_requester_pays(world: World) -> None:
    client, relayer = world.client, world.chain.sender(Person.RELAYER)
    model = await client.model(DIGITS)
    data = encode_inputs(model.schema, [digit()])
    params = await world.params()
    terms = Request(
        client.sender.address,
        FIRST_SIGNED_NONCE + 5,
        params.consumer,
        params.model_id,
        data_hash(data),
        *params.as_tuple()[2:],  # type: ignore[arg-type]
    )
    request_id = terms.id(world.deployment.domain)
    calldata = client.oracle.request_by_signature_data(
        terms, data, client.sender.signer.sign_digest(request_id)
    )
    before = await client.oracle.account(client.sender.address)
    async with world.node():
        await relayer.send(client.oracle.address, calldata)
        await world.until_settled(request_id)
    after = await client.oracle.account(client.sender.address)
    assert before.balance - after.balance == OPG
    with pytest.raises(ContractReverted, match="WrongState"):
        await relayer.send(client.oracle.address, calldata)


async def test_a_cancelled_request_is_lost_and_refunded(world: World) -> None:
    before = await world.client.oracle.account(world.client.sender.address)
    made = await world.ask(fee=OPG, open_to_all=True)
    await world.client.cancel(made.id)
    async with world.node():
        job = await world.until_job(made.id, JobState.LOST)
    after = await world.client.oracle.account(world.client.sender.address)
    assert job.reason == "cancelled"
    assert after.balance == before.balance
    with pytest.raises(NoAnswer, match="cancelled"):
        await world.client.wait(made.id, timeout=1)


async def test_an_expired_request_is_reclaimed(world: World) -> None:
    async with world.node(minimum_fee_opg="5"):
        made = await world.ask(fee=OPG, open_to_all=True)
        await world.until_job(made.id, JobState.DECLINED)
        with pytest.raises(ContractReverted, match="DeadlineNotPassed"):
            await world.client.reclaim(made.id)
        await world.chain.travel_past(made.request.deadline)
        await world.client.reclaim(made.id)
    assert await world.state(made.id) is RequestState.EXPIRED
    assert (await world.client.story(made.id)).refund == OPG
    with pytest.raises(InputError, match="nothing to reclaim"):
        await world.client.reclaim(made.id)


async def test_a_silent_operator_is_slashed_and_its_requester_compensated(world: World) -> None:
    client = world.client
    made = await world.ask(fee=5 * OPG, operator=world.operator)
    await world.chain.travel_past(made.request.deadline)
    await client.reclaim(made.id)
    async with world.node():
        await world.until_job(made.id, JobState.DEFAULTED)
    story = await client.story(made.id)
    assert (story.refund, story.state) == (5 * OPG, RequestState.DEFAULTED)
    requester = client.sender.address
    before = await client.token.balance_of(requester)
    await client.sender.send(client.staking.address, client.staking.claim_data(requester))
    await client.sender.send(client.staking.address, client.staking.burn_data())
    assert await client.token.balance_of(requester) - before == 5 * OPG
    assert await client.staking.pending_burn() == 0


async def test_an_operator_without_a_node_defaults_and_ours_is_not_touched(world: World) -> None:
    other = world.chain.sender(Person.SECOND_OWNER)
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, other.address, opg=1_000 * OPG)
    await register_operator(
        other,
        world.contracts,
        signer=world.chain.sender(Person.SECOND_SIGNER).address,
        payout=other.address,
        bond=1_000 * OPG,
        offers={
            world.models[DIGITS]: await world.contracts.staking.offer(
                world.operator, world.models[DIGITS]
            )
        },
    )
    async with world.node():
        theirs = await world.ask(operator=other.address)
        ours = await world.ask(operator=world.operator)
        await world.until_settled(ours.id)
    assert await world.job(theirs.id) is None
    await world.chain.travel_past(theirs.request.deadline)
    await world.client.reclaim(theirs.id)
    status = await world.contracts.staking.status(world.operator)
    assert status.stake == 100_000 * OPG


async def test_an_open_request_that_another_took_first_is_lost(world: World) -> None:
    other = world.chain.sender(Person.SECOND_OWNER)
    treasurer = world.chain.sender(Person.DEPLOYER)
    signer = world.chain.sender(Person.SECOND_SIGNER)
    await fund(treasurer, world.contracts, other.address, opg=1_000 * OPG)
    await register_operator(
        other, world.contracts, signer=signer.address, payout=other.address, bond=1_000 * OPG
    )
    made = await world.ask(fee=OPG, open_to_all=True)
    await accept_as(world, other, signer, made.request)
    async with world.node():
        job = await world.until_job(made.id, JobState.LOST)
    assert job.reason == f"accepted by {other.address}"


async def test_what_queued_up_is_answered_and_settled_in_batches(world: World) -> None:
    images, labels = sample(DIGITS).held_out_samples()
    asked = [await world.ask(images[i : i + 1].astype(np.float32)) for i in range(30)]
    async with world.node():
        for made in asked:
            await world.until_job(made.id, JobState.ANSWERED, JobState.SETTLED)
        await world.until_settled(*(made.id for made in asked))
    story = [await world.client.story(made.id) for made in asked]
    answers = [one.answered for one in story]
    transactions = {one.position.transaction_hash for one in answers if one is not None}
    assert len(transactions) <= 3
    totals = await world.storage.jobs.totals()
    assert totals.jobs[JobState.SETTLED] == 30
    assert totals.transactions <= 8
    right = 0
    for made, label in zip(asked, labels, strict=False):
        answer = await world.client.result(made.id)
        right += answer.outputs["label"].tolist() == [int(label)]
        receipt = await world.client.receipt(made.id)
        await world.client.verify_signature(receipt)
    assert right >= 27


async def test_several_rows_and_several_models_are_answered_together(world: World) -> None:
    rows, _ = sample(PATIENTS).held_out_samples()
    images, _ = sample(DIGITS).held_out_samples()
    digits = await world.ask(images[:5].astype(np.float32))
    alone = await world.ask(images[2:3].astype(np.float32))
    patient = await world.client.request(PATIENTS, [rows[:3]])
    async with world.node():
        await world.until_settled(digits.id, alone.id, patient.id)
    answer = await world.client.result(digits.id)
    assert answer.outputs["probabilities"].shape == (5, 10)
    row = (await world.client.result(alone.id)).outputs["probabilities"]
    assert answer.outputs["probabilities"][2].tobytes() == row.tobytes()
    assert (await world.client.result(patient.id)).outputs["label"].shape == (3,)


async def test_a_fee_that_is_not_prepaid_is_pulled_by_allowance(world: World) -> None:
    client = world.client_of(Person.PAYEE)
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, client.sender.address, opg=3 * OPG)
    async with world.node():
        made = await client.request(DIGITS, [digit()])
        await world.until_settled(made.id)
    assert await client.token.balance_of(client.sender.address) == 2 * OPG
    assert (await client.oracle.account(client.sender.address)).balance == 0


async def test_the_operators_earnings_can_be_withdrawn_by_its_payout_account(world: World) -> None:
    async with world.node():
        made = await world.ask()
        await world.until_settled(made.id)
    payout = world.client_of(Person.PAYOUT)
    await payout.withdraw(OPG)
    assert await payout.token.balance_of(payout.sender.address) == OPG
    assert await world.state(made.id) is RequestState.SETTLED
    assert (await world.client.state(made.id)).delivery is DeliveryState.NONE


async def test_somebody_else_may_settle_what_we_answered(world: World) -> None:
    async with world.node():
        made = await world.ask(window=60)
        job = await world.until_job(made.id, JobState.ANSWERED)
    await world.chain.travel_past(job.settle_at or 0)
    await settle_as(world, world.chain.sender(Person.RELAYER), made.id)
    async with world.node():
        job = await world.until_job(made.id, JobState.SETTLED)
    assert job.fee_earned == OPG


async def accept_as(
    world: World, operator: TransactionSender, signer: TransactionSender, request: Request
) -> None:
    """Another operator's acceptance."""
    oracle = world.contracts.oracle
    message = Accept(request.id(oracle.domain), operator.address, request.deadline)
    signature = signer.signer.sign_digest(message.digest(oracle.domain))
    await signer.send(oracle.address, oracle.accept_data(request, message, signature))


async def settle_as(world: World, sender: TransactionSender, request_id: bytes) -> None:
    story = await world.client.story(request_id)
    job = await world.job(request_id)
    assert job is not None
    assert job.answer is not None
    assert isinstance(story.created, RequestSeen)
    assert isinstance(story.answered, RequestAnswered)
    item = SettleItem(story.created.request, AnswerCommitment.of(job.answer), story.answered.result)
    await sender.send(world.contracts.oracle.address, world.contracts.oracle.settle_data(item))
