"""The whole court on a chain: the verifier with all its rules, asked about proofs.

Knows how contracts get there, how a proof is sent, and what to say where contract and Python
differ; what is proven, each test says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from eth_utils.crypto import keccak

from oracle.chain import abi
from oracle.chain.proof_coder import encode_proof
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.types import ZERO_BYTES32
from oracle.court.commitment import commit
from oracle.court.proof import Proof
from oracle.court.proving import Prover
from oracle.court.verdict import Outcome
from oracle.program.encoding import EncodedProgram, encode
from oracle.program.instruction import Program, Trace
from tests.contracts.harness import OUTCOMES, Answer, Chain

FAMILIES: Final = (
    "ArithmeticRules",
    "ElementaryRules",
    "SelectionRules",
    "QuantisedRules",
    "SumRules",
)
"""In the order of the verifier's constructor."""
BATCH: Final = 50
PLAIN_REVERT: Final = "plain revert"
"""Calldata that is no encoding, or arithmetic that overflows."""
REVERTED: Final = 3
"""JSON-RPC code of a call that reverted, and did not run out of anything."""

Element = tuple[int, int, int]
"""Row, instruction, position."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer says."""

    program_root: bytes
    trace_root: bytes
    input_hash: bytes = ZERO_BYTES32
    result_hash: bytes = ZERO_BYTES32


def committed(program: Program, trace: Trace, encoded: EncodedProgram | None = None) -> Prover:
    """A trace with its commitment; `encoded` spares the program's."""
    encoded = encode(program) if encoded is None else encoded
    return Prover(program, encoded, trace, commit(program, encoded.root, trace))


def claim_of(prover: Prover, input_bytes: bytes = b"", result: bytes = b"") -> Claim:
    """The answer that somebody with this trace gave."""
    hashes = (sha256(message).digest() for message in (input_bytes, result))
    return Claim(prover.encoded.root, prover.commitment.trace_root, *hashes)


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

    def compare(self, prover: Prover, elements: Sequence[Element]) -> Counter[Outcome]:
        """Fails where contract and Python differ on elements of a trace; counts the verdicts."""
        return self.compare_proofs(prover, elements, [prover.element(*one) for one in elements])

    def compare_proofs(
        self, prover: Prover, elements: Sequence[Element], proofs: Sequence[Proof]
    ) -> Counter[Outcome]:
        """The same with proofs of the caller's."""
        answers = self.judge(claim_of(prover), proofs)
        expected = [prover.verdict(*one) for one in elements]
        differences = [
            f"row {row}, {prover.program.instructions[number]}, position {position}: "
            f"Python {verdict}, contract {answer}"
            for (row, number, position), verdict, answer in zip(
                elements, expected, answers, strict=True
            )
            if verdict.outcome is not answer.outcome
        ]
        assert not differences, f"{len(differences)} differences:\n" + "\n".join(differences[:3])
        return Counter(verdict.outcome for verdict in expected)

    def ask(self, function: str, calls: Iterable[Sequence[object]]) -> list[Any]:
        """What a view of the verifier returns, or the name of the error that it ends with."""
        encoded = [self._function_call(function, arguments) for arguments in calls]
        replies = self._chain.batch([("eth_call", [call, "latest"]) for call in encoded])
        return [
            self._error(reply)
            if "error" in reply
            else self._functions[function].decode(to_bytes(str(reply["result"])))[0]
            for reply in replies
        ]

    def gas(self, claim: Claim, proof: Proof) -> int:
        """What a transaction that only judges would use, calldata included."""
        call = self._call(claim, encode_proof(proof))
        return int(self._chain.request("eth_estimateGas", call), 16)

    def _call(self, claim: Claim, proof: bytes) -> dict[str, str]:
        words = (claim.program_root, claim.input_hash, claim.result_hash, claim.trace_root)
        return self._function_call("judge", (words, proof))

    def _function_call(self, function: str, arguments: Sequence[object]) -> dict[str, str]:
        data = self._functions[function].encode(*arguments)
        return {"to": self._address, "data": to_hex(data), "gas": hex(25_000_000)}

    def _answer(self, reply: dict[str, Any]) -> Answer:
        if "error" in reply:
            return Answer(None, self._error(reply))
        (number,) = self._functions["judge"].decode(to_bytes(reply["result"]))
        return Answer(OUTCOMES[number])

    def _error(self, reply: dict[str, Any]) -> str:
        """The name of a custom error; `PLAIN_REVERT` where Solidity itself refused the call."""
        data = to_bytes(reply["error"].get("data") or "0x")
        names = [one.name for one in self._errors.values() if one.selector == data[:4]]
        if names:
            return names[0]
        panicked = data[:4] == keccak(text="Panic(uint256)")[:4]
        reverted = reply["error"].get("code") == REVERTED and not data
        return PLAIN_REVERT if panicked or reverted else str(reply["error"])

    def _put(self, contract_name: str, *arguments: object) -> str:
        contract = abi.load(contract_name)
        created = to_hex(contract.creation_code(*arguments))
        code = self._chain.request("eth_call", {"data": created}, "latest")
        address = to_hex(keccak(text=contract_name)[12:])
        self._chain.request("anvil_setCode", address, code)
        return address
