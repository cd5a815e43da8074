"""The whole life of a request through the bindings, on a real chain: every verb, every ending."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core import event as events
from oracle.core.operator import Offer
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import DeliveryState, Request, RequestState
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, address
from oracle.devnet.accounts import Person
from oracle.errors import ContractReverted
from oracle.ports.contracts import ItemCode, OnChainRequest
from tests.support.scene import BOND, FEE, INPUT, OPG, RESULT, Scene, seen

CONSUMER = address("0x00000000000000000000000000000000c0ffee01")
STOP = b"\x00"
REVERT = bytes.fromhex("5f5ffd")


async def state_of(scene: Scene, request: Request) -> OnChainRequest:
    oracle = scene.contracts.oracle
    return await oracle.state_of(request.id(oracle.domain))


async def test_request_accept_answer_settle(scene: Scene) -> None:
    oracle = scene.contracts.oracle
    asked = await scene.request()
    assert asked.request_id == asked.request.id(oracle.domain)
    assert asked.input == INPUT
    assert (await state_of(scene, asked.request)).state is RequestState.REQUESTED

    (accepted,) = (await scene.accept(asked.request)).events
    assert isinstance(accepted, events.RequestAccepted)
    assert accepted.operator == scene.owner.address
    state = await state_of(scene, asked.request)
    assert (state.state, state.accepted_by) == (RequestState.ACCEPTED, scene.owner.address)
    assert (await scene.contracts.staking.status(scene.owner.address)).locked == BOND

    (answered,) = (await scene.answer(asked.request)).events
    assert isinstance(answered, events.RequestAnswered)
    assert (answered.result, answered.trace_root) == (RESULT, ZERO_BYTES32)
    state = await state_of(scene, asked.request)
    assert (state.state, state.settle_at) == (RequestState.ANSWERED, answered.settle_at)

    await scene.until_final(asked.request)
    (settled,) = (await scene.settle(asked.request)).events
    assert isinstance(settled, events.RequestSettled)
    assert settled.fee == FEE
    assert (await oracle.account(settled.payout)).balance == FEE
    assert (await state_of(scene, asked.request)).state is RequestState.SETTLED
    assert (await scene.contracts.staking.status(scene.owner.address)).locked == 0


async def test_standing_offer_accepts_at_once(scene: Scene) -> None:
    staking = scene.contracts.staking
    offer = Offer(FEE, BOND, capacity=5, min_time=10, max_window=5, max_callback_gas=100_000)
    await scene.owner.send(staking.address, staking.set_offer_data(scene.model_id, offer))
    assert await staking.offer(scene.owner.address, scene.model_id) == offer

    asked = await scene.request(await scene.params(operator=scene.owner.address))

    assert (await state_of(scene, asked.request)).state is RequestState.ACCEPTED
    status = await staking.status(scene.owner.address)
    assert (status.unanswered, status.accepted, status.locked) == (1, 1, BOND)
    assert await staking.accepted(scene.owner.address, asked.position.block_number) == 1
    assert await staking.accepted(scene.owner.address, asked.position.block_number - 1) == 0

    for beyond in ({"window": 6}, {"callback_gas_limit": 100_001}):
        params = replace(await scene.params(operator=scene.owner.address), **beyond)
        left_open = await scene.request(params)
        assert (await state_of(scene, left_open.request)).state is RequestState.REQUESTED


async def test_cancel(scene: Scene) -> None:
    before = (await scene.contracts.oracle.account(scene.requester.address)).balance
    asked = await scene.request()
    (cancelled,) = (await scene.cancel(asked.request)).events
    assert isinstance(cancelled, events.RequestCancelled)
    assert cancelled.refund == FEE
    assert (await scene.contracts.oracle.account(scene.requester.address)).balance == before
    assert (await state_of(scene, asked.request)).state is RequestState.CANCELLED


async def test_expire(scene: Scene) -> None:
    oracle = scene.contracts.oracle
    asked = await scene.request(await scene.params(seconds=30))
    with pytest.raises(ContractReverted) as early:
        await scene.owner.send(oracle.address, oracle.expire_data(asked.request))
    assert early.value.name == "DeadlineNotPassed"
    assert early.value.arguments == {"deadline": asked.request.deadline}

    await scene.chain.travel_past(asked.request.deadline)
    (expired,) = (await scene.owner.send(oracle.address, oracle.expire_data(asked.request))).events
    assert isinstance(expired, events.RequestExpired)
    assert expired.refund == FEE


async def test_default_slashes_and_shares_can_be_claimed(scene: Scene) -> None:
    oracle, staking = scene.contracts.oracle, scene.contracts.staking
    asked = await scene.request(await scene.params(seconds=30))
    await scene.accept(asked.request)
    await scene.chain.travel_past(asked.request.deadline)

    calldata = oracle.mark_defaulted_data(asked.request, scene.owner.address)
    (defaulted,) = (await scene.requester.send(oracle.address, calldata)).events

    assert isinstance(defaulted, events.RequestDefaulted)
    assert (defaulted.refund, defaulted.penalty) == (FEE, 2 * FEE)
    assert await staking.claimable(scene.requester.address) == FEE
    assert await staking.pending_burn() == FEE
    tokens = await scene.contracts.token.balance_of(scene.requester.address)
    await scene.requester.send(staking.address, staking.claim_data(scene.requester.address))
    await scene.requester.send(staking.address, staking.burn_data())
    assert await scene.contracts.token.balance_of(scene.requester.address) == tokens + FEE
    assert await staking.pending_burn() == 0


async def test_batch_skips_what_it_cannot_take(scene: Scene) -> None:
    oracle = scene.contracts.oracle
    asked = [(await scene.request()).request for _ in range(3)]
    await scene.accept(asked[0])
    await scene.accept(asked[2])
    calldata = scene.answer_batch_call(asked)

    returned = await scene.signer.gateway.simulate(scene.signer.address, oracle.address, calldata)
    codes = oracle.decode_codes(returned)
    assert [ItemCode.NAMES[code] for code in codes] == ["Done", "WrongState", "Done"]

    answered = (await scene.signer.send(oracle.address, calldata)).events
    assert [type(event) for event in answered] == [events.RequestAnswered] * 2

    await scene.until_final(asked[2])
    settle = oracle.settle_batch_data([scene.settle_item(request) for request in asked])
    settled = (await scene.signer.send(oracle.address, settle)).events
    assert [event.request_id for event in settled] == [
        asked[0].id(oracle.domain),
        asked[2].id(oracle.domain),
    ]


async def test_request_with_pull(scene: Scene) -> None:
    oracle, token = scene.contracts.oracle, scene.contracts.token
    calldata = oracle.request_with_pull_data(await scene.params(), INPUT)
    with pytest.raises(ContractReverted) as refused:
        await scene.requester.send(oracle.address, calldata)
    assert refused.value.name == "ERC20InsufficientAllowance"
    assert refused.value.arguments["needed"] == FEE
    assert refused.value.hint is not None

    await scene.requester.send(token.address, token.approve_data(oracle.address, FEE))
    before = await token.balance_of(scene.requester.address)
    asked = seen(await scene.requester.send(oracle.address, calldata))
    assert await token.balance_of(scene.requester.address) == before - FEE
    assert (await state_of(scene, asked.request)).state is RequestState.REQUESTED


async def test_request_by_signature_is_paid_by_its_signer(scene: Scene) -> None:
    oracle = scene.contracts.oracle
    request = scene.signed_terms(await scene.params())
    signature = scene.requester.signer.sign_digest(request.id(oracle.domain))
    before = (await oracle.account(scene.requester.address)).balance
    relayer = scene.chain.sender(Person.RELAYER)

    calldata = oracle.request_by_signature_data(request, INPUT, signature)
    asked = seen(await relayer.send(oracle.address, calldata))

    assert asked.request == request
    assert (await oracle.account(scene.requester.address)).balance == before - FEE
    with pytest.raises(ContractReverted) as again:
        await relayer.send(oracle.address, calldata)
    assert again.value.name == "WrongState"
    assert again.value.arguments["expected"] == "None"
    assert again.value.arguments["actual"] == "Requested"


async def test_failed_notice_is_delivered_again(scene: Scene) -> None:
    oracle = scene.contracts.oracle
    await scene.chain.set_code(CONSUMER, REVERT)
    asked = await scene.request(await scene.params(consumer=CONSUMER))
    await scene.accept(asked.request)
    await scene.answer(asked.request)
    await scene.until_final(asked.request)
    settled, failed = (await scene.settle(asked.request)).events
    assert isinstance(settled, events.RequestSettled)
    assert isinstance(failed, events.NoticeFailed)
    assert (await state_of(scene, asked.request)).delivery is DeliveryState.FAILED

    await scene.chain.set_code(CONSUMER, STOP)
    retry = oracle.retry_notice_data(asked.request, scene.commitment(asked.request), RESULT)
    (delivered,) = (await scene.requester.send(oracle.address, retry)).events
    assert isinstance(delivered, events.NoticeDelivered)
    assert delivered.consumer == CONSUMER
    assert (await state_of(scene, asked.request)).delivery is DeliveryState.DELIVERED
    with pytest.raises(ContractReverted, match="NoNoticeDue"):
        await scene.requester.send(oracle.address, retry)


async def test_eager_consumer_hears_twice_only_of_what_changed(scene: Scene) -> None:
    await scene.chain.set_code(CONSUMER, STOP)
    asked = await scene.request(await scene.params(consumer=CONSUMER, eager=True))
    await scene.accept(asked.request)
    _answered, heard = (await scene.answer(asked.request)).events
    assert isinstance(heard, events.NoticeDelivered)
    await scene.until_final(asked.request)
    (settled,) = (await scene.settle(asked.request)).events
    assert isinstance(settled, events.RequestSettled)


async def test_ledger_withdrawal(scene: Scene) -> None:
    oracle, token = scene.contracts.oracle, scene.contracts.token
    payee = scene.chain.sender(Person.PAYEE).address
    await scene.requester.send(oracle.address, oracle.withdraw_data(payee, 3 * OPG))
    assert await token.balance_of(payee) == 3 * OPG
    too_much = oracle.withdraw_data(payee, 10_000 * OPG)
    with pytest.raises(ContractReverted) as refused:
        await scene.requester.send(oracle.address, too_much)
    assert refused.value.name == "BalanceTooLow"
    assert refused.value.arguments == {"balance": 497 * OPG, "needed": 10_000 * OPG}


async def test_court_verbs_are_refused_without_a_court(scene: Scene) -> None:
    oracle = scene.contracts.oracle
    asked = await scene.request()
    commitment = AnswerCommitment(scene.owner.address, ZERO_BYTES32, ZERO_BYTES32)
    for verb, *more in (("suspend",), ("resume", 2**40 - 1), ("voidAnswer", ZERO_ADDRESS)):
        calldata = oracle.encode(verb, asked.request.as_tuple(), commitment.as_tuple(), *more)
        with pytest.raises(ContractReverted) as refused:
            await scene.owner.send(oracle.address, calldata)
        assert refused.value.arguments == {"caller": scene.owner.address}
