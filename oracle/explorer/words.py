"""A stranger's text and numbers, made fit to be shown: cut, and without marks that move other text.

Escaping is the templates' business. Knows nothing of where a text comes from.
"""

from __future__ import annotations

import math
from typing import Any, Final

_LONGEST: Final = 80


def plain(text: str, longest: int = _LONGEST) -> str:
    """One line without control or direction marks; cut with an ellipsis."""
    cut = text[: longest + 1]
    shown = "".join(one if one.isprintable() else "·" for one in cut).strip()
    return (shown[:longest] + "…" if len(text) > longest else shown) or "(no name)"


def number(value: Any) -> str:
    """A number as it is read, to six digits where it is a fraction, to three where it is tiny."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if 0 < abs(value) < 1e-3:
        return scientific(value, 3)
    return _raised(f"{value:.6g}")


def scientific(value: float, digits: int = 2) -> str:
    """A small or a large number to so many digits, as a product with a power of ten."""
    return _raised(f"{value:.{digits}g}")


def times(value: float) -> str:
    """How many times something is something else, for people."""
    if value < 1_000:
        return f"{value:.3g}"
    if value < 10**9:
        return f"{round(value, 3 - len(str(int(value)))):,.0f}"
    return scientific(value)


def _raised(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    shown = mantissa.replace("-", "−")
    if not exponent:
        return shown
    return f"{shown} × 10" + str(int(exponent)).translate(_RAISED)


_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
