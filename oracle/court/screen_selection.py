"""Selection over taps and by index, exact: COPY, REDUCE_MAX, ARGMAX, TOPK, GATHER and the like.

A function gives None where the court has no rule for the types or the guards are unusual.
"""

from __future__ import annotations

import numpy as np

from oracle.court.operands import Array
from oracle.court.screen_nest import Nest
from oracle.court.screen_result import NO, YES, Expected, nan
from oracle.program.opcode import Opcode


def copy_values(nest: Nest) -> Expected | None:
    """The raw bits of the first operand whose guards hold, else the fill."""
    kind = nest.output.dtype
    if any(operand.flat.dtype != kind for operand in nest.operands):
        return None
    if nest.operands and not nest.operands[0].guards:
        return Expected(nest.operands[0].view(nest.domain))
    whole = any(not operand.guards for operand in nest.operands)
    bits = nest.step.attributes[0] if nest.step.attributes else 0
    fill = np.array(bits & ((1 << 8 * kind.itemsize) - 1), dtype=f"<u{kind.itemsize}")
    result = np.full(nest.domain, fill.view(kind), dtype=kind)
    covered = YES if whole or nest.step.attributes else np.zeros(nest.domain, dtype=np.bool_)
    for operand in reversed(nest.operands):
        operand.fill(result)
        if covered is not YES:
            covered = covered | operand.held(nest.domain)
    return Expected(result, undefined=~covered)


def extreme_values(nest: Nest) -> Expected | None:
    """REDUCE_MAX and REDUCE_MIN."""
    operand = nest.operands[0]
    kind = operand.flat.dtype
    if kind != nest.output.dtype or kind.kind == "b":
        return None
    largest = nest.step.opcode is Opcode.REDUCE_MAX
    if kind.kind == "f":
        padding: float = -np.inf if largest else np.inf
    else:
        padding = int(np.iinfo(kind).min if largest else np.iinfo(kind).max)
    axes = nest.reduction_axes
    a = nest.read(0, padding)
    result = a.max(axis=axes) if largest else a.min(axis=axes)
    empty = nest.tap_count((0,)) == 0 if operand.guards else NO
    return Expected(np.asarray(result), undefined=nan(result) | empty)


def position_values(nest: Nest) -> Expected | None:
    """ARGMAX and ARGMIN: the lowest position on ties, or the highest."""
    operand = nest.operands[0]
    if operand.guards or operand.flat.dtype.kind == "b" or nest.output.dtype.name != "int64":
        return None
    a = nest.read(0).reshape(*nest.domain, nest.taps)
    last = bool(nest.step.attributes[0])
    if last:
        a = a[..., ::-1]
    largest = nest.step.opcode is Opcode.ARGMAX
    found = a.argmax(axis=-1) if largest else a.argmin(axis=-1)  # NaN, if there is one
    chosen = np.take_along_axis(a, found[..., None], axis=-1)[..., 0]
    if last:
        found = nest.taps - 1 - found
    return Expected(found.astype(np.int64), undefined=nan(chosen))


def top_values(nest: Nest) -> Expected | None:
    """TOPK_VALUE and TOPK_INDEX: the r-th, where r is the last domain index."""
    operand = nest.operands[0]
    last = len(nest.domain) - 1
    by_position = nest.step.opcode is Opcode.TOPK_INDEX
    kind = operand.flat.dtype
    expected = np.dtype("<i8") if by_position else kind
    if operand.guards or kind.kind == "b" or nest.output.dtype != expected:
        return None
    if last < 1 or operand.coefficients[last] or nest.domain[-1] > nest.taps:
        return None
    a = operand.read((*nest.domain[:-1], 1, *nest.reduction))
    a = a.reshape(*nest.domain[:-1], nest.taps)
    if nest.step.attributes[
        0
    ]:  # a stable descending order: the stable one of the reverse, reversed
        order = (nest.taps - 1 - a[..., ::-1].argsort(axis=-1, kind="stable"))[..., ::-1]
    else:
        order = a.argsort(axis=-1, kind="stable")
    order = order[..., : nest.domain[-1]]
    wrong = nan(a).any(axis=-1, keepdims=True) if kind.kind == "f" else NO
    values = order.astype(np.int64) if by_position else np.take_along_axis(a, order, axis=-1)
    return Expected(values, undefined=np.asarray(wrong))


def gather_values(nest: Nest) -> Expected | None:
    """a at its position + stride·b; undefined for indices outside the length."""
    a, b = nest.operands
    stride, length = nest.step.attributes
    if a.guards or b.guards or a.flat.dtype != nest.output.dtype:
        return None
    if b.flat.dtype.name not in ("int32", "int64"):
        return None
    index: Array = nest.element(1)
    known = (index >= -length) & (index < length)
    index = np.where(known, index, 0).astype(np.int64)
    place = a.positions(nest.domain) + stride * np.where(index < 0, index + length, index)
    values, exists = a.take(place, nest.domain[0])
    return Expected(values, undefined=~(known & exists))
