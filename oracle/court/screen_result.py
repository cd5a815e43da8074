"""What a screen is sure of: the elements that are certainly within or certainly undefined.

Everything else goes to the exact judge; a screen never convicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from oracle.court.operands import Array, Lengths

YES: Final = np.ones((), dtype=np.bool_)
NO: Final = np.zeros((), dtype=np.bool_)


@dataclass(frozen=True)
class Screening:
    """Two masks over the row axis and the domain; no element is in both.

    `undefined` may be anything that broadcasts to that.
    """

    within: Array
    undefined: Array

    @classmethod
    def none(cls, domain: Lengths) -> Screening:
        """Sure of nothing."""
        return cls(np.zeros(domain, dtype=np.bool_), NO)


@dataclass(frozen=True)
class Expected:
    """The one value that each element may have (±0 are one value, and so are all NaN).

    The masks broadcast to the domain. An element neither known nor undefined is left open; its
    value is then a mere suggestion.
    """

    values: Array
    known: Array = field(default_factory=lambda: YES)
    undefined: Array = field(default_factory=lambda: NO)

    def screen(self, claimed: Array) -> Screening:
        """The certain verdicts on claims."""
        within = same(claimed, self.values)
        if self.known is not YES:
            within &= self.known
        if self.undefined is not NO:
            within &= ~self.undefined
        return Screening(within, self.undefined)


def same(first: Array, second: Array) -> Array:
    """Whether two arrays hold the same values: +0 is -0, and every NaN is the other.

    Bools are compared byte by byte: a committed 2 is not 1, though numpy takes both for true.
    """
    if first.dtype.kind == second.dtype.kind == "b":
        first, second = first.view(np.uint8), second.view(np.uint8)
    equal = first == second
    if first.dtype.kind == "f" and not equal.all():
        equal |= np.isnan(first) & np.isnan(second)
    return np.asarray(equal)


def nan(array: Array) -> Array:
    """Where a number is NaN; nowhere for integers and bools."""
    return np.asarray(np.isnan(array)) if array.dtype.kind == "f" else NO


def infinite_or_nan(array: Array) -> Array:
    """Where a number is not finite; nowhere for integers and bools."""
    return np.asarray(~np.isfinite(array)) if array.dtype.kind == "f" else NO
