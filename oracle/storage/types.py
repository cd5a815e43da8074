"""Column types that keep core values exact on every database: big integers, hashes, addresses.

SQLite integers end at 2^63 - 1 and a float would round, while fees have 96 bits and nonces 64.
Knows nothing of tables.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, Dialect, Enum, LargeBinary, String
from sqlalchemy.types import TypeDecorator


class Unsigned(TypeDecorator[int]):
    """An unsigned integer of up to `bits` bits, as decimal text padded to a fixed width.

    The padding makes text order numeric order, so comparisons, ORDER BY and MAX are right.
    Sums are not: add in Python.
    """

    impl = String
    cache_ok = True

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.width = len(str((1 << bits) - 1))
        super().__init__(self.width)

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not 0 <= value < 1 << self.bits:
            raise ValueError(f"{value} does not fit {self.bits} unsigned bits")
        return str(value).zfill(self.width)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


def amount_width(column: Column[int]) -> int:
    """How many digits a column of `Unsigned` has in every row."""
    if not isinstance(column.type, Unsigned):
        raise TypeError(f"{column} holds no padded numbers")
    return column.type.width


AMOUNT = Unsigned(96)
"""OPG base units."""

WEI = Unsigned(128)
"""Native currency, or its price of one unit of gas."""

NONCE = Unsigned(64)

BYTES32 = LargeBinary(32)

ADDRESS = String(42)


def text_enum(enum: type[StrEnum], *, length: int = 16) -> Enum:
    """A string enum as its text, with a CHECK that no other text gets in."""
    return Enum(
        enum,
        name=enum.__name__.lower(),
        native_enum=False,
        create_constraint=True,
        length=length,
        values_callable=lambda members: [member.value for member in members],
    )
