"""Which models are answered in views, and for how much: the setting `views`, read.

Pure. Knows neither models nor the settings' file.
"""

from __future__ import annotations

from collections.abc import Mapping

from oracle.core.types import opg
from oracle.errors import InputError

FREE = 0


def read_prices(text: str) -> Mapping[str, int]:
    """Prices in base units by name or id, of "NAME" (free) and "NAME=PRICE" with spaces between.

    Raises:
        InputError: a part that is neither, a price of nothing, or a model that comes twice.
    """
    prices: dict[str, int] = {}
    for part in text.split():
        name, sign, price = part.partition("=")
        if not name:
            raise InputError(f"{part!r} names no model", hint=_FORM)
        if name in prices:
            raise InputError(f"{name} is named twice", hint="name each model once")
        try:
            prices[name] = opg(price) if sign else FREE
        except InputError as error:
            raise InputError(f"the price of {name}: {error.message}", hint=_FORM) from None
        if sign and not prices[name]:
            raise InputError(f"the price of {name} is 0 OPG", hint=f"for a free one: {name}")
    return prices


_FORM = "a model is NAME where its answers are free, NAME=PRICE where each costs PRICE OPG"
