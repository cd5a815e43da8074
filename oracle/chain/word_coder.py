"""Values of one word: how they are written and read, and what is said of those that do not fit.

Responsible for the bounds of every static type of the ABI that this project's contracts use. Knows
no tuples, and no contract.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from oracle.chain.wire import to_address
from oracle.errors import InputError

Encode: TypeAlias = Callable[[Any], bytes]
Decode: TypeAlias = Callable[[bytes, int], Any]
"""Reads a value whose encoding starts at an offset."""

WORD = 32


class UnreadableData(ValueError):
    """Bytes that are no encoding of the type."""


class UnfitValue(InputError, ValueError):
    """A value that a parameter of a contract cannot hold.

    Attributes:
        parameter: the parameter's name, once it is known whose value it is.
    """

    def __init__(self, reason: str, parameter: str | None = None) -> None:
        self.reason = reason
        self.parameter = parameter
        super().__init__(f"{parameter}: {reason}" if parameter else reason)


@dataclass(frozen=True, slots=True)
class Coder:
    """How values of one type are written and read. `size` is the static size, or 0 if dynamic."""

    encode: Encode
    decode: Decode
    size: int


def unsigned(bits: int) -> Coder:
    limit = 1 << bits

    def encode(value: Any) -> bytes:
        number = operator.index(value)  # numpy's integers too; no floats
        if not 0 <= number < limit:
            raise UnfitValue(f"{number} does not fit: at least 0, at most {limit - 1}")
        return number.to_bytes(WORD, "big")

    def decode(data: bytes, at: int) -> int:
        number = int.from_bytes(data[at : at + WORD], "big")
        if number >= limit:
            raise UnreadableData(f"{number} does not fit uint{bits}")
        return number

    return Coder(encode, decode, WORD)


def signed(bits: int) -> Coder:
    limit = 1 << (bits - 1)

    def encode(value: Any) -> bytes:
        number = operator.index(value)
        if not -limit <= number < limit:
            raise UnfitValue(f"{number} does not fit: at least {-limit}, at most {limit - 1}")
        return number.to_bytes(WORD, "big", signed=True)

    def decode(data: bytes, at: int) -> int:
        number = int.from_bytes(data[at : at + WORD], "big", signed=True)
        if not -limit <= number < limit:
            raise UnreadableData(f"{number} does not fit int{bits}")
        return number

    return Coder(encode, decode, WORD)


def fixed_bytes(length: int) -> Coder:
    padding = bytes(WORD - length)

    def encode(value: Any) -> bytes:
        if not isinstance(value, bytes) or len(value) != length:
            raise UnfitValue(f"expected {length} bytes, got {value!r}")
        return value + padding

    def decode(data: bytes, at: int) -> bytes:
        if data[at + length : at + WORD] != padding:
            raise UnreadableData(f"dirty padding after bytes{length}")
        return data[at : at + length]

    return Coder(encode, decode, WORD)


_ADDRESS_PADDING = bytes(12)
_FALSE = bytes(WORD)
_TRUE = (1).to_bytes(WORD, "big")


def _encode_address(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) != 42 or not value.startswith("0x"):
        raise UnfitValue(f"{value!r} is not an address")
    return _ADDRESS_PADDING + bytes.fromhex(value[2:])


def _decode_address(data: bytes, at: int) -> str:
    if data[at : at + 12] != _ADDRESS_PADDING:
        raise UnreadableData("dirty padding before an address")
    return to_address(data[at + 12 : at + WORD])


def _encode_bool(value: Any) -> bytes:
    if value is True:
        return _TRUE
    if value is False:
        return _FALSE
    raise ValueError(f"{value!r} is not a bool")


def _decode_bool(data: bytes, at: int) -> bool:
    word = data[at : at + WORD]
    if word == _FALSE:
        return False
    if word == _TRUE:
        return True
    raise UnreadableData("a bool is 0 or 1")


ADDRESS = Coder(_encode_address, _decode_address, WORD)
BOOL = Coder(_encode_bool, _decode_bool, WORD)
