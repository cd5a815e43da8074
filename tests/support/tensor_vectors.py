"""The vectors that numpy and Tensors.sol share: elements of tensors and their Solidity values.

`python -m tests.support.tensor_vectors` writes tests/vectors/tensors.json; a test holds the file to
this module, and a forge test holds the library to the file. Conversions are exact fractions here,
and shifts and masks there. The order of keys is of no consequence: forge reads each by its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "vectors" / "tensors.json"

ONE = 10**18
SIGN = 1 << 31
LARGEST = 0x7F7FFFFF

NAMED_BITS = (
    0x00000000,  # zero
    0x00000001,  # smallest subnormal
    0x007FFFFF,  # largest subnormal
    0x00800000,  # smallest normal
    0x219392EE,  # just below 1e-18
    0x219392EF,  # just above it
    0x3DCCCCCD,  # 0.1
    0x3EAAAAAB,  # a third
    0x3F7FFFFF,  # just below 1
    0x3F800000,  # 1
    0x3F800001,  # just above it
    0x40490FDB,  # pi
    0x4AFFFFFF,  # the last with halves
    0x4B000001,  # odd, and no halves
    0x4B7FFFFF,  # 2^24 - 1
    0x4B800000,  # 2^24
    0x7F000000,  # 2^127
    LARGEST,
)
HALF_ABOVE_LARGEST = (2**128 - 2**103) * ONE
"""The smallest number, with 18 decimals, that is nearer to no float32."""
NAMED_FIXED = (
    1,
    2,
    3,
    ONE // 10,
    ONE // 3,
    ONE - 1,
    ONE,
    ONE + 1,
    2**24 * ONE - ONE // 2,  # carries into the exponent
    (2**24 + 1) * ONE,  # a tie, down to even
    (2**24 + 1) * ONE - 1,
    (2**24 + 1) * ONE + 1,
    (2**24 + 3) * ONE,  # a tie, up to even
    64 * ONE + ONE // 2**18,  # ties with decimals
    64 * ONE + 3 * ONE // 2**18,
    HALF_ABOVE_LARGEST - 1,
)
NAMED_INT64 = (
    0,
    1,
    -1,
    255,
    256,
    -256,
    2**31,
    -(2**31) - 1,
    0x0102030405060708,
    2**63 - 1,
    -(2**63),
)


def document() -> dict[str, Any]:
    """All vectors; whole numbers that may be above 2^53 as decimal text."""
    bits = [sign | named for named in NAMED_BITS for sign in (0, SIGN)]
    bits += [found for found in _random("bits", 32, 80) if found & ~SIGN <= LARGEST]
    fixed = [0] + [sign * named for named in NAMED_FIXED for sign in (1, -1)]
    fixed += [number >> shift for shift, number in enumerate(_random("fixed", 180, 80))]
    int64 = [*NAMED_INT64, *(number - 2**63 for number in _random("int64", 64, 24))]
    return {
        "int64": {
            "data": _hex(np.array(int64, "<i8").tobytes()),
            "values": [str(number) for number in int64],
        },
        "toFixed": {
            "data": _hex(np.array(bits, "<u4").tobytes()),
            "bits": bits,
            "fixed": [str(to_fixed(pattern)) for pattern in bits],
        },
        "toFloat32": {
            "fixed": [str(number) for number in fixed],
            "bits": [to_float32(number) for number in fixed],
        },
    }


def text() -> str:
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


def to_fixed(bits: int) -> int:
    """A float32 with 18 decimals, what is beyond them cut off."""
    scaled = _exact(bits) * ONE
    return int(scaled)


def to_float32(fixed: int) -> int:
    """The bits of the nearest float32: of numpy's guess and its neighbours, even before odd."""
    wanted = Fraction(fixed, ONE)
    guess = int(np.float32(min(float(abs(wanted)), float(_exact(LARGEST)))).view(np.uint32))
    near = [bits for bits in (guess - 1, guess, guess + 1) if 0 <= bits <= LARGEST]
    best = min(near, key=lambda bits: (abs(_exact(bits) - abs(wanted)), bits & 1))
    return best | (SIGN if fixed < 0 else 0)


def _exact(bits: int) -> Fraction:
    return Fraction(float(np.uint32(bits).view(np.float32)))


def _random(seed: str, width: int, count: int) -> Iterator[int]:
    """Numbers of `width` bits that are the same on every machine."""
    for number in range(count):
        digest = hashlib.sha256(f"{seed} {number}".encode()).digest()
        yield int.from_bytes(digest) >> (256 - width)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text())
