"""Epsilon of the outputs of one run, and which instructions it is made up of.

Puts the freedom of every element (`reach`) and the derivatives (`gradient`) together. Knows one
run at a time, and nothing of how many are certified.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.gradient import Target, gradients, targets_at_once
from oracle.certificate.place import Reals
from oracle.certificate.reach import Freedom
from oracle.program.instruction import Program

Row = Sequence[NDArray[Any]]

ROUNDING: Final = 1 + 2.0**-20
"""Covers the float64 rounding of the certificate's own sums."""


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
    epsilon = shares.sum(axis=0) * ROUNDING
    for index, (tensor, position) in enumerate(targets):
        if tensor in free.limit:
            epsilon[index] = min(epsilon[index], free.limit[tensor][position] * ROUNDING)
    return RowBounds(epsilon, shares, bends)


def apart(bounds: RowBounds, moved: Reals, number: int) -> RowBounds:
    """Of a run that lies so far from the one in question, for what instruction `number` chose."""
    shares, bends = bounds.shares.copy(), bounds.bends.copy()
    shares[number] += moved
    bends[number] += moved
    return RowBounds(bounds.epsilon + moved * ROUNDING, shares, bends)


def widest(parts: Sequence[RowBounds]) -> RowBounds:
    """Of each target the part that allows it most."""
    if len(parts) == 1:
        return parts[0]
    chosen = np.argmax([part.epsilon for part in parts], axis=0)
    places = range(len(chosen))
    return RowBounds(
        np.array([parts[chosen[place]].epsilon[place] for place in places]),
        np.stack([parts[chosen[place]].shares[:, place] for place in places], axis=1),
        np.stack([parts[chosen[place]].bends[:, place] for place in places], axis=1),
    )


def _weighted(weights: Reals, free: Reals) -> Reals:
    """sum of weight x freedom; an element without bound counts only where it has weight."""
    unbounded = ~np.isfinite(free)
    if not unbounded.any():
        weighted: Reals = weights @ free
        return weighted
    finite = weights @ np.where(unbounded, 0.0, free)
    return np.where(weights[:, unbounded].any(axis=1), np.inf, finite)


def bent(bounds: RowBounds, tolerated: float) -> bool:
    """Whether kinks, steps and second order make up too much of the largest epsilon."""
    if not bounds.epsilon.size:
        return False
    target = int(np.argmax(bounds.epsilon))
    bend = float(bounds.bends[:, target].sum())
    return not math.isfinite(bounds.epsilon[target]) or bend > tolerated * bounds.epsilon[target]


def largest(bounds: RowBounds) -> float:
    return float(bounds.epsilon.max(initial=0.0))
