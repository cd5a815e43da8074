"""The vectors that Python and ElementaryFunctions.sol share: the six functions, to the last bit.

`python -m tests.support.elementary_vectors` writes tests/vectors/elementary.json; a test holds the
file to this module, and a forge test holds the library to the file. Verdicts alone would not show a
wrong last bit, as the tolerance is far wider.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from oracle.court.binary32 import BINARY32
from oracle.court.elementary import FUNCTIONS
from oracle.program.opcode import Opcode

FILE: Final = Path(__file__).resolve().parents[1] / "vectors" / "elementary.json"

_DECIMALS: Final = (
    *("0", "1", "2", "1/2", "127.99", "128", "200", "-200", "104", "-104"),
    *("88.722839", "88.72284", "88.8", "89.5", "91", "-87.33654", "-87.33655", "-103.97207"),
    *("-103.97208", "-103.2789", "0.34657359", "0.70710678", "1.4142135", "5.9", "6.6332495"),
    *("8.47554", "9.0109", "16.635", "-17.999432"),
)
# Of the largest numbers, the last two are on both sides of where softplus may be infinite.
TURNING_POINTS: Final = (
    *(BINARY32.round(Fraction(decimal)) for decimal in _DECIMALS),
    *(BINARY32.infinity - below for below in (1, 8, 9)),
)
"""Where a function over- or underflows, is limited, or is evaluated in another way."""
RANDOM_EACH: Final = 8


def document() -> dict[str, Any]:
    """Arguments and results of each function; numbers that may be above 2^53 as decimal text."""
    return {opcode.name: _entries(opcode) for opcode in FUNCTIONS}


def text() -> str:
    return json.dumps(document(), indent=1, sort_keys=True) + "\n"


def _entries(opcode: Opcode) -> dict[str, Any]:
    arguments = sorted({_valid(opcode, bits) for bits in _arguments(opcode)})
    results = [FUNCTIONS[opcode](bits) for bits in arguments]
    return {
        "arguments": arguments,
        "significands": [str(significand) for significand, _ in results],
        "exponents": [exponent for _, exponent in results],
    }


def _valid(opcode: Opcode, bits: int) -> int:
    """The logarithm is for positive numbers."""
    return BINARY32.magnitude(bits) or 1 if opcode is Opcode.LOG else bits


def _arguments(opcode: Opcode) -> Iterator[int]:
    for bits in (*TURNING_POINTS, 1):
        yield from (bits, bits ^ BINARY32.sign_bit)
    for limit in (0.01, 1, 10, 100):
        for number in range(RANDOM_EACH):
            digest = hashlib.sha256(f"{opcode.name} {limit} {number}".encode()).digest()
            uniform = int.from_bytes(digest[:8], "big", signed=True) / 2**63
            yield int.from_bytes(struct.pack("<f", limit * uniform), "little")


if __name__ == "__main__":
    FILE.write_text(text())
