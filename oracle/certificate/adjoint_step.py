"""Operations whose value jumps: their derivative is zero, and the jump itself is the remainder.

An element whose operands are out of reach of every threshold cannot change at all. One that is
within reach can change by as many quanta as lie within reach: usually one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.adjoint_linear import total, zeroed
from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals
from oracle.certificate.term import Term
from oracle.certificate.tree import leaf_spread
from oracle.court.rules_quantised import QUANTIZE_ROUNDINGS, REQUANTIZE_ROUNDINGS
from oracle.program.opcode import Opcode

_UNIT: Final = 2.0**-24
_SURPLUS: Final = 1 + 2.0**-20
"""Covers float64: the court's scalings are exact."""
_STEPS: Final[dict[Opcode, Callable[[Reals], Reals]]] = {
    Opcode.SIGN: np.sign,
    Opcode.FLOOR: np.floor,
    Opcode.CEIL: np.ceil,
    Opcode.ROUND: np.rint,
}


def flat(frame: Frame) -> tuple[Term, ...]:
    """No derivative."""
    return ()


def step_remainder(frame: Frame) -> Reals:
    """SIGN, FLOOR, CEIL, ROUND: monotone, so the ends of the reach tell all."""
    return _climb(_STEPS[frame.step.opcode], frame.read(0), frame.reach(0))


def comparison_remainder(frame: Frame) -> Reals:
    """LESS, LESS_EQUAL, EQUAL: true may become false where the two can meet."""
    moved = frame.reach(0) + frame.reach(1)
    near = (np.abs(frame.read(0) - frame.read(1)) <= moved) & (moved > 0)
    return near.astype(np.float64)


def logic_remainder(frame: Frame) -> Reals:
    """NOT, AND, OR, XOR: may change if an operand may."""
    moved = sum((frame.reach(number) for number in range(len(frame.step.operands))), np.zeros(1))
    changed: Reals = (np.asarray(moved) > 0).astype(np.float64)
    return changed


def cast(frame: Frame) -> tuple[Term, ...]:
    """To a float, or from one integer to a wider one: the identity. Else a step."""
    return () if _cast_steps(frame) else frame.term(0, 1.0)


def cast_remainder(frame: Frame) -> Reals:
    """Without bound where an integer can leave its type: it wraps, or the court has no opinion."""
    x, moved = frame.read(0), frame.reach(0)
    target = frame.output_type.dtype
    if target.kind == "f":
        return np.zeros((1,) * len(frame.lengths))
    if target.kind == "b":
        return ((np.abs(x) <= moved) & (moved > 0)).astype(np.float64)
    limits = np.iinfo(target)
    leaves = (moved > 0) & ((x - moved <= limits.min) | (x + moved >= limits.max))
    steps = _climb(np.trunc, x, moved) if _cast_steps(frame) else np.zeros_like(moved)
    return np.where(leaves, np.inf, steps)


def quantize_remainder(frame: Frame) -> Reals:
    """Quanta within reach; the court takes the neighbour of a tie, too."""
    return _farthest(frame, *_quantized(frame))


def quantized_dot_remainder(frame: Frame) -> Reals:
    """The accumulator moves by its operands' reach."""
    return _farthest(frame, *_quantized_dot(frame))


def choices(frame: Frame) -> tuple[Reals, Reals] | None:
    """Of an operation that rounds to an integer: the least and the largest that the court takes,
    over the output. None of any other operation."""
    match frame.step.opcode:
        case Opcode.QUANTIZE:
            low, high = _quantized(frame)
        case Opcode.QUANTIZED_DOT:
            low, high = _quantized_dot(frame)
        case _:
            return None
    return np.broadcast_to(low, frame.outer), np.broadcast_to(high, frame.outer)


def _quantized(frame: Frame) -> tuple[Reals, Reals]:
    scale = np.abs(frame.read(1))
    level, moved = frame.read(0) / scale, frame.reach(0) / scale
    return _quanta(frame, level, moved, frame.read(2), QUANTIZE_ROUNDINGS)


def _quantized_dot(frame: Frame) -> tuple[Reals, Reals]:
    a, b = zeroed(frame)
    moved_a, moved_b = frame.reach(0), frame.reach(1)
    level = total(frame, a, b)
    moved = total(frame, moved_a, np.abs(b)) + total(frame, np.abs(a) + moved_a, moved_b)
    if len(frame.step.operands) > 8:
        level = level + frame.read(8, per_tap=False)
        moved = moved + frame.reach(8, per_tap=False)
    first, second, last = (frame.read(number, per_tap=False) for number in (4, 5, 6))
    scale = np.abs(first * second / last)
    zero = frame.read(7, per_tap=False)
    wraps = (moved > 0) & (np.abs(level) + moved >= 2.0**31)
    low, high = _quanta(frame, level * scale, moved * scale, zero, REQUANTIZE_ROUNDINGS)
    return np.where(wraps, -np.inf, low), np.where(wraps, np.inf, high)


def tree_remainder(frame: Frame) -> Reals:
    """How far apart the leaves lie that the tree can reach."""
    stride, _ = frame.step.attributes
    moved = frame.reaches[frame.step.operands[0].tensor] if frame.in_trace(0) else np.zeros(1)
    if not np.any(moved > 0):
        return np.zeros((1,) * len(frame.lengths))
    access = frame.step.operands[0]
    return leaf_spread(
        features=frame.values[access.tensor][access.offset :: stride].astype(np.float64),
        reach=moved[access.offset :: stride],
        nodes=_constant(frame, 1).reshape(-1, 8),
        leaves=_constant(frame, 2).astype(np.float64),
        roots=frame.raw(3).reshape(-1),
        values=frame.step.domain[-1],
    ).reshape(frame.outer)


def _constant(frame: Frame, number: int) -> NDArray[np.generic]:
    access = frame.step.operands[number]
    values: NDArray[np.generic] = frame.program.constant_values[access.tensor][access.offset :]
    return values


def _climb(function: Callable[[Reals], Reals], x: Reals, moved: Reals) -> Reals:
    """The larger of the steps that a monotone function takes up and down within reach."""
    with np.errstate(all="ignore"):
        low, here, high = function(x - moved), function(x), function(x + moved)
        steps: Reals = np.maximum(np.abs(high - here), np.abs(here - low))
    return np.where(np.isnan(steps), np.inf, steps)


def _quanta(
    frame: Frame, level: Reals, moved: Reals, zero: Reals, roundings: int
) -> tuple[Reals, Reals]:
    """The least and the largest integer that the court accepts."""
    moved = moved + roundings * _UNIT * (np.abs(level) + moved) * _SURPLUS
    limits = np.iinfo(frame.output_type.dtype)
    ends = (np.ceil(level - moved - 0.5), np.floor(level + moved + 0.5))
    low, high = (np.clip(end + zero, float(limits.min), float(limits.max)) for end in ends)
    return low, high


def _farthest(frame: Frame, low: Reals, high: Reals) -> Reals:
    """How far the committed integer lies from the farther end."""
    quanta: Reals = np.maximum(np.maximum(high - frame.output, frame.output - low), 0.0)
    return quanta


def _cast_steps(frame: Frame) -> bool:
    source, target = frame.type(0).dtype, frame.output_type.dtype
    if target.kind == "f":
        return False
    return source.kind == "f" or target.kind == "b"
