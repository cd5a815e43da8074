"""How values are written on a page: amounts, gas, hashes, times. Each gives escaped HTML or text.

What is shortened has its full value in the title, and where it is of use, a press copies it. A time
is written whole; the script turns it into an age, so that a fragment changes only with its facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from markupsafe import Markup

from oracle.core.types import format_wad

NONE: Final = "–"
"""Written where there is no value."""

_DIGITS: Final = 5
"""Significant ones, of an amount that is shortened."""

_GWEI: Final = 10**9
_COIN: Final = 10**18
_HEAD, _TAIL = 8, 6


def opg(base_units: int | None, *, signed: bool = False) -> Markup | str:
    """An amount of OPG, to a few digits; the exact one is in the title."""
    if base_units is None:
        return NONE
    text = _rounded(Decimal(base_units) / _COIN)
    plus = "+" if signed and base_units > 0 else ""
    exact = f"{format_wad(base_units)} OPG"
    return Markup('<data class="amount" value="{0}" title="{1}">{2}</data>').format(
        format_wad(base_units), exact, plus + text
    )


def wei(amount: int | None) -> Markup | str:
    """An amount of the chain's coin, in coin or in gwei; the exact one is in the title."""
    if amount is None:
        return NONE
    small = 0 < abs(amount) < 10**14
    text, unit = (
        (_rounded(Decimal(amount) / _GWEI), "gwei")
        if small
        else (_rounded(Decimal(amount) / _COIN), "coin")
    )
    return Markup(
        '<data class="amount" value="{0}" title="{1} wei">{2}</data> <span class="unit">{3}</span>'
    ).format(amount, f"{amount:,}", text, unit)


def gwei(amount: int | None) -> Markup | str:
    """An amount of wei in whole gwei, for columns that name the unit."""
    if amount is None:
        return NONE
    return Markup('<data class="amount" value="{0}" title="{1} wei">{2}</data>').format(
        amount, f"{amount:,}", f"{round(Decimal(amount) / _GWEI):,}"
    )


def short(value: bytes | str | None, href: str | None = None) -> Markup | str:
    """The two ends of a hash or an address: a link where it leads somewhere, else it copies."""
    if value is None:
        return NONE
    full = "0x" + value.hex() if isinstance(value, bytes) else value
    shown = full if len(full) <= _HEAD + _TAIL + 1 else f"{full[:_HEAD]}…{full[-_TAIL:]}"
    if href is not None:
        return Markup('<a class="hex" href="{0}" title="{1}">{2}</a>').format(href, full, shown)
    return Markup(
        '<button type="button" class="hex" data-copy="{0}" title="{0} (press to copy)">{1}</button>'
    ).format(full, shown)


def age(seconds: float | None) -> Markup | str:
    """When something was, in Unix seconds; the script writes how long ago."""
    return _time(seconds, "age")


def moment(seconds: float | None) -> Markup | str:
    """A time of day, in Unix seconds, with its date in the title."""
    return _time(seconds, "moment")


def duration(seconds: float | None) -> str:
    """A length of time, to two or three digits."""
    if seconds is None:
        return NONE
    if seconds == 0:
        return "0 s"
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def count(number: int | None) -> str:
    """A whole number, its thousands apart."""
    return NONE if number is None else f"{number:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent; nothing of what is nothing."""
    if whole == 0:
        return NONE
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent in (0, 100) else f"{min(99.9, percent):.1f} %"


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "opg": opg,
    "wei": wei,
    "gwei": gwei,
    "short": short,
    "age": age,
    "moment": moment,
    "duration": duration,
    "count": count,
    "share": share,
}
"""Those that every template has, by their names."""


def _time(seconds: float | None, kind: str) -> Markup | str:
    if seconds is None:
        return NONE
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{0}" data-kind="{1}" title="{2}">{3}</time>').format(
        at.isoformat(timespec="milliseconds"),
        kind,
        at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        at.strftime("%H:%M:%S"),
    )


def _rounded(amount: Decimal) -> str:
    """To so many significant digits; whole numbers keep all of theirs."""
    if amount == 0:
        return "0"
    places = max(0, _DIGITS - 1 - amount.adjusted())
    text = f"{amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
