"""Derivatives of operations that pass on one of their operands' elements.

The derivative is that of the element chosen in the honest run. Its remainder is how far the
operation could leave that element: by as much as another one within reach can overtake it. In a
wide frame there is no remainder, but every element that could be chosen has a derivative of 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals, Selected, positions
from oracle.certificate.term import Term
from oracle.program.opcode import Opcode


def copy(frame: Frame) -> tuple[Term, ...]:
    """Of the first operand whose guards hold."""
    terms: tuple[Term, ...] = ()
    left: NDArray[np.bool_] = np.ones((1,) * len(frame.lengths), dtype=np.bool_)
    for number in range(len(frame.step.operands)):
        valid = frame.held(number)
        terms += frame.term(number, (left & valid).astype(np.float64))
        left = left & ~valid
    return terms


def choose(frame: Frame) -> tuple[Term, ...]:
    """MAX and MIN of two operands; the first on a tie."""
    lead = frame.read(0) - frame.read(1)
    if frame.step.opcode is Opcode.MIN:
        lead = -lead
    first = lead >= 0
    second = ~first
    if frame.wide:
        moved = frame.reach(0) + frame.reach(1)
        near = (np.abs(lead) <= moved) & (moved > 0)
        first, second = first | near, second | near
    return frame.term(0, first.astype(np.float64)) + frame.term(1, second.astype(np.float64))


def choose_remainder(frame: Frame) -> Reals:
    moved = frame.reach(0) + frame.reach(1)
    if frame.wide:
        return np.zeros_like(moved)
    over: Reals = np.maximum(moved - np.abs(frame.read(0) - frame.read(1)), 0.0)
    return over


def where(frame: Frame) -> tuple[Term, ...]:
    taken = frame.raw(0) != 0
    return frame.term(1, taken.astype(np.float64)) + frame.term(2, (~taken).astype(np.float64))


def where_remainder(frame: Frame) -> Reals:
    """All of the difference, if the condition can change."""
    jump = np.abs(frame.read(1) - frame.read(2)) + frame.reach(1) + frame.reach(2)
    return np.where(frame.reach(0) > 0, jump, 0.0)


def gather(frame: Frame) -> tuple[Term, ...]:
    """Of the data; the index is an integer."""
    if not frame.in_trace(0):
        return ()
    return _selected(frame, gathered(frame))


def gathered(frame: Frame) -> NDArray[np.int64]:
    """Flat positions in the data."""
    stride, length = frame.step.attributes
    index = frame.raw(1).astype(np.int64)
    index = np.where(index < 0, index + length, index)
    return positions(frame.step.operands[0], _axes(frame)) + stride * index


def gather_remainder(frame: Frame) -> Reals:
    """Without bound where the index can change: another element is then read."""
    return np.where(frame.reach(1) > 0, np.inf, 0.0)


def extreme(frame: Frame) -> tuple[Term, ...]:
    """REDUCE_MAX and REDUCE_MIN."""
    return _tap_term(frame, _first_best(frame))


def extreme_remainder(frame: Frame) -> Reals:
    return _overtaken(frame, _first_best(frame))


def topk(frame: Frame) -> tuple[Term, ...]:
    return _tap_term(frame, ranked(frame))


def topk_remainder(frame: Frame) -> Reals:
    return _overtaken(frame, ranked(frame))


def ranked(frame: Frame) -> NDArray[np.int64]:
    """Of each output element, the tap it takes: the r-th, r the last domain index."""
    values = _by_tap(frame)
    order = np.argsort(-values, axis=-1, kind="stable")
    rank = np.arange(frame.step.domain[-1])[:, None]
    chosen: NDArray[np.int64] = np.take_along_axis(
        order, np.broadcast_to(rank, (*order.shape[:-1], 1)), axis=-1
    )[..., 0]
    return chosen


def place_remainder(frame: Frame) -> Reals:
    """ARGMAX, ARGMIN, TOPK_INDEX: the farthest position that can take the place of the chosen."""
    values = _by_tap(frame)
    chosen = frame.output.reshape(frame.step.domain).astype(np.int64)[..., None]
    moved = _spread(frame, frame.reach(0))
    gap = np.abs(np.take_along_axis(values, chosen, axis=-1) - values)
    near = gap <= moved + np.take_along_axis(moved, chosen, axis=-1)
    near &= (moved + np.take_along_axis(moved, chosen, axis=-1)) > 0
    distance = np.abs(np.arange(values.shape[-1]) - chosen)
    farthest: Reals = np.where(near, distance, 0).max(axis=-1).astype(np.float64)
    return farthest.reshape(frame.outer)


def _first_best(frame: Frame) -> NDArray[np.int64]:
    best: NDArray[np.int64] = np.argmax(_by_tap(frame), axis=-1)
    return best


def _by_tap(frame: Frame) -> Reals:
    """[*domain, taps], so signed that the largest is chosen; -infinity where no tap counts."""
    smallest = frame.step.opcode in (Opcode.REDUCE_MIN, Opcode.ARGMIN) or (
        frame.step.opcode in (Opcode.TOPK_VALUE, Opcode.TOPK_INDEX) and not frame.step.attributes[0]
    )
    values = -frame.read(0) if smallest else frame.read(0)
    return _spread(frame, np.where(frame.held(0), values, -np.inf))


def _spread(frame: Frame, values: Reals) -> Reals:
    full = np.broadcast_to(values, frame.lengths)
    return full.reshape(*frame.step.domain, frame.step.taps)


def _overlap(frame: Frame, chosen: NDArray[np.int64]) -> Reals:
    """By how much each tap can overtake the chosen one; negative where it cannot."""
    values = _by_tap(frame)
    moved = np.where(np.isfinite(values), _spread(frame, frame.reach(0)), 0.0)
    at = chosen[..., None]
    gap = np.abs(np.take_along_axis(values, at, axis=-1) - values)
    over: Reals = moved + np.take_along_axis(moved, at, axis=-1) - gap
    np.put_along_axis(over, at, 0.0, axis=-1)
    return over


def _overtaken(frame: Frame, chosen: NDArray[np.int64]) -> Reals:
    if frame.wide:
        return np.zeros(frame.outer)
    worst: Reals = np.maximum(_overlap(frame, chosen), 0.0).max(axis=-1)
    return worst.reshape(frame.outer)


def _tap_term(frame: Frame, chosen: NDArray[np.int64]) -> tuple[Term, ...]:
    if not frame.in_trace(0):
        return ()
    if frame.wide:
        candidates = _overlap(frame, chosen) > 0
        if candidates.any():
            np.put_along_axis(candidates, chosen[..., None], True, axis=-1)
            return frame.term(0, candidates.astype(np.float64).reshape(frame.lengths))
    index = _axes(frame)[: len(frame.step.domain)]
    if frame.step.reduction:
        unravelled = np.unravel_index(chosen, frame.step.reduction)
        index += [part.reshape(frame.outer).astype(np.int64) for part in unravelled]
    return _selected(frame, positions(frame.step.operands[0], index))


def _selected(frame: Frame, at: NDArray[np.int64]) -> tuple[Term, ...]:
    full = np.broadcast_to(at, frame.outer)
    place = Selected(frame.step.operands[0].tensor, full)
    coefficient = np.ones((1,) * len(frame.lengths))
    return (Term(place, coefficient, frame.outer, len(frame.step.domain)),)


def _axes(frame: Frame) -> list[NDArray[np.int64]]:
    """Loop indices over the output's shape, one array per axis."""
    return [part.astype(np.int64) for part in np.indices(frame.outer, sparse=True)]
