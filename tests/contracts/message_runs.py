"""Committed runs together with their requests and results, for the contract to compare.

Knows how messages are laid out: tensors one after the other, each with all its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, Final

import numpy as np

from oracle.court.check_evaluate import evaluate
from oracle.court.message import MessagePlace
from oracle.court.proof import FraudKind
from oracle.court.proving import Prover
from oracle.program.instruction import Program, Trace
from oracle.program.opcode import Opcode
from tests.contracts.courtroom import committed
from tests.court_check.programs import Builder, trace
from tests.court_suite.sample_runs import sample

EMPTY: Final = b""
SAMPLES: Final = ("breast-cancer-gbt", "wine-forest", "digits-encoder")
PATTERNS: Final = (0x7F80000000000000, 0x7FF0000000000000, 0x8000000000000000, 0x7F7FFFFF7F7FFFFF)
"""Bytes in which infinities of both float types begin, or nearly do."""


@dataclass(frozen=True)
class Run:
    """A committed trace, and the messages that belong to it."""

    prover: Prover
    request: bytes
    result: bytes

    @property
    def program(self) -> Program:
        return self.prover.program

    def message(self, kind: FraudKind) -> bytes:
        return self.request if kind is FraudKind.INPUT else self.result

    def places(self, kind: FraudKind) -> list[MessagePlace]:
        """Every element of a message, in its order."""
        numbers = self.program.inputs if kind is FraudKind.INPUT else self.program.outputs
        return [
            MessagePlace(row, tensor, position)
            for tensor, number in enumerate(numbers)
            for row in range(len(self.prover.trace.rows))
            for position in range(self.program.tensors[number].size)
        ]


def run_of(program: Program, made: Trace) -> Run:
    return Run(
        committed(program, made),
        message_of(program.inputs, made),
        message_of(program.outputs, made),
    )


def message_of(numbers: Sequence[int], made: Trace) -> bytes:
    return b"".join(row[number].tobytes() for number in numbers for row in made.rows)


def joined(rows: int = 3, max_rows: int = 4, leaf_bytes: int = 8) -> Run:
    """Four inputs and three outputs, which are copies of inputs; leaves of a few elements."""
    rng = np.random.default_rng(3)
    values: list[Any] = [
        rng.standard_normal((3, 5)).astype(np.float32),
        rng.random((3, 9)) < 0.5,
        rng.integers(-9, 9, (3, 2)),
        rng.standard_normal((3, 2)),
    ]
    made = Builder()
    inputs = [made.input(*value) for value in values]
    outputs = [
        made.step(Opcode.COPY, (value.shape[1],), (), [trace(number, (1,))], value.dtype)
        for number, value in zip(inputs, values, strict=True)
    ]
    program = replace(
        made.program(), outputs=(outputs[3], outputs[1], outputs[0]), max_rows=max_rows,
        leaf_bytes=leaf_bytes,
    )  # fmt: skip
    return run_of(program, evaluate(program, None, made.rows()[:rows]))


@cache
def sampled(name: str) -> Run:
    made = sample(name)
    return run_of(made.program, made.trace)


def runs() -> list[Run]:
    return [joined(), joined(rows=1, max_rows=1), *map(sampled, SAMPLES)]


def changed(run: Run, number: int, row: int, place: int) -> Run:
    """The same messages, but another element in the trace."""
    rows = [list(tensors) for tensors in run.prover.trace.rows]
    values = rows[row][number].copy()
    values.view(np.uint8).reshape(values.size, -1)[place, 0] ^= 1
    rows[row][number] = values
    made = Trace(tuple(map(tuple, rows)))
    return replace(run, prover=committed(run.program, made, run.prover.encoded))


def struck(source: Random) -> bytes:
    """Eight bytes, little-endian, near to infinity in float64, in float32, or in neither."""
    bits = source.choice(PATTERNS) | source.choice((0, 0, 1, 1 << source.randrange(64)))
    if source.random() < 0.5:
        bits |= bits >> 32
    return (bits ^ source.choice((0, 1 << 63, 1 << source.randrange(64)))).to_bytes(8, "little")
