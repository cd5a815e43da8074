"""Receipts: they verify as signed and in no other form."""

from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey

from oracle.core.receipt import MAX_ANSWER_BATCH, Answer, Receipt, answer_batch_digest, recover
from oracle.core.request import Request
from oracle.core.typed_data import Domain
from oracle.core.types import Address, Tier
from oracle.errors import InputError, SignatureError

KEY = PrivateKey(b"\x01" * 32)
SIGNER = Address(KEY.public_key.to_checksum_address())
OPERATOR = Address("0x" + "11" * 20)
DOMAIN = Domain(31337, Address("0x" + "22" * 20))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
REQUEST = Request(
    requester=Address("0x" + "33" * 20),
    nonce=7,
    consumer=Address("0x" + "44" * 20),
    model_id=b"\x05" * 32,
    input_hash=b"\x06" * 32,
    operator=OPERATOR,
    fee=10**18,
    bond=20 * 10**18,
    value_at_risk=0,
    deadline=1_800_000_000,
    window=3600,
    callback_gas_limit=100_000,
    eager=False,
)


def sign(digest: bytes) -> bytes:
    signature = KEY.sign_msg_hash(digest)
    return (
        signature.r.to_bytes(32, "big")
        + signature.s.to_bytes(32, "big")
        + bytes([signature.v + 27])
    )


def receipt() -> Receipt:
    answer = Answer.of(REQUEST.id(DOMAIN), REQUEST, OPERATOR, b"result")
    return Receipt(DOMAIN, answer, Tier.UNPROVEN, SIGNER, sign(answer.digest(DOMAIN)))


def test_a_receipt_verifies() -> None:
    receipt().verify()


def test_a_receipt_from_a_batch_verifies_only_with_its_batch() -> None:
    mine = receipt().answer
    other = replace(mine, request_id=b"\x09" * 32)
    signature = sign(answer_batch_digest(DOMAIN, [other, mine]))
    hashes = (other.struct_hash(), mine.struct_hash())
    Receipt(DOMAIN, mine, Tier.UNPROVEN, SIGNER, signature, hashes).verify()
    for batch in [(), hashes[:1], hashes[1:], hashes[::-1]]:
        with pytest.raises(SignatureError):
            Receipt(DOMAIN, mine, Tier.UNPROVEN, SIGNER, signature, batch).verify()


@pytest.mark.parametrize(
    "field", ["request_id", "model_id", "input_hash", "result_hash", "trace_root"]
)
def test_no_field_of_an_answer_can_be_exchanged(field: str) -> None:
    good = receipt()
    changed = replace(good, answer=replace(good.answer, **{field: b"\xff" * 32}))
    with pytest.raises(SignatureError):
        changed.verify()


@pytest.mark.parametrize(
    "domain", [Domain(1, DOMAIN.verifying_contract), Domain(31337, Address("0x" + "99" * 20))]
)
def test_a_receipt_does_not_verify_elsewhere(domain: Domain) -> None:
    with pytest.raises(SignatureError):
        replace(receipt(), domain=domain).verify()


def test_a_high_s_is_refused() -> None:
    good = receipt()
    r, s, v = good.signature[:32], int.from_bytes(good.signature[32:64], "big"), good.signature[64]
    flipped = r + (ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    with pytest.raises(SignatureError, match="high s"):
        recover(good.answer.digest(DOMAIN), flipped)


@pytest.mark.parametrize("signature", [b"", b"\x01" * 64, b"\x00" * 64 + b"\x1b", b"\x01" * 65])
def test_malformed_signatures_are_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError):
        recover(b"\x07" * 32, signature)


def test_the_request_id_binds_every_term() -> None:
    base = REQUEST.id(DOMAIN)
    changes = {
        "requester": Address("0x" + "77" * 20),
        "nonce": 8,
        "consumer": Address("0x" + "77" * 20),
        "model_id": b"\x01" * 32,
        "input_hash": b"\x01" * 32,
        "operator": Address("0x" + "77" * 20),
        "fee": 1,
        "bond": 1,
        "value_at_risk": 1,
        "deadline": 1,
        "window": 1,
        "callback_gas_limit": 1,
        "eager": True,
    }
    assert set(changes) == set(Request.__dataclass_fields__)
    ids = {replace(REQUEST, **{name: value}).id(DOMAIN) for name, value in changes.items()}
    assert len(ids) == len(changes)
    assert base not in ids


@pytest.mark.parametrize(
    ("field", "value"), [("fee", 2**96), ("deadline", 2**40), ("nonce", -1), ("window", 2**32)]
)
def test_terms_that_do_not_fit_are_refused(field: str, value: int) -> None:
    with pytest.raises(InputError, match=field):
        replace(REQUEST, **{field: value})


def test_a_batch_that_could_not_be_evidence_is_refused() -> None:
    mine = receipt().answer
    many = [mine] * (MAX_ANSWER_BATCH + 1)
    for batch in (many[1:], many):
        hashes = tuple(one.struct_hash() for one in batch)
        signature = sign(answer_batch_digest(DOMAIN, batch))
        kept = Receipt(DOMAIN, mine, Tier.UNPROVEN, SIGNER, signature, hashes)
        if len(batch) <= MAX_ANSWER_BATCH:
            kept.verify()
            continue
        with pytest.raises(SignatureError, match="a batch of 501 answers is no evidence"):
            kept.verify()
