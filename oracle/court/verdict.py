"""What the court says about one element, and the three ways to come to it.

Knows outcomes and how a claim is compared; does not know how any operation is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32
from oracle.court.case import Bits
from oracle.court.number import exact_value, same, text

Exact = Fraction | int | None


class Outcome(Enum):
    """WITHIN: an honest run may give it. VIOLATED: none can. UNDEFINED: the court does not say."""

    WITHIN = "within"
    VIOLATED = "violated"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one element, with the numbers that led to it.

    `claimed` is the committed value as text; `exact` the value that the operands give (None where
    it is undefined, infinite or not a number; of a sum, what its window holds); `bound` the largest
    |claimed - exact| that is within (0 for exact operations); `reason` one line for people.
    """

    outcome: Outcome
    claimed: str
    exact: Exact
    bound: Fraction
    reason: str

    @property
    def convicts(self) -> bool:
        """Whether the operator is proven wrong."""
        return self.outcome is Outcome.VIOLATED

    @property
    def numbers(self) -> str:
        """What was claimed, what is exact and the bound, for people."""
        exact = "none" if self.exact is None else _number(self.exact)
        return f"claimed {self.claimed}, exact {exact}, bound {_number(self.bound)}"


def _number(value: Fraction | int) -> str:
    if isinstance(value, int):
        return str(value)
    try:
        return repr(float(value))
    except OverflowError:
        return str(int(value))


def undefined(kind: ElementType, claimed: Bits, reason: str) -> Verdict:
    """The court does not say: no rule, a special value, or a range in which anything may happen."""
    return Verdict(Outcome.UNDEFINED, text(kind, claimed), None, Fraction(0), reason)


def equal(kind: ElementType, claimed: Bits, expected: Bits, reason: str = "") -> Verdict:
    """Within if the claim is the one possible value (see `number.same`)."""
    holds = same(kind, claimed, expected)
    return Verdict(
        Outcome.WITHIN if holds else Outcome.VIOLATED,
        text(kind, claimed),
        exact_value(kind, expected),
        Fraction(0),
        reason or (f"is {text(kind, expected)}" if holds else f"must be {text(kind, expected)}"),
    )


def near(claimed: Bits, exact: Fraction, bound: Fraction) -> Verdict:
    """Within if a float32 claim is at most `bound` from `exact`.

    An infinite claim is within if a number that near to `exact` rounds to that infinity. NaN never
    is.
    """
    if BINARY32.is_finite(claimed):
        holds = abs(BINARY32.value(claimed) - exact) <= bound
    else:
        signed = -exact if BINARY32.is_negative(claimed) else exact
        holds = BINARY32.is_infinite(claimed) and signed + bound >= BINARY32.overflow
    return Verdict(
        Outcome.WITHIN if holds else Outcome.VIOLATED,
        text(ElementType.FLOAT32, claimed),
        exact,
        bound,
        "within the bound" if holds else "farther from the exact value than any honest run",
    )
