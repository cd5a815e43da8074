"""What a consumer hears: at the answer, at finality, when the request is void, and on a retry."""

from __future__ import annotations

import pytest

from oracle.chain.sender import TransactionSender
from oracle.core.event import NoticeDelivered, NoticeFailed
from oracle.core.job import JobState
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import DeliveryState
from oracle.core.types import Address
from oracle.demo.cheques import Cheque, ChequeBook, handwriting
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import fund
from oracle.errors import ChainRefused, InputError
from tests.support.world import DIGITS, OPG, World

CONSUMER = Address("0x00000000000000000000000000000000000C0DE5")
LISTENS = bytes.fromhex("00")  # STOP
REVERTS = bytes.fromhex("60006000fd")  # PUSH 0, PUSH 0, REVERT
GAS = 60_000


async def notices(world: World, request_id: bytes) -> list[tuple[str, int]]:
    """What the consumer was told, or could not be, in order."""
    story = await world.client.story(request_id)
    return [
        (type(event).__name__, event.notice)
        for event in story.events
        if isinstance(event, NoticeDelivered | NoticeFailed)
    ]


async def retry(world: World, request_id: bytes) -> None:
    """Without asking first whether it will be heard."""
    job = await world.job(request_id)
    assert job is not None
    assert job.answer is not None
    oracle = world.contracts.oracle
    calldata = oracle.retry_notice_data(
        job.request, AnswerCommitment.of(job.answer), job.result or b""
    )
    await world.chain.sender(Person.RELAYER).send(oracle.address, calldata)


async def test_an_eager_consumer_hears_the_answer_at_once_and_not_again(world: World) -> None:
    await world.chain.set_code(CONSUMER, LISTENS)
    async with world.node():
        made = await world.ask(consumer=CONSUMER, callback_gas_limit=GAS, eager=True)
        await world.until_job(made.id, JobState.ANSWERED)
        assert await notices(world, made.id) == [("NoticeDelivered", 0)]
        await world.until_settled(made.id)
    assert await notices(world, made.id) == [("NoticeDelivered", 0)]


async def test_a_patient_consumer_hears_the_final_answer_only(world: World) -> None:
    await world.chain.set_code(CONSUMER, LISTENS)
    async with world.node():
        made = await world.ask(consumer=CONSUMER, callback_gas_limit=GAS)
        await world.until_job(made.id, JobState.ANSWERED)
        assert await notices(world, made.id) == []
        await world.until_settled(made.id)
    assert await notices(world, made.id) == [("NoticeDelivered", 1)]


async def test_a_consumer_that_reverts_is_paid_for_all_the_same_and_told_on_a_retry(
    world: World,
) -> None:
    await world.chain.set_code(CONSUMER, REVERTS)
    async with world.node():
        made = await world.ask(consumer=CONSUMER, callback_gas_limit=GAS, eager=True)
        (job,) = await world.until_settled(made.id)
    assert job.fee_earned == OPG
    assert await notices(world, made.id) == [("NoticeFailed", 0), ("NoticeFailed", 1)]
    assert (await world.client.state(made.id)).delivery is DeliveryState.FAILED
    await retry(world, made.id)
    assert (await notices(world, made.id))[-1] == ("NoticeFailed", 1)
    await world.chain.set_code(CONSUMER, LISTENS)
    told = await world.client.deliver_notice(made.id)
    assert (told.notice, told.delivered) == ("final", True)
    assert (await notices(world, made.id))[-1] == ("NoticeDelivered", 1)
    assert (await world.client.state(made.id)).delivery is DeliveryState.DELIVERED


async def test_a_consumer_without_code_fails_and_costs_nobody_anything(world: World) -> None:
    async with world.node():
        made = await world.ask(consumer=CONSUMER, callback_gas_limit=GAS)
        await world.until_settled(made.id)
    assert await notices(world, made.id) == [("NoticeFailed", 1)]


async def test_consumers_in_one_batch_each_hear_their_own_answer(world: World) -> None:
    await world.chain.set_code(CONSUMER, LISTENS)
    silent = Address("0x00000000000000000000000000000000000C0DE6")
    asked = [
        await world.ask(consumer=consumer, callback_gas_limit=GAS, eager=eager)
        for consumer in (CONSUMER, silent)
        for eager in (True, False)
    ]
    async with world.node():
        await world.until_settled(*(made.id for made in asked))
    assert [await notices(world, made.id) for made in asked] == [
        [("NoticeDelivered", 0)],
        [("NoticeDelivered", 1)],
        [("NoticeFailed", 0), ("NoticeFailed", 1)],
        [("NoticeFailed", 1)],
    ]


async def test_a_consumer_hears_that_its_request_is_void(world: World) -> None:
    await world.chain.set_code(CONSUMER, LISTENS)
    made = await world.ask(consumer=CONSUMER, callback_gas_limit=GAS)
    await world.chain.travel_past(made.request.deadline)
    await world.client.reclaim(made.id)
    async with world.node():
        await world.until_job(made.id, JobState.DEFAULTED)
    assert await notices(world, made.id) == [("NoticeDelivered", 2)]


async def written(world: World) -> tuple[ChequeBook, TransactionSender, Cheque, bytes]:
    """A clearing contract, the payee, and a cheque of 1,205 OPG with its signature."""
    payer, payee = (world.chain.sender(one) for one in (Person.RELAYER, Person.PAYEE))
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, payer.address, opg=3_000 * OPG)
    await fund(treasurer, world.contracts, payee.address, opg=OPG)
    book = await ChequeBook.open(
        world.contracts,
        treasurer,
        model_id=world.models[DIGITS],
        operator=world.operator,
        fee=OPG,
        limit=5_000 * OPG,
    )
    await book.pay_in(payer, 3_000 * OPG)
    await book.allow_fees(payee)
    cheque = Cheque(payer.address, payee.address, 1, handwriting("1205").tobytes())
    return book, payee, cheque, await book.sign(cheque, payer.signer)


async def test_a_cheque_clears_when_its_answer_is_final(world: World) -> None:
    book, payee, cheque, signature = await written(world)
    async with world.node():
        request_id = await book.present(payee, cheque, signature)
        await world.until_settled(request_id)
    cleared = await book.outcome(request_id)
    assert (cleared.amount, cleared.bounced) == (1_205 * OPG, None)
    await book.withdraw(payee)
    assert await world.contracts.token.balance_of(payee.address) == 1_205 * OPG


async def test_a_cheque_clears_though_its_notice_failed(world: World) -> None:
    book, payee, cheque, signature = await written(world)
    clearing = book.clearing.address
    code = await world.contracts.rpc.code(clearing)
    async with world.node():
        request_id = await book.present(payee, cheque, signature)
        await world.chain.set_code(clearing, REVERTS)
        await world.until_settled(request_id)
    assert await notices(world, request_id) == [("NoticeFailed", 1)]
    with pytest.raises(ChainRefused, match="would fail again: its contract refuses"):
        await world.client.deliver_notice(request_id)
    await world.chain.set_code(clearing, code)
    told = await world.client.deliver_notice(request_id, all_gas=True)
    assert (told.notice, told.delivered, told.consumer) == ("final", True, clearing)
    assert (await notices(world, request_id))[-1] == ("NoticeDelivered", 1)
    assert (await book.outcome(request_id)).amount == 1_205 * OPG
    with pytest.raises(InputError, match="has been told already"):
        await world.client.deliver_notice(request_id, all_gas=True)
