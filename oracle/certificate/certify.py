"""Certifying a program on given runs: epsilon of every output element.

epsilon = sum over all elements of (freedom at the element x |d output / d element|), which is
2 x sum of (the court's tolerance x |d output / d element|) and what kinks, steps and second order
add to it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.certificate import Certificate, Contribution, OutputBound
from oracle.certificate.gradient import Target, gradients, targets_at_once
from oracle.certificate.place import Reals
from oracle.certificate.reach import Freedom, freedom
from oracle.court.check_evaluate import evaluate
from oracle.program.instruction import Program, Trace

Row = Sequence[NDArray[Any]]

_TOP: Final = 12
_ROUNDING: Final = 1 + 2.0**-20
"""Covers the float64 rounding of the certificate's own sums."""


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
class RowBounds:
    """Of one run: epsilon of every target, and how it is made up, by instruction."""

    epsilon: Reals
    shares: Reals
    """[instruction, target]: what each instruction adds to epsilon."""

    bends: Reals
    """The part of `shares` that is not tolerance."""


def bound_row(
    program: Program, row: Row, targets: Sequence[Target], free: Freedom, memory_bytes: int
) -> RowBounds:
    """Epsilon of the targets (tensor, position) of one run."""
    shares = np.zeros((len(program.instructions), len(targets)))
    bends = np.zeros_like(shares)
    step = targets_at_once(program, memory_bytes)
    wide = free.reach if free.estimated else None
    for first in range(0, len(targets), step):
        part = slice(first, first + step)
        for number, adjoints in gradients(program, row, targets[part], wide):
            weights = np.abs(adjoints)
            shares[number, part] = _weighted(weights, free.total[number])
            bends[number, part] = _weighted(weights, free.bend[number])
    return RowBounds(shares.sum(axis=0) * _ROUNDING, shares, bends)


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
        program, options = self._program, self._options
        for tensor in program.inputs:
            self._hash.update(np.ascontiguousarray(row[tensor]).tobytes())
        number = len(self._epsilons) + len(self._undefined)
        reason = _unusable(program, row)
        if reason is not None:
            self._undefined.append(f"row {number}: {reason}")
            return
        free = freedom(program, row)
        bounds = bound_row(program, row, self._targets, free, options.memory_bytes)
        self._proved = max(self._proved, _largest(bounds))
        if options.probes and _bent(bounds, options.tolerated_bend):
            free = freedom(program, row, probes=options.probes)
            guess = bound_row(program, row, self._targets, free, options.memory_bytes)
            if _largest(guess) < _largest(bounds):
                bounds = guess
                self._estimated += 1
        self._epsilons.append(bounds.epsilon)
        for index, tensor in enumerate(program.outputs):
            self._unstable[index] += bool((free.reach[tensor] > 0).any())
        if self._worst is None or _largest(bounds) > _largest(self._worst):
            self._worst = bounds

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
            outputs=tuple(outputs),
            contributions=_contributions(program, self._worst),
            undefined=tuple(self._undefined),
        )


def _run(program: Program, inputs: Row) -> Row:
    return evaluate(program, None, [inputs]).rows[0]


def _weighted(weights: Reals, free: Reals) -> Reals:
    """sum of weight x freedom; an element without bound counts only where it has weight."""
    unbounded = ~np.isfinite(free)
    if not unbounded.any():
        weighted: Reals = weights @ free
        return weighted
    finite = weights @ np.where(unbounded, 0.0, free)
    return np.where(weights[:, unbounded].any(axis=1), np.inf, finite)


def _bent(bounds: RowBounds, tolerated: float) -> bool:
    """Whether kinks, steps and second order make up too much of the largest epsilon."""
    if not bounds.epsilon.size:
        return False
    target = int(np.argmax(bounds.epsilon))
    bend = float(bounds.bends[:, target].sum())
    return not math.isfinite(bounds.epsilon[target]) or bend > tolerated * bounds.epsilon[target]


def _unusable(program: Program, row: Row) -> str | None:
    """Why a run has no certificate, if it has none: the court says UNDEFINED of its elements.

    Inputs are fixed and may be anything, such as NaN for a missing feature of a tree.
    """
    for step in program.instructions:
        info, values = program.tensors[step.output], row[step.output]
        if info.element.is_float and not np.isfinite(values).all():
            return f"tensor {info.name!r} holds NaN or infinity"
    return None


def _largest(bounds: RowBounds) -> float:
    return float(bounds.epsilon.max(initial=0.0))


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
