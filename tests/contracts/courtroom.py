"""The whole court on a chain: the verifier with all its rules, asked about proofs.

Knows how contracts get there and how a proof is sent; what is proven, each test says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from eth_utils.crypto import keccak

from oracle.chain import abi
from oracle.chain.proof_coder import encode_proof
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.types import ZERO_BYTES32
from oracle.court.proof import Proof
from tests.contracts.harness import OUTCOMES, Answer, Chain

FAMILIES: Final = ("ArithmeticRules", "ElementaryRules", "SelectionRules", "QuantisedRules", "SumRules")
"""In the order of the verifier's constructor."""
BATCH: Final = 50


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer says."""

    program_root: bytes
    trace_root: bytes
    input_hash: bytes = ZERO_BYTES32
    result_hash: bytes = ZERO_BYTES32


class Courtroom:
    """A deployed verifier."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        families = [self._put(name) for name in FAMILIES]
        self._address = self._put("FraudVerifier", *families)
        self._functions = abi.load("FraudVerifier").functions
        self._errors = abi.load("FraudVerifier").errors

    def judge(self, claim: Claim, proofs: Iterable[Proof]) -> list[Answer]:
        """The verdicts on proofs about one answer."""
        return self.judge_bytes(claim, [encode_proof(proof) for proof in proofs])

    def judge_bytes(self, claim: Claim, proofs: Sequence[bytes]) -> list[Answer]:
        """The verdicts on encoded proofs about one answer."""
        found: list[Answer] = []
        for start in range(0, len(proofs), BATCH):
            calls = [
                ("eth_call", [self._call(claim, proof), "latest"])
                for proof in proofs[start : start + BATCH]
            ]
            found += [self._answer(reply) for reply in self._chain.batch(calls)]
        return found

    def gas(self, claim: Claim, proof: Proof) -> int:
        """What a transaction that only judges would use, calldata included."""
        call = self._call(claim, encode_proof(proof))
        return int(self._chain.request("eth_estimateGas", call), 16)

    def _call(self, claim: Claim, proof: bytes) -> dict[str, str]:
        words = (claim.program_root, claim.input_hash, claim.result_hash, claim.trace_root)
        data = self._functions["judge"].encode(words, proof)
        return {"to": self._address, "data": to_hex(data), "gas": hex(25_000_000)}

    def _answer(self, reply: dict[str, object]) -> Answer:
        if "error" in reply:
            error = reply["error"]
            assert isinstance(error, dict), reply
            data = to_bytes(error.get("data") or "0x")
            names = [one.name for one in self._errors.values() if one.selector == data[:4]]
            return Answer(None, names[0] if names else str(error))
        assert isinstance(reply["result"], str)
        (number,) = self._functions["judge"].decode(to_bytes(reply["result"]))
        return Answer(OUTCOMES[number])

    def _put(self, contract_name: str, *arguments: object) -> str:
        contract = abi.load(contract_name)
        created = to_hex(contract.creation_code(*arguments))
        code = self._chain.request("eth_call", {"data": created}, "latest")
        address = to_hex(keccak(text=contract_name)[12:])
        self._chain.request("anvil_setCode", address, code)
        return address
