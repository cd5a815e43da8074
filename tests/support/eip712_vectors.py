"""The vectors that Python and Solidity share: messages, their digests and ids.

`python -m tests.support.eip712_vectors` writes tests/vectors/eip712.json from the Python core; a
test holds the file to it, and a forge test holds the contracts to the file. Keys are in
alphabetical order within each object, as forge's JSON decoder wants its structs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oracle.chain.keystore import LocalSigner
from oracle.core.model import ModelTerms
from oracle.core.receipt import Accept, Answer, answer_batch_digest
from oracle.core.request import FIRST_SIGNED_NONCE, Request, data_hash
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Tier, address

FILE = Path(__file__).resolve().parents[1] / "vectors" / "eip712.json"

DOMAIN = Domain(31337, address("0x5FbDB2315678afecb367f032d93F642f64180aa3"))
SIGNER = LocalSigner(bytes(31) + b"\x01")
"""The key 1: known to everybody."""

ALICE = address("0x" + "a1" * 20)
BOB = address("0x" + "b0" * 20)
CONSUMER = address("0x" + "c0" * 20)

TERMS = (
    ModelTerms(b"\x11" * 32, ZERO_BYTES32, b"\x22" * 32, Tier.EXACT, 3600, 0, 10**18, 0),
    ModelTerms(
        program_root=b"\xff" * 32,
        profile_hash=b"\xee" * 32,
        schema_hash=b"\xdd" * 32,
        tier=Tier.NATIVE,
        challenge_window=2**32 - 1,
        reveal_window=2**32 - 1,
        min_bond=2**96 - 1,
        epsilon=2**96 - 1,
    ),
)
REQUESTS = (
    Request(
        requester=ALICE,
        nonce=0,
        consumer=ZERO_ADDRESS,
        model_id=TERMS[0].model_id(ALICE),
        input_hash=data_hash(b"input"),
        operator=ZERO_ADDRESS,
        fee=0,
        bond=10**18,
        value_at_risk=0,
        deadline=1_800_000_000,
        window=3600,
        callback_gas_limit=0,
        eager=False,
    ),
    Request(
        requester=BOB,
        nonce=FIRST_SIGNED_NONCE,
        consumer=CONSUMER,
        model_id=TERMS[1].model_id(BOB),
        input_hash=data_hash(b""),
        operator=ALICE,
        fee=25 * 10**16,
        bond=5 * 10**18,
        value_at_risk=5 * 10**18,
        deadline=1_800_003_600,
        window=600,
        callback_gas_limit=200_000,
        eager=True,
    ),
    Request(
        requester=address("0x" + "ff" * 20),
        nonce=2**64 - 1,
        consumer=address("0x" + "ff" * 20),
        model_id=b"\xff" * 32,
        input_hash=b"\xff" * 32,
        operator=address("0x" + "ff" * 20),
        fee=2**96 - 1,
        bond=2**96 - 1,
        value_at_risk=2**96 - 1,
        deadline=2**40 - 1,
        window=2**32 - 1,
        callback_gas_limit=2**32 - 1,
        eager=True,
    ),
)
ACCEPT = Accept(REQUESTS[0].id(DOMAIN), ALICE, 1_800_000_000)
ANSWERS = tuple(
    Answer.of(request.id(DOMAIN), request, ALICE, bytes([number]) * number, bytes([number]) * 32)
    for number, request in enumerate(REQUESTS)
)


def document() -> dict[str, Any]:
    """All vectors."""
    return {
        "accepts": [
            {
                "digest": _hex(ACCEPT.digest(DOMAIN)),
                "operator": ACCEPT.operator,
                "requestId": _hex(ACCEPT.request_id),
                "signature": _hex(SIGNER.sign_digest(ACCEPT.digest(DOMAIN))),
                "validUntil": ACCEPT.valid_until,
            }
        ],
        "answers": [_answer(answer) for answer in ANSWERS],
        "batches": [
            {
                "count": count,
                "digest": _hex(answer_batch_digest(DOMAIN, ANSWERS[:count])),
                "signature": _hex(SIGNER.sign_digest(answer_batch_digest(DOMAIN, ANSWERS[:count]))),
            }
            for count in range(1, len(ANSWERS) + 1)
        ],
        "domain": {
            "chainId": DOMAIN.chain_id,
            "separator": _hex(DOMAIN.separator),
            "verifyingContract": DOMAIN.verifying_contract,
        },
        "models": [_model(terms) for terms in TERMS],
        "requests": [_request(request) for request in REQUESTS],
        "signer": SIGNER.address,
    }


def text() -> str:
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


def _request(request: Request) -> dict[str, Any]:
    """Numbers above 2^53 as decimal text: JSON readers round them."""
    return {
        "bond": str(request.bond),
        "callbackGasLimit": request.callback_gas_limit,
        "consumer": request.consumer,
        "deadline": request.deadline,
        "eager": request.eager,
        "fee": str(request.fee),
        "id": _hex(request.id(DOMAIN)),
        "inputHash": _hex(request.input_hash),
        "modelId": _hex(request.model_id),
        "nonce": str(request.nonce),
        "operator": request.operator,
        "requester": request.requester,
        "signature": _hex(SIGNER.sign_digest(request.id(DOMAIN))),
        "structHash": _hex(request.struct_hash()),
        "valueAtRisk": str(request.value_at_risk),
        "window": request.window,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "digest": _hex(answer.digest(DOMAIN)),
        "inputHash": _hex(answer.input_hash),
        "modelId": _hex(answer.model_id),
        "operator": answer.operator,
        "requestId": _hex(answer.request_id),
        "resultHash": _hex(answer.result_hash),
        "signature": _hex(SIGNER.sign_digest(answer.digest(DOMAIN))),
        "structHash": _hex(answer.struct_hash()),
        "traceRoot": _hex(answer.trace_root),
    }


def _model(terms: ModelTerms) -> dict[str, Any]:
    return {
        "challengeWindow": terms.challenge_window,
        "epsilon": str(terms.epsilon),
        "id": _hex(terms.model_id(ALICE)),
        "minBond": str(terms.min_bond),
        "profileHash": _hex(terms.profile_hash),
        "programRoot": _hex(terms.program_root),
        "registrar": ALICE,
        "revealWindow": terms.reveal_window,
        "schemaHash": _hex(terms.schema_hash),
        "tier": int(terms.tier),
    }


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text())
