"""What an answer decides, given its error bar; mirrors `contracts/src/libraries/Decision.sol`.

Exact on integers (18 decimals, as a contract reads them), fractions and floats alike. Knows
nothing of how an error bar is certified.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from oracle.errors import InputError

Number = int | float | Fraction


class Status(Enum):
    AMBIGUOUS = 0
    CLEAR = 1


class Verdict(Enum):
    AMBIGUOUS = 0
    NO = 1
    YES = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """`label` has the best score, the lowest on ties; `margin` is its lead over the next.

    The label is to be used only if it is clear. The margin is None where there is only one score,
    or where a score is not a finite number.
    """

    status: Status
    label: int
    margin: Fraction | None

    @property
    def clear(self) -> bool:
        """Whether no cheat within the error bar could have made the label."""
        return self.status is Status.CLEAR


def decide(scores: Sequence[Number], epsilon: Number | None) -> Decision:
    """The label with the best score, and whether it is clear; None for "not certified".

    Clear takes a lead of more than twice the error bar: the best may have been moved up and the
    next down.

    Raises:
        InputError: there are no scores, or the error bar is negative or not a number.
    """
    if not scores:
        raise InputError("there are no scores to decide by")
    bar = _bar(epsilon)
    if not all(math.isfinite(score) for score in scores):
        return Decision(Status.AMBIGUOUS, 0, None)
    exact = [Fraction(score) for score in scores]
    label = max(range(len(exact)), key=lambda index: (exact[index], -index))
    others = exact[:label] + exact[label + 1 :]
    margin = exact[label] - max(others) if others else None
    clear = bar is not None and (margin is None or margin > 2 * bar)
    return Decision(Status.CLEAR if clear else Status.AMBIGUOUS, label, margin)


def at_least(value: Number, threshold: Number, epsilon: Number | None) -> Verdict:
    """Whether a value is at least a threshold, wherever within the bar the honest value lies.

    Raises:
        InputError: the threshold is not finite, or the error bar is negative or not a number.
    """
    bar = _bar(epsilon)
    if not math.isfinite(threshold):
        raise InputError(f"a threshold of {threshold} decides nothing")
    if bar is None or not math.isfinite(value):
        return Verdict.AMBIGUOUS
    lead = Fraction(value) - Fraction(threshold)
    if lead >= 0:
        return Verdict.YES if lead >= bar else Verdict.AMBIGUOUS
    return Verdict.NO if -lead > bar else Verdict.AMBIGUOUS


def _bar(epsilon: Number | None) -> Fraction | None:
    if epsilon is None or epsilon == math.inf:
        return None
    if not epsilon >= 0:
        raise InputError(f"an error bar of {epsilon} is negative or not a number")
    return Fraction(epsilon)
