"""Where marks of a number line and of bars stand, in the coordinates of a drawing.

Lengths go into SVG, as the policy of the pages allows no inline style. Knows no page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from oracle.explorer.judged import Judged, Term
from oracle.explorer.words import number

WIDTH: Final = 640
_LEFT, _RIGHT = 70, 570
_LEAST_BAND: Final = 5.0


@dataclass(frozen=True, slots=True)
class NumberLine:
    """The exact value, the band around it, and the claim, as places from 0 to WIDTH.

    `magnified` says that the band is drawn wider than it is.
    """

    exact: float
    band_start: float
    band_width: float
    claimed: float
    exact_text: str
    claimed_text: str
    magnified: bool


@dataclass(frozen=True, slots=True)
class TermBar:
    """A summand as a bar from the middle line to one side."""

    label: str
    shown: str
    x: float
    width: float
    negative: bool


def number_line(found: Judged) -> NumberLine | None:
    """None where one of the numbers is none, or they are the same."""
    if found.exact is None or found.claimed is None or found.exact == found.claimed:
        return None
    low, high = sorted((found.exact, found.claimed))
    span = high - low
    if not math.isfinite(span) or not span:
        return None

    def place(value: float) -> float:
        return _LEFT + (value - low) / span * (_RIGHT - _LEFT)

    width = 2 * found.bound / span * (_RIGHT - _LEFT)
    drawn = min(max(width, _LEAST_BAND), 2 * (_RIGHT - _LEFT))
    exact = place(found.exact)
    return NumberLine(
        exact=round(exact, 1),
        band_start=round(exact - drawn / 2, 1),
        band_width=round(drawn, 1),
        claimed=round(place(found.claimed), 1),
        exact_text=number(found.exact),
        claimed_text=number(found.claimed),
        magnified=width < _LEAST_BAND,
    )


def term_bars(terms: Sequence[Term], others: float, left_out: int) -> list[TermBar]:
    """The summands and, as one, those that are left out."""
    all_ = list(terms)
    if left_out:
        all_.append(Term(f"{left_out} smaller terms together", others))
    largest = max((abs(one.value) for one in all_ if math.isfinite(one.value)), default=0.0) or 1.0
    bars = []
    for one in all_:
        size = min(1.0, abs(one.value) / largest) * 50 if math.isfinite(one.value) else 0.0
        negative = one.value < 0
        x = 50 - size if negative else 50.0
        bars.append(TermBar(one.label, number(one.value), round(x, 2), round(size, 2), negative))
    return bars
