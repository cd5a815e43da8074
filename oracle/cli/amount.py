"""Amounts of OPG that a verb moves: said in decimals, and more than nothing.

Refused before any key is opened or chain asked; what an account holds is for others to look up.
"""

from __future__ import annotations

from oracle.core.types import opg
from oracle.errors import InputError


def moved(amount: str) -> int:
    """Base units of an amount to move. Raises InputError where it is none, or 0."""
    base_units = opg(amount)
    if not base_units:
        raise InputError("0 OPG cannot be moved", hint="write an amount like 12 or 0.25")
    return base_units
