"""What facts are to people: "none" where there is none, yes and no, coin for wei, dates in UTC.

A fact's name says its unit, and scripts get the number as it is. Prints nothing, and knows no verb.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any, Final

NONE: Final = "none"

_MOMENTS: Final = frozenset(
    {"available_at", "deadline", "post_until", "settle_at", "time", "valid_from", "withdrawable_at"}
)
"""Facts that are Unix seconds wherever they are whole numbers."""

_WEI_PER_COIN: Final = 10**18
_WEI_PER_GWEI: Final = 10**9
_SHORT: Final = Context(prec=4, rounding=ROUND_DOWN)
_PER_GAS: Final = "_fee_wei"


def spoken(facts: Mapping[str, Any], *, as_json: bool) -> dict[str, Any]:
    """Facts as they are for scripts; for people with "none" wherever a value is missing or empty.

    False, 0 and the empty text are values.
    """
    return dict(facts) if as_json else {name: _said(value) for name, value in facts.items()}


def by_name(name: str, value: Any) -> tuple[str, Any]:
    """A fact's label and what stands behind it, for people: units instead of raw numbers."""
    label = name.replace("_", " ")
    if _missing(value):
        return label, NONE
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_wei"):
        if name.endswith(_PER_GAS):
            return label.removesuffix(" wei"), f"{_short(value, _WEI_PER_GWEI)} gwei"
        return label.removesuffix(" wei"), f"{coin(value)} coin"
    if isinstance(value, int) and name in _MOMENTS:
        from oracle.chain.revert_words import moment  # web3 comes with it, and help does without

        return label, moment(value)
    return label, value


def coin(wei: int) -> str:
    """An amount of the chain's coin, to four digits: fees and balances are not read closer."""
    return _short(wei, _WEI_PER_COIN)


def _short(amount: int, unit: int) -> str:
    exact = Decimal(amount) / unit
    rounded = exact.quantize(Decimal(1), ROUND_DOWN) if abs(exact) >= 1_000 else _SHORT.plus(exact)
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping | list | tuple) and not value)


def _said(value: Any) -> Any:
    if _missing(value):
        return NONE
    if isinstance(value, Mapping):
        return {name: _said(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_said(item) for item in value]
    return value
