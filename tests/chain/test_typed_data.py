"""Digests: the core's, eth-account's general encoder's and the contract's are one."""

from __future__ import annotations

from dataclasses import asdict, astuple
from typing import Any

from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.receipt import Accept, Answer, answer_batch_digest
from oracle.core.request import Request
from oracle.core.typed_data import DOMAIN_NAME, DOMAIN_VERSION, Domain
from oracle.core.types import Address, address
from tests.support.eip712_vectors import ACCEPT, ANSWERS, REQUESTS
from tests.support.scene import Scene

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: address("0x" + raw.hex()))
WORDS = st.binary(min_size=32, max_size=32)


def unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


DOMAINS = st.builds(Domain, unsigned(64), ADDRESSES)
ANSWER_STRATEGY = st.builds(Answer, WORDS, ADDRESSES, WORDS, WORDS, WORDS, WORDS)
REQUEST_STRATEGY = st.builds(
    Request,
    requester=ADDRESSES,
    nonce=unsigned(64),
    consumer=ADDRESSES,
    model_id=WORDS,
    input_hash=WORDS,
    operator=ADDRESSES,
    fee=unsigned(96),
    bond=unsigned(96),
    value_at_risk=unsigned(96),
    deadline=unsigned(40),
    window=unsigned(32),
    callback_gas_limit=unsigned(32),
    eager=st.booleans(),
)

TYPES: dict[str, list[dict[str, str]]] = {
    "InferenceRequest": [
        {"name": "requester", "type": "address"},
        {"name": "nonce", "type": "uint64"},
        {"name": "consumer", "type": "address"},
        {"name": "modelId", "type": "bytes32"},
        {"name": "inputHash", "type": "bytes32"},
        {"name": "operator", "type": "address"},
        {"name": "fee", "type": "uint96"},
        {"name": "bond", "type": "uint96"},
        {"name": "valueAtRisk", "type": "uint96"},
        {"name": "deadline", "type": "uint40"},
        {"name": "window", "type": "uint32"},
        {"name": "callbackGasLimit", "type": "uint32"},
        {"name": "eager", "type": "bool"},
    ],
    "Accept": [
        {"name": "requestId", "type": "bytes32"},
        {"name": "operator", "type": "address"},
        {"name": "validUntil", "type": "uint40"},
    ],
    "Answer": [
        {"name": "requestId", "type": "bytes32"},
        {"name": "operator", "type": "address"},
        {"name": "modelId", "type": "bytes32"},
        {"name": "inputHash", "type": "bytes32"},
        {"name": "resultHash", "type": "bytes32"},
        {"name": "traceRoot", "type": "bytes32"},
    ],
    "AnswerBatch": [{"name": "answers", "type": "Answer[]"}],
}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def message_of(value: Request | Accept | Answer) -> dict[str, Any]:
    return {camel(name): field for name, field in asdict(value).items()}


def general_digest(domain: Domain, kind: str, message: dict[str, Any]) -> bytes:
    """By eth-account, from the types alone."""
    needed = {"AnswerBatch": ("AnswerBatch", "Answer")}.get(kind, (kind,))
    signable = encode_typed_data(
        domain_data={
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": domain.verifying_contract,
        },
        message_types={name: TYPES[name] for name in needed},
        message_data=message,
    )
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


@given(DOMAINS, REQUEST_STRATEGY)
def test_request_id(domain: Domain, request: Request) -> None:
    expected = general_digest(domain, "InferenceRequest", message_of(request))
    assert request.id(domain) == expected


@given(DOMAINS, st.builds(Accept, WORDS, ADDRESSES, unsigned(40)))
def test_accept(domain: Domain, acceptance: Accept) -> None:
    assert acceptance.digest(domain) == general_digest(domain, "Accept", message_of(acceptance))


@given(DOMAINS, ANSWER_STRATEGY)
def test_answer(domain: Domain, answer: Answer) -> None:
    assert answer.digest(domain) == general_digest(domain, "Answer", message_of(answer))


@given(DOMAINS, st.lists(ANSWER_STRATEGY, min_size=1, max_size=4))
def test_answer_batch(domain: Domain, answers: list[Answer]) -> None:
    message = {"answers": [message_of(answer) for answer in answers]}
    assert answer_batch_digest(domain, answers) == general_digest(domain, "AnswerBatch", message)


async def test_the_contract_agrees(scene: Scene) -> None:
    oracle = scene.contracts.oracle
    for request in REQUESTS:
        assert await oracle.view("requestIdOf", request.as_tuple()) == request.id(oracle.domain)
    assert await oracle.view("acceptDigest", astuple(ACCEPT)) == ACCEPT.digest(oracle.domain)
    answers = [answer.as_tuple() for answer in ANSWERS]
    assert await oracle.view("answerDigest", answers[0]) == ANSWERS[0].digest(oracle.domain)
    expected = answer_batch_digest(oracle.domain, ANSWERS)
    assert await oracle.view("answerBatchDigest", answers) == expected


def test_domain_binds_chain_and_contract() -> None:
    here = Domain(1, Address("0x" + "11" * 20))
    for other in (Domain(2, here.verifying_contract), Domain(1, Address("0x" + "12" * 20))):
        assert ACCEPT.digest(here) != ACCEPT.digest(other)
