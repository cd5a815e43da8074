"""The credit contract through its binding: what is signed, deposited, collected and taken back."""

from __future__ import annotations

import pytest

from oracle.chain.contracts import Contracts
from oracle.chain.credit_contract import CreditBinding
from oracle.chain.views_contract import read_question, write_payment, write_question
from oracle.core.types import Address
from oracle.core.voucher import Credit, Payment, Voucher
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund
from oracle.errors import ContractReverted, InputError, PaymentInvalid
from oracle.ports import views as ports
from oracle.ports.views import HeldVoucher, ViewQuestion
from tests.support.anvil import Chain

OPG = 10**18
OPERATOR = signer_of(Person.OWNER).address
PAYERS = (signer_of(Person.REQUESTER), signer_of(Person.RELAYER))


@pytest.fixture
def credit(anvil: Chain, contracts: Contracts) -> CreditBinding:
    assert contracts.deployment.credit is not None
    return CreditBinding(anvil.rpc, contracts.deployment.credit)


def signed(credit: CreditBinding, payer: int, total: int) -> HeldVoucher:
    key = PAYERS[payer]
    digest = Voucher(key.address, OPERATOR, total).digest(credit.domain)
    return HeldVoucher(key.address, total, key.sign_digest(digest))


async def test_a_credit_is_filled_drawn_on_and_emptied(
    anvil: Chain, contracts: Contracts, credit: CreditBinding
) -> None:
    port: ports.CreditContract = credit
    assert await credit.delay() == contracts.deployment.parameters.credit_delay
    treasurer = anvil.sender(Person.DEPLOYER)
    senders = [anvil.sender(Person.REQUESTER), anvil.sender(Person.RELAYER)]
    for sender in senders:
        await fund(treasurer, contracts, sender.address, opg=10 * OPG)
        approve = contracts.token.approve_data(credit.address, 10 * OPG)
        await sender.send(contracts.token.address, approve)
        await sender.send(credit.address, credit.deposit_data(OPERATOR, 5 * OPG))
    before = await contracts.token.balance_of(OPERATOR)
    vouchers = [signed(credit, 0, OPG), signed(credit, 1, 9 * OPG)]
    await treasurer.send(credit.address, port.collect_data(OPERATOR, vouchers))
    assert await contracts.token.balance_of(OPERATOR) == before + 6 * OPG
    payers = [one.address for one in PAYERS]
    assert await port.credits_of(OPERATOR, payers) == [
        Credit(4 * OPG, OPG, 0),
        Credit(0, 5 * OPG, 0),
    ]
    with pytest.raises(ContractReverted, match="NothingToCollect"):
        await treasurer.send(credit.address, port.collect_data(OPERATOR, vouchers))
    await senders[0].send(credit.address, credit.announce_withdrawal_data(OPERATOR))
    leaving = (await credit.credit_of(payers[0], OPERATOR)).withdrawable_at
    with pytest.raises(ContractReverted, match=r"WithdrawalNotOver.*UTC"):
        await senders[0].send(credit.address, credit.withdraw_data(OPERATOR))
    await anvil.travel_past(leaving)
    await senders[0].send(credit.address, credit.withdraw_data(OPERATOR))
    assert await credit.credit_of(payers[0], OPERATOR) == Credit(0, OPG, 0)


async def test_the_digest_is_the_contracts(credit: CreditBinding) -> None:
    for total in (0, 1, 2**256 - 1):
        voucher = Voucher(PAYERS[0].address, OPERATOR, total)
        expected = await credit.view("voucherDigest", voucher.payer, voucher.operator, total)
        assert voucher.digest(credit.domain) == expected


def test_a_question_carries_its_payment() -> None:
    free = ViewQuestion(Address("0x" + "11" * 20), OPERATOR, b"\x07" * 32, b"input")
    paid = ViewQuestion(
        free.caller, free.operator, free.model_id, free.input, Payment(2**200, b"\x01" * 65)
    )
    for one in (free, paid):
        assert read_question(write_question(one)) == one
    with pytest.raises(InputError, match="no call of"):
        read_question(b"\x00" * 100)
    with pytest.raises(InputError, match="cannot be read"):
        read_question(write_question(paid)[:200])
    assert paid.payment is not None
    good = write_payment(paid.payment)
    spoiled = write_question(paid).replace(good, b"\xff" * len(good))
    with pytest.raises(PaymentInvalid, match="the payment is not"):
        read_question(spoiled)
