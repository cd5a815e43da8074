"""The screen of DOT, SUM and MEAN: float64 sums, and which claims they already prove within.

Where sums are made in float64 and rounded once, a claim that is the screen's own sum, rounded, is
within: it is what an honest run gives in some order. An element that is not passes if its distance
from the float64 sum, plus all that the float64 sum itself may be off by, is below a lower estimate
of its bound. The bound grows with S = sum |a·b|, which would cost a second product: most elements
pass with |sum a·b| in its place, the others get their S.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.operands import Array
from oracle.court.screen_matrix import Block, Factor, Grouping, Memory, blocks, group
from oracle.court.screen_nest import PART, Nest, parts
from oracle.court.screen_result import Expected, Screening
from oracle.program.opcode import Opcode

_UNIT: Final = 2.0**-53
_SAFE: Final = 1 + 2.0**-20
"""Covers the handful of roundings in the screen's own estimates."""

_TIGHT: Final = 1 + 2.0**-48
"""The same where the estimate itself is nearly exact."""

_LARGEST: Final = 2.0**125
"""S above this may be UNDEFINED (R0), which the exact judge decides."""

_MOST_TERMS: Final = (1 << 23) - 2
"""From here on the court may be silent, which the exact judge decides."""

_MOST_DIVISOR: Final = 1 << 24

_DENSE: Final = 1 / 64
"""Share of elements without a verdict from which S is computed by a second product."""


@dataclass(frozen=True)
class Sums:
    """Float64 sums over a part of the domain and what is known of S = sum |a·b| + |c|.

    `upper` and `lower` bound S; `slack` bounds the distance of `value` from the exact sum.
    """

    value: Array
    upper: Array
    lower: Array
    slack: Array


def half_ulp(claimed: Array) -> Array:
    """Half a unit in the last place of float32 numbers, as float64; 0 for NaN and infinity."""
    exponent = (claimed.view(np.uint32) >> np.uint32(23)) & np.uint32(0xFF)
    return np.asarray(_HALF_ULP[exponent])


_HALF_ULP: Final = np.ldexp(1.0, np.maximum(np.arange(256), 1) - 127 - 24)
_HALF_ULP[255] = 0.0


def screen_linear(nest: Nest, claimed: Array, memory: Memory) -> Screening:
    """Certain verdicts on DOT, SUM and MEAN over float32, and on SUM of integers."""
    if nest.step.opcode is Opcode.SUM and nest.output.dtype.kind in "iu":
        values = integer_totals(nest)
        return Screening.none(nest.domain) if values is None else Expected(values).screen(claimed)
    if not is_float32(nest) or nest.tier is Tier.UNPROVEN or nest.taps >= _MOST_TERMS:
        return Screening.none(nest.domain)
    if nest.step.opcode is Opcode.DOT:
        if any(operand.guards for operand in nest.operands[2:]) or len(nest.operands) > 3:
            return Screening.none(nest.domain)
        return _screen_dot(nest, claimed, memory)
    if nest.step.opcode is Opcode.MEAN and not 0 <= nest.step.attributes[0] <= _MOST_DIVISOR:
        return Screening.none(nest.domain)
    return _screen_sums(nest, claimed)


def linear_values(nest: Nest, memory: Memory) -> Array:
    """The sums over the whole domain: float64 of float32, exact of integers."""
    if nest.step.opcode is not Opcode.DOT:
        integers = integer_totals(nest)
        if integers is not None:
            return integers
        values = np.empty(nest.domain, dtype=np.float64)
        for place, part in parts(nest):
            values[place] = _sums(part)[0]
        return values
    a, b = Factor(nest.operands[0]), Factor(nest.operands[1])
    grouping = group(nest, a, b)
    whole = np.empty(grouping.shape, dtype=np.float64)
    for block in blocks(nest, grouping, a, b, memory):
        whole[block.place] = block.value()
    values = grouping.ungrouped(whole)
    if len(nest.operands) > 2:
        values = values + nest.element(2)
    return np.asarray(values)


def agrees(nest: Nest, claims: Array, value: Array) -> bool:
    """Whether every claim is the float64 sum rounded once, in a tier that asks for just that.

    All claims are then within, by the argument of docs/court.md (5, ROUNDED): the float64 sum is
    one of the sums it speaks of, padding adds zeros, and a finite sum had finite operands.
    """
    if nest.tier is Tier.NATIVE:
        return False
    rounded = value.astype(np.float32)
    return bool((rounded == claims).all() and np.isfinite(rounded).all())


def integer_totals(nest: Nest) -> Array | None:
    """SUM of integers modulo 2^bits; None for other types."""
    kind = nest.output.dtype
    if kind.kind not in "iu" or nest.operands[0].flat.dtype != kind:
        return None
    return np.asarray(nest.read(0).sum(axis=nest.reduction_axes, dtype=kind))


def is_float32(nest: Nest) -> bool:
    """Whether the output and every operand is float32."""
    kind = ElementType.FLOAT32.dtype
    return nest.output is ElementType.FLOAT32 and all(
        operand.flat.dtype == kind for operand in nest.operands
    )


def _screen_dot(nest: Nest, claimed: Array, memory: Memory) -> Screening:
    a, b = Factor(nest.operands[0]), Factor(nest.operands[1])
    grouping = group(nest, a, b)
    claims = grouping.grouped(claimed)
    addend = grouping.grouped(nest.element(2)) if len(nest.operands) > 2 else None
    counts: Array | None = None
    within = np.ones(grouping.shape, dtype=np.bool_)
    undefined = np.zeros(grouping.shape, dtype=np.bool_)
    for block in blocks(nest, grouping, a, b, memory):
        place = block.place
        constant = None if addend is None else addend[place].astype(np.float64)
        product = block.value()
        value = product if constant is None else product + constant
        if agrees(nest, claims[place], value):
            continue
        if counts is None:
            counts = _grouped_counts(nest, grouping)
        count = counts if counts.size == 1 else counts[place]
        norms = memory.norm(block.a)[:, :, None], memory.norm(block.b)[:, None, :]
        sums = _dot_sums(product, value, norms, constant, nest.taps)
        rule = Rule(nest, count, count + (addend is not None), count)
        passed = rule.passes(claims[place], sums)
        undefined[place] = _unspeakable(norms, constant, (a.guarded, b.guarded))
        left = ~passed & ~undefined[place]
        if left.any():
            _second_look(rule, block, claims[place], sums, left, passed, constant)
        within[place] = passed & ~undefined[place]
    return Screening(grouping.ungrouped(within), grouping.ungrouped(undefined))


def _grouped_counts(nest: Nest, grouping: Grouping) -> Array:
    """How many taps count, grouped; a single number where it is the same for all elements."""
    taps = nest.tap_count((0, 1))
    if taps.size == 1:
        return taps.reshape(1, 1, 1)
    return grouping.grouped(np.broadcast_to(taps, nest.domain))


def _dot_sums(
    product: Array, value: Array, norms: tuple[Array, Array], constant: Array | None, taps: int
) -> Sums:
    lower = np.abs(product)
    upper = norms[0] * norms[1]
    if constant is not None:
        size = np.abs(constant)
        lower += size
        upper = upper + size
    slack = upper * (taps * _UNIT * _SAFE)
    return Sums(value, upper, lower - slack, slack)


@dataclass(frozen=True)
class Rule:
    """The bound of R2 and R3: numbers of terms, of float32 roundings and of underflows.

    Each is an array that broadcasts to the sums.
    """

    nest: Nest
    terms: Array
    roundings: Array
    underflows: Array

    def picked(self, shape: tuple[int, ...], places: tuple[Array, ...]) -> Rule:
        """The rule at some places of arrays of a shape."""
        numbers = (self.terms, self.roundings, self.underflows)
        terms, roundings, underflows = (np.broadcast_to(n, shape)[places] for n in numbers)
        return Rule(self.nest, terms, roundings, underflows)

    def passes(self, claims: Array, sums: Sums) -> Array:
        """Which claims are certainly within."""
        distance = np.abs(claims - sums.value) * _TIGHT + sums.slack
        size = np.maximum(sums.lower, 0.0)
        if self.nest.tier is Tier.NATIVE:
            gamma = self.roundings / (2.0**24 - self.roundings)
            bound = gamma * size + self.underflows * 2.0**-149
            sure = (sums.upper < _LARGEST) & (self.roundings < 1 << 23)
        else:
            extra = 2 if self.nest.step.opcode is Opcode.MEAN else 1
            bound = half_ulp(claims) + size * ((self.terms + extra) * _UNIT)
            sure = sums.upper < _LARGEST
        return np.asarray((distance <= bound * (1 - 2.0**-50)) & sure)


def _second_look(
    rule: Rule,
    block: Block,
    claims: Array,
    sums: Sums,
    left: Array,
    passed: Array,
    constant: Array | None,
) -> None:
    """Marks in `passed` what passes with S itself, which is computed where `left` says."""
    taps = block.a.shape[2]
    places = np.nonzero(left)
    if places[0].size > left.size * _DENSE:
        size = block.product(np.abs(block.a), np.abs(block.b))[places]
    else:
        size = np.empty(places[0].size)
        step = max(1, PART // max(taps, 1))
        for first in range(0, size.size, step):
            g, i, j = (axis[first : first + step] for axis in places)
            pairs = np.abs(block.a[g, i]), np.abs(block.b[g, j])
            size[first : first + step] = np.einsum("ik,ik->i", *pairs)
    if constant is not None:
        size = size + np.abs(np.broadcast_to(constant, left.shape)[places])
    lower = size * (1 - (taps + 1) * _UNIT)
    rule = rule.picked(left.shape, places)
    additions = np.maximum(rule.roundings - 1, 0)  # adding the zero of a padding tap is exact
    slack = size * (additions * _UNIT * _loose(taps))
    picked = Sums(sums.value[places], sums.upper[places], lower, slack)
    passed[places] = rule.passes(claims[places], picked)


def _unspeakable(
    norms: tuple[Array, Array], constant: Array | None, guarded: tuple[bool, bool]
) -> Array:
    """Where a tap that certainly counts, or the addend, is infinite or NaN."""
    result: Array = np.zeros((1, 1, 1), dtype=np.bool_)
    for norm, other_guarded in zip(norms, reversed(guarded), strict=True):
        wrong = ~np.isfinite(norm)
        if not other_guarded and wrong.any():
            result = result | wrong
    if constant is not None:
        wrong = ~np.isfinite(constant)
        if wrong.any():
            result = result | wrong
    return result


def _sums(nest: Nest) -> tuple[Array, Array, Array]:
    """Of SUM and MEAN: the value, S (each over the domain) and the number of taps."""
    a = nest.operands[0]
    order = range(len(nest.domain) + len(nest.reduction))
    terms = a.ordered(nest.domain + nest.reduction, order).reshape(*nest.domain, nest.taps)
    value, size = terms.sum(axis=-1), np.abs(terms).sum(axis=-1)
    count = np.asarray(nest.tap_count((0,)))
    if nest.step.opcode is Opcode.MEAN:
        divisor = nest.step.attributes[0] or np.where(count == 0, np.nan, count)
        value, size = value / divisor, size / divisor
    return value, size, count


def _screen_sums(nest: Nest, claimed: Array) -> Screening:
    within = np.empty(nest.domain, dtype=np.bool_)
    undefined = np.empty(nest.domain, dtype=np.bool_)
    for place, part in parts(nest):
        value, size, count = _sums(part)
        if agrees(nest, claimed[place], value):
            within[place], undefined[place] = True, False
            continue
        mean = nest.step.opcode is Opcode.MEAN
        additions = np.maximum(count - 1, 0)
        slack = size * ((additions + mean) * _UNIT * _loose(nest.taps))
        sums = Sums(value, size, size * (1 - (nest.taps + 2) * _UNIT), slack)
        roundings = count + 1 if mean else additions
        rule = Rule(nest, count, roundings, count + 1 if mean else 0 * count)
        passed = rule.passes(claimed[place], sums)
        # A mean of nothing is NaN here, and undefined as well.
        undefined[place] = ~np.isfinite(size)
        within[place] = passed & ~undefined[place]
    return Screening(within, undefined)


def _loose(taps: int) -> float:
    """Covers the rounding of S itself and the second order of gamma_K in float64."""
    return 1 + (2 * taps + 16) * _UNIT
