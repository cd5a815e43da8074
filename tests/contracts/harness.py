"""The court's contracts and the Python court on the same cases: asked in batches, and compared.

Responsible for the chain, for how a case is written for a contract, and for saying which case they
disagree on. Knows no operation: each family's test brings its own cases.
"""

from __future__ import annotations

import itertools
import json
import os
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest
from eth_utils.crypto import keccak
from onnx import helper

from oracle.chain import abi
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.schema import ElementType
from oracle.court.case import Case, Taps
from oracle.court.judge import judge
from oracle.court.taps import PER_TAP
from oracle.court.verdict import Outcome, Verdict
from oracle.devnet.anvil import Anvil, AnvilOptions
from oracle.errors import ConfigurationError
from tests.support.anvil import random_chain_id

CASES_VARIABLE: Final = "ORACLE_CASES"
"""How many random cases of each family: `ORACLE_CASES=100000 pytest tests/contracts`."""
DEFAULT_CASES: Final = 2000
WHOLE_CASES: Final = 100_000
"""From so many on, tests of the sample models spare no element for the sake of time: nightly."""
BATCH: Final = 250
"""Calls in one HTTP request."""
TIMEOUT_SECONDS: Final = 120

# `Verdict` in Case.sol.
OUTCOMES: Final = (Outcome.UNDEFINED, Outcome.WITHIN, Outcome.VIOLATED)
TYPE_NUMBERS: Final[Mapping[ElementType, int]] = MappingProxyType(
    {kind: int(helper.np_dtype_to_tensor_dtype(kind.dtype)) for kind in ElementType}
)


def case_count() -> int:
    """Random cases of a family in this run."""
    return int(os.environ.get(CASES_VARIABLE, DEFAULT_CASES))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contract said of a case: an outcome, or the error that the call ended with."""

    outcome: Outcome | None
    error: str = ""


class Chain:
    """An anvil for calls that change nothing, and contracts on it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rules(self, contract_name: str) -> Rules:
        """Puts a contract of `abi/` that implements IRules on the chain."""
        try:
            contract = abi.load(contract_name)
        except ConfigurationError as missing:
            pytest.fail(str(missing))
        # A creation that is only called returns the code; no block need be waited for.
        code = self.request("eth_call", {"data": to_hex(contract.creation_code())}, "latest")
        address = to_hex(keccak(text=contract_name)[12:])
        self.request("anvil_setCode", address, code)
        return Rules(self, contract_name, address)

    def request(self, method: str, *parameters: object) -> Any:
        """The result of one call."""
        (reply,) = self.batch([(method, parameters)])
        assert "error" not in reply, f"{method}: {reply['error']}"
        return reply["result"]

    def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[dict[str, Any]]:
        """The replies to several calls, made in one HTTP request, in their order."""
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}
            for number, (method, parameters) in enumerate(calls)
        ]
        request = urllib.request.Request(
            self._url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            replies: list[dict[str, Any]] = json.load(response)
        replies.sort(key=lambda reply: int(reply["id"]))
        assert [reply["id"] for reply in replies] == list(range(len(calls)))
        return replies


class Rules:
    """A deployed contract that judges cases."""

    def __init__(self, chain: Chain, contract_name: str, address: str) -> None:
        self._chain = chain
        self._function = abi.load(contract_name).functions["judge"]
        self._address = address

    def answers(self, cases: Sequence[Case]) -> list[Answer]:
        """The contract's answer to each case."""
        found: list[Answer] = []
        for start in range(0, len(cases), BATCH):
            calls = [self._call(case) for case in cases[start : start + BATCH]]
            found += map(self._answer, self._chain.batch(calls))
        return found

    def compare(self, cases: Iterable[Case]) -> Counter[Outcome]:
        """Fails at the first cases on which contract and Python differ.

        Returns:
            How often each verdict was given: the caller sees whether the cases were a formality.
        """
        counts: Counter[Outcome] = Counter()
        source = iter(cases)
        # Some at a time, so that a long run shows a difference early and holds few cases.
        while chunk := list(itertools.islice(source, 8 * BATCH)):
            expected = [judge(case) for case in chunk]
            answers = self.answers(chunk)
            differences = [
                _difference(case, verdict, answer)
                for case, verdict, answer in zip(chunk, expected, answers, strict=True)
                if answer.outcome is not verdict.outcome
            ]
            assert not differences, f"{len(differences)} differences:\n" + "\n".join(
                differences[:5]
            )
            counts.update(verdict.outcome for verdict in expected)
        return counts

    def _call(self, case: Case) -> tuple[str, list[object]]:
        calldata = self._function.encode(encoded(case))
        return "eth_call", [{"to": self._address, "data": to_hex(calldata)}, "latest"]

    def _answer(self, reply: Mapping[str, Any]) -> Answer:
        if "error" in reply:
            return Answer(None, str(reply["error"]))
        (number,) = self._function.decode(to_bytes(reply["result"]))
        return Answer(OUTCOMES[number])


def encoded(case: Case) -> tuple[object, ...]:
    """A case as the struct of Case.sol: of operands with taps only those that count."""
    per_tap = PER_TAP.get(case.opcode, 0)
    taps = range(len(case.operands[0]) if per_tap else 0)
    counting = [
        tap for tap in taps if all(operand[tap] is not None for operand in case.operands[:per_tap])
    ]
    packed = []
    for number, (kind, operand) in enumerate(zip(case.operand_types, case.operands, strict=True)):
        read: Taps = tuple(operand[tap] for tap in counting) if number < per_tap else operand
        present = [bits for bits in read if bits is not None]
        packed.append(b"".join(bits.to_bytes(kind.item_size, "little") for bits in present))
    return (
        int(case.opcode),
        int(case.tier),
        TYPE_NUMBERS[case.output_type],
        case.claimed,
        [TYPE_NUMBERS[kind] for kind in case.operand_types],
        packed,
        list(case.attributes),
        case.rank,
        counting if len(counting) < len(taps) else [],
    )


def start(log_file: Path) -> Anvil:
    """A chain of the caller's own, who ends it."""
    return Anvil.start(AnvilOptions(chain_id=random_chain_id()), log_file)


def _difference(case: Case, verdict: Verdict, answer: Answer) -> str:
    said = answer.outcome.name if answer.outcome else f"no verdict ({answer.error})"
    operands = [[hex(bits) if bits is not None else None for bits in o] for o in case.operands]
    return (
        f"Python {verdict.outcome.name} ({verdict.reason}), contract {said}: "
        f"{case.opcode.name} {case.tier.name}, claimed {case.output_type.value} "
        f"{case.claimed:#x}, operands {[kind.value for kind in case.operand_types]} {operands}, "
        f"attributes {case.attributes}, rank {case.rank}"
    )
