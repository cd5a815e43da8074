"""Vouchers and prices: what is signed, what it pays, and what a setting says."""

from __future__ import annotations

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from oracle.core.types import Address
from oracle.core.view_price import read_prices
from oracle.core.voucher import Credit, Voucher, credit_domain
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import InputError

PAYER = signer_of(Person.REQUESTER)
CONTRACT = Address("0x" + "cc" * 20)
VOUCHER = Voucher(PAYER.address, signer_of(Person.OWNER).address, 7 * 10**18)


def test_a_vouchers_digest_is_eip_712s() -> None:
    message = encode_typed_data(
        full_message={
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Voucher": [
                    {"name": "payer", "type": "address"},
                    {"name": "operator", "type": "address"},
                    {"name": "total", "type": "uint256"},
                ],
            },
            "primaryType": "Voucher",
            "domain": {
                "name": "OPG View Credit",
                "version": "1",
                "chainId": 31337,
                "verifyingContract": CONTRACT,
            },
            "message": {
                "payer": VOUCHER.payer,
                "operator": VOUCHER.operator,
                "total": VOUCHER.total,
            },
        }
    )
    expected = keccak(b"\x19" + message.version + message.header + message.body)
    assert VOUCHER.digest(credit_domain(31337, CONTRACT)) == expected


def test_a_voucher_is_its_payers_alone() -> None:
    domain = credit_domain(31337, CONTRACT)
    signature = PAYER.sign_digest(VOUCHER.digest(domain))
    assert VOUCHER.is_signed(domain, signature)
    assert not VOUCHER.is_signed(credit_domain(1, CONTRACT), signature)
    assert not VOUCHER.is_signed(domain, signature[:-1])
    other = signer_of(Person.RELAYER).sign_digest(VOUCHER.digest(domain))
    assert not VOUCHER.is_signed(domain, other)


def test_a_credit_pays_what_is_new_as_far_as_it_goes() -> None:
    credit = Credit(balance=10, collected=5, withdrawable_at=0)
    assert credit.limit == 15
    assert [credit.payable(total) for total in (0, 5, 7, 15, 99)] == [0, 0, 2, 10, 10]


def test_prices_are_read_by_name() -> None:
    assert read_prices(" a b=0.01 c=2 ") == {"a": 0, "b": 10**16, "c": 2 * 10**18}
    assert read_prices("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("=1", "names no model"),
        ("a=", "the price of a"),
        ("a=dear", "the price of a"),
        ("a=0", "the price of a is 0 OPG"),
        ("a=-1", "the price of a"),
        ("a b a=1", "a is named twice"),
        ("a=0.0000000000000000001", "finer than one base unit"),
    ],
)
def test_what_is_no_price_is_said_by_name(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_prices(text)
