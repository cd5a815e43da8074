"""Where an element must lie in any accepted run, known from what it is rather than from a slope.

Reach is carried by derivatives and remainders, and says nothing any more where a divisor could
fall to zero by it. A share of a positive sum, such as a softmax, cannot leave the range that the
ends of its terms give. Proofs are in docs/certificate.md. Knows the exponential, differences from
a row's largest, shares and copies; everything else has the enclosure that its reach gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.bounds import gamma
from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals
from oracle.court.operands import affine
from oracle.court.rules_elementary import RELATIVE, SMALLEST
from oracle.program.instruction import Access, Instruction, Space
from oracle.program.opcode import Opcode

_TINY: Final = float(SMALLEST) * (1 + 2.0**-20)
_CLOSE: Final = float(RELATIVE) * (1 + 2.0**-10)
_ROUNDED: Final = 2.0**-23
_EXACT: Final = 2.0**-50
"""What float64 loses in this module's own sums, relatively, for each term."""


@dataclass(frozen=True)
class Enclosure:
    """Flat, one interval for each element of a tensor."""

    low: Reals
    high: Reals

    def distance(self, values: Reals) -> Reals:
        """How far an element can be from where it is in the honest run."""
        farthest: Reals = np.maximum(self.high - values, values - self.low)
        return np.where(np.isnan(farthest), np.inf, np.maximum(farthest, 0.0))


Enclosures = Mapping[int, Enclosure]
"""By tensor; only of those about which more is known than their reach."""


def enclosure(frame: Frame, known: Enclosures) -> Enclosure | None:
    """Of an instruction's output, from its operands' reach and enclosures; None if there is none
    but its reach."""
    match frame.step.opcode:
        case Opcode.SUB:
            return _below_largest(frame)
        case Opcode.EXP if frame.in_trace(0):
            return _power(frame, known)
        case Opcode.DIV:
            return _share(frame, known)
        case Opcode.COPY:
            return _copied(frame, known)
        case _:
            return None


def _below_largest(frame: Frame) -> Enclosure | None:
    """a - b where b is the largest of elements of which a is one: the court takes no other b, and
    no positive difference."""
    if not frame.output_type.is_float or _row(frame, Opcode.REDUCE_MAX) is None:
        return None
    x = frame.output.reshape(-1)
    reach = np.broadcast_to(frame.reach(0) + frame.reach(1), frame.outer).reshape(-1)
    room = np.where(reach > 0, reach + (np.abs(x) + reach) * _ROUNDED, 0.0)
    return Enclosure(x - room, np.minimum(x + room, 0.0))


def _power(frame: Frame, known: Enclosures) -> Enclosure | None:
    place = _places(frame.step.operands[0], frame.outer).reshape(-1)
    inner = _of(frame, frame.step.operands[0].tensor, known)
    with np.errstate(all="ignore"):
        low, high = np.exp(inner.low[place]), np.exp(inner.high[place])
    return Enclosure(low * (1 - _CLOSE) - _TINY, high * (1 + _CLOSE) + _TINY)


def _share(frame: Frame, known: Enclosures) -> Enclosure | None:
    """a / b where b is a sum of positive terms of which a is one: it grows with a, and falls with
    every other term."""
    taps = _row(frame, Opcode.SUM)
    if taps is None:
        return None
    terms = _of(frame, frame.step.operands[0].tensor, known)
    own = _places(frame.step.operands[0], frame.outer).reshape(-1)
    whole = _places(frame.step.operands[1], frame.outer).reshape(-1)
    count = taps.shape[1]
    low, high = terms.low[own], terms.high[own]
    if not np.isfinite(high).all() or terms.low.min() < -_TINY:
        return None
    # The sum is off by its own roundings, which are relative to its terms' magnitudes.
    relative = float(gamma(np.array(count + 3.0)))
    lost = count * 2 * _TINY
    own_loss = (count + 1) * _EXACT
    highest, lowest = (ends[taps].sum(axis=1)[whole] for ends in (terms.high, terms.low))
    rest_high = np.maximum(highest * (1 + own_loss) - high, 0.0)
    rest_low = lowest - low - np.abs(lowest) * own_loss - lost
    with np.errstate(all="ignore"):
        divisors = [(end + rest_low) * (1 - relative) - lost for end in (low, high)]
        rising = rest_low * (1 - relative) >= lost
        most = np.where(rising, high / divisors[1], low / divisors[0])
        most = np.where((divisors[0] > 0) & ((low > 0) | rising), most, np.inf)
        least = low / np.where(low >= 0, (low + rest_high) * (1 + relative) + lost, divisors[0])
    least = np.where((divisors[0] > 0) | (low >= 0), least, -np.inf)
    tiny = 2.0**-149
    return Enclosure(least - np.abs(least) * _ROUNDED - tiny, most + np.abs(most) * _ROUNDED + tiny)


def _copied(frame: Frame, known: Enclosures) -> Enclosure | None:
    access = frame.step.operands[0]
    if len(frame.step.operands) != 1 or access.guards or not frame.in_trace(0):
        return None
    found = known.get(access.tensor)
    if found is None:
        return None
    place = _places(access, frame.outer).reshape(-1)
    return Enclosure(found.low[place], found.high[place])


def _of(frame: Frame, tensor: int, known: Enclosures) -> Enclosure:
    values = frame.values[tensor].astype(np.float64)
    reach = frame.reaches[tensor]
    found = known.get(tensor)
    if found is None:
        return Enclosure(values - reach, values + reach)
    return Enclosure(np.maximum(found.low, values - reach), np.minimum(found.high, values + reach))


def _row(frame: Frame, opcode: Opcode) -> NDArray[np.int64] | None:
    """If operand 1 is made by `opcode` of elements of operand 0's tensor, and always of the very
    element of operand 0 among others: which ones, [element of operand 1, tap]."""
    if len(frame.step.operands) != 2 or not (frame.in_trace(0) and frame.in_trace(1)):
        return None
    first, second = frame.step.operands
    number = frame.program.producer.get(second.tensor)
    if number is None or first.guards or second.guards:
        return None
    maker: Instruction = frame.program.instructions[number]
    if maker.opcode is not opcode or len(maker.operands) != 1 or maker.size == 0:
        return None
    (source,) = maker.operands
    if source.space is not Space.TRACE or source.tensor != first.tensor or source.guards:
        return None
    taps = _places(source, maker.domain + maker.reduction).reshape(maker.size, -1)
    owner = np.full(frame.program.tensors[first.tensor].size, -1, dtype=np.int64)
    owner[taps] = np.arange(maker.size)[:, None]
    own = _places(first, frame.outer)
    return taps if np.array_equal(owner[own], _places(second, frame.outer)) else None


def _places(access: Access, lengths: tuple[int, ...]) -> NDArray[np.int64]:
    """Flat positions over a loop nest."""
    found = access.offset + affine(access.coefficients[: len(lengths)], lengths)
    return np.broadcast_to(found.astype(np.int64), lengths)
