"""The small types every other module speaks in. Knows nothing of requests or chains."""

from __future__ import annotations

from enum import IntEnum
from typing import NewType

from eth_utils.address import is_address, to_checksum_address

from oracle.errors import InputError

Address = NewType("Address", str)
"""An EIP-55 checksummed address."""

OPG_DECIMALS = 18
_ONE_OPG: int = 10**18
MOST_OPG_BASE_UNITS = 2**96 - 1
"""What the contracts can hold in one amount: some 79 billion OPG."""

ZERO_ADDRESS = Address("0x0000000000000000000000000000000000000000")
ZERO_BYTES32 = bytes(32)

_LONGEST_SHOWN = 44
"""An address has 42 characters; a key has more."""


class Tier(IntEnum):
    """How an answer of a model is judged; mirrors `ModelTerms.sol`."""

    UNPROVEN = 0
    EXACT = 1
    ROUNDED = 2
    NATIVE = 3


def address(text: str) -> Address:
    """Checks and checksums an address.

    Raises:
        InputError: `text` is not a 20-byte hex address.
    """
    if not is_address(text):
        # A longer text may be a key that was pasted in its place.
        shown = text if len(text) <= _LONGEST_SHOWN else text[:6] + "…"
        raise InputError(f"{shown!r} is not an address", hint="an address is 0x and 40 hex digits")
    return Address(to_checksum_address(text))


def bytes32(given: str | bytes, *, what: str = "value") -> bytes:
    """32 bytes, such as a request or model id: as they are, or by their 0x-hex as it is printed.

    Raises:
        InputError: it is neither.
    """
    try:
        value = given if isinstance(given, bytes) else bytes.fromhex(given.removeprefix("0x"))
    except (ValueError, AttributeError, TypeError):
        value = b""
    if len(value) != 32:
        shown = "0x" + given.hex() if isinstance(given, bytes) else given
        article = "an" if what[:1] in "aeio" else "a"
        if not isinstance(given, str | bytes):
            raise InputError(
                f"this {type(given).__name__} is not {article} {what}",
                hint="a request's and a model's is its `id`, 32 bytes",
            )
        raise InputError(
            f"{shown!r} is not {article} {what}",
            hint="expected 0x and 64 hex digits, or 32 bytes",
            cli_hint=f"{article} {what} is 0x and 64 hex digits",
        )
    return value


def opg(text: str) -> int:
    """Parses a decimal OPG amount, exactly, into base units.

    Raises:
        InputError: not a non-negative decimal in a str, finer than 18 decimals, or beyond any
            contract.
    """
    if not isinstance(text, str):
        raise InputError(
            f"an amount of OPG is a str, and not {text!r} ({type(text).__name__})",
            hint='opg("1.5") is exact; a float is not',
        )
    whole, _, fraction = text.strip().partition(".")
    if not (whole + fraction).isascii() or not (whole + fraction).isdigit():
        raise InputError(f"{text!r} is not an OPG amount", hint="write it like 12 or 0.25")
    if len(fraction) > OPG_DECIMALS:
        raise InputError(
            f"{text!r} is finer than one base unit (18 decimals)",
            hint=f"the least is {format_opg(1)}",
        )
    too_long = len(whole) > len(str(MOST_OPG_BASE_UNITS))  # Python itself refuses thousands
    base_units = 0 if too_long else int((whole or "0") + fraction.ljust(OPG_DECIMALS, "0"))
    if too_long or base_units > MOST_OPG_BASE_UNITS:
        raise InputError(
            f"{text[:40]} OPG is more than a contract can hold",
            hint=f"at most {format_opg(MOST_OPG_BASE_UNITS)} OPG; amounts are OPG, not base units",
        )
    return base_units


def format_opg(base_units: int) -> str:
    """Writes base units as a decimal OPG amount, exactly, without trailing zeros."""
    return format_wad(base_units)


def format_wad(value: int) -> str:
    """Writes an 18-decimal fixed-point number, exactly, without trailing zeros."""
    sign, magnitude = ("-", -value) if value < 0 else ("", value)
    whole, fraction = divmod(magnitude, _ONE_OPG)
    tail = str(fraction).rjust(OPG_DECIMALS, "0").rstrip("0")
    return f"{sign}{whole}.{tail}" if tail else f"{sign}{whole}"
