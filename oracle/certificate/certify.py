"""Certifying a program on given runs: epsilon of every output element.

epsilon = sum over all elements of (freedom at the element x |d output / d element|), which is
2 x sum of (the court's tolerance x |d output / d element|) and what kinks, steps and second order
add to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from oracle.certificate.certificate import Certificate, Contribution, OutputBound
from oracle.certificate.place import Reals
from oracle.certificate.reach import MARGIN, Freedom, freedom
from oracle.certificate.row_bounds import (
    ROUNDING,
    Row,
    RowBounds,
    apart,
    bent,
    bound_row,
    largest,
    widest,
)
from oracle.certificate.ties import Branch, branches, undecided
from oracle.court.check_evaluate import evaluate
from oracle.program.instruction import Program, Trace

_TOP: Final = 12


@dataclass(frozen=True)
class Options:
    """How much to compute.

    `probes` random runs estimate the reach where kinks, steps and second order make up more than
    `tolerated_bend` of the proved epsilon; 0 never estimates. `output_limit` elements of each
    output are certified, evenly spread, if it has more. `memory_bytes` is a target for the
    reverse pass.
    """

    probes: int = 64
    tolerated_bend: float = 0.25
    output_limit: int | None = None
    memory_bytes: int = 2**29


def certify(
    program: Program,
    runs: Trace | Iterable[Row],
    options: Options | None = None,
    progress: Callable[[int], None] | None = None,
) -> Certificate:
    """The certificate of a program on runs: a trace, or rows of inputs, which are evaluated here
    (flat, in committed order).

    `progress` is called with the number of rows done.
    """
    chosen = options or Options()
    tally = _Tally(program, chosen)
    rows = runs.rows if isinstance(runs, Trace) else (_run(program, row) for row in runs)
    for count, row in enumerate(rows, 1):
        tally.add(row)
        if progress is not None:
            progress(count)
    return tally.certificate()


@dataclass(frozen=True)
class _Part:
    """Of one branch: the proved bounds, the ones to certify, and the freedom behind those."""

    proved: RowBounds
    best: RowBounds
    free: Freedom


class _Tally:
    """What has been found out so far, row by row."""

    def __init__(self, program: Program, options: Options) -> None:
        self._program = program
        self._options = options
        self._hash = hashlib.sha256()
        self._undefined: list[str] = []
        self._epsilons: list[Reals] = []
        self._estimated = 0
        self._proved = 0.0
        self._worst: RowBounds | None = None
        self._unstable = [0] * len(program.outputs)
        self._positions = [
            _spread(program.tensors[tensor].size, options.output_limit)
            if program.tensors[tensor].element.is_float
            else ()
            for tensor in program.outputs
        ]
        self._targets = [
            (tensor, position)
            for tensor, positions in zip(program.outputs, self._positions, strict=True)
            for position in positions
        ]

    def add(self, row: Row) -> None:
        program = self._program
        for tensor in program.inputs:
            self._hash.update(np.ascontiguousarray(row[tensor]).tobytes())
        number = len(self._epsilons) + len(self._undefined)
        reason = _unusable(program, row)
        if reason is not None:
            self._undefined.append(f"row {number}: {reason}")
            return
        found = branches(program, row)
        if any(_unusable(program, branch.row) for branch in found):
            found = (undecided(program, row),)
        parts = [self._bounds(branch, row) for branch in found]
        proved = widest([part.proved for part in parts])
        bounds = widest([part.best for part in parts])
        self._proved = max(self._proved, largest(proved))
        self._estimated += any(part.best is not part.proved for part in parts)
        self._epsilons.append(bounds.epsilon)
        for index, tensor in enumerate(program.outputs):
            self._unstable[index] += any(
                bool((part.free.reach[tensor] > 0).any())
                or not np.array_equal(branch.row[tensor], row[tensor])
                for branch, part in zip(found, parts, strict=True)
            )
        if self._worst is None or largest(bounds) > largest(self._worst):
            self._worst = bounds

    def _bounds(self, branch: Branch, row: Row) -> _Part:
        """How far runs of a branch are from the row."""
        program, options = self._program, self._options
        free = branch.free
        proved = bound_row(program, branch.row, self._targets, free, options.memory_bytes)
        best = proved
        if options.probes and bent(proved, options.tolerated_bend):
            wide = freedom(program, branch.row, probes=options.probes, pinned=branch.pinned)
            guess = bound_row(program, branch.row, self._targets, wide, options.memory_bytes)
            if largest(guess) < largest(proved):
                best, free = guess, wide
        if branch.row is row:
            return _Part(proved, best, free)
        moved = np.array(
            [
                abs(float(branch.row[tensor][place]) - float(row[tensor][place]))
                for tensor, place in self._targets
            ]
        )
        first = branch.first or 0
        away = apart(proved, moved, first)
        return _Part(away, away if best is proved else apart(best, moved, first), free)

    def certificate(self) -> Certificate:
        program = self._program
        epsilons = np.array(self._epsilons).reshape(len(self._epsilons), len(self._targets))
        maxima: list[float] = []
        medians: list[float] = []
        if len(epsilons):
            maxima = epsilons.max(axis=0).tolist()
            medians = np.quantile(epsilons, 0.5, axis=0, method="higher").tolist()
        outputs: list[OutputBound] = []
        first = 0
        for index, tensor in enumerate(program.outputs):
            info, positions = program.tensors[tensor], self._positions[index]
            part = slice(first, first + len(positions))
            first += len(positions)
            outputs.append(
                OutputBound(
                    name=info.name,
                    is_float=info.element.is_float,
                    size=info.size,
                    positions=tuple(positions),
                    maximum=tuple(maxima[part]),
                    median=tuple(medians[part]),
                    unstable=0 if info.element.is_float else self._unstable[index],
                )
            )
        return Certificate(
            program_source_sha256=program.source_sha256.hex(),
            tier=program.tier,
            inputs_sha256=self._hash.hexdigest(),
            rows=len(epsilons),
            estimated=self._estimated,
            proved=self._proved,
            safety_factor=MARGIN if self._estimated else ROUNDING,
            outputs=tuple(outputs),
            contributions=_contributions(program, self._worst),
            undefined=tuple(self._undefined),
        )


def _run(program: Program, inputs: Row) -> Row:
    return evaluate(program, None, [inputs]).rows[0]


def _unusable(program: Program, row: Row) -> str | None:
    """Why a run has no certificate, if it has none: the court says UNDEFINED of its elements.

    Inputs are fixed and may be anything, such as NaN for a missing feature of a tree.
    """
    for step in program.instructions:
        info, values = program.tensors[step.output], row[step.output]
        if info.element.is_float and not np.isfinite(values).all():
            return f"tensor {info.name!r} holds NaN or infinity"
    return None


def _contributions(program: Program, worst: RowBounds | None) -> tuple[Contribution, ...]:
    """The instructions with the largest shares of the largest epsilon."""
    if worst is None or not worst.epsilon.size:
        return ()
    target = int(np.argmax(worst.epsilon))
    shares, bends = worst.shares[:, target], worst.bends[:, target]
    whole = float(shares.sum())
    order = np.argsort(-shares, kind="stable")[:_TOP]
    return tuple(
        Contribution(
            instruction=int(number),
            name=program.instructions[number].name,
            opcode=program.instructions[number].opcode.name,
            share=_part(float(shares[number]), whole),
            bend=_part(float(bends[number]), whole),
        )
        for number in order
        if shares[number] > 0
    )


def _part(share: float, whole: float) -> float:
    if np.isinf(whole):
        return 1.0 if np.isinf(share) else 0.0
    return share / whole


def _spread(size: int, limit: int | None) -> tuple[int, ...]:
    """All positions, or `limit` evenly spread ones."""
    if limit is None or size <= limit:
        return tuple(range(size))
    return tuple(index * size // limit for index in range(limit))
