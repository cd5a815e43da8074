"""Writes tests/vectors/merkle.json: `python -m tests.support.merkle_vectors`.

Trees and range proofs that Python and Solidity must both arrive at.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from oracle.core import merkle

PATH = Path(__file__).parents[1] / "vectors" / "merkle.json"

_CASES = [  # bytes, leaf bytes, first, count
    (1, 32, 0, 1),
    (32, 32, 0, 1),
    (33, 32, 0, 1),
    (33, 32, 1, 1),
    (33, 32, 0, 2),
    (96, 32, 2, 1),
    (160, 32, 1, 3),
    (160, 32, 4, 1),
    (208, 32, 3, 2),
    (352, 32, 5, 6),
    (352, 32, 10, 1),
    (416, 32, 0, 13),
    (700, 256, 1, 2),
    (2100, 64, 7, 19),
]
_TAGS = (merkle.TRACE, merkle.CONSTANT, merkle.RECORD)


def main() -> None:
    """Writes all cases anew."""
    cases = []
    for number, (size, leaf_bytes, first, count) in enumerate(_CASES):
        tag = _TAGS[number % 3]
        row, tensor = (number, 3 * number) if tag == merkle.TRACE else (0, number)
        data = b"".join(sha256(bytes([number, block])).digest() for block in range(-(-size // 32)))[
            :size
        ]
        levels = merkle.build(merkle.leaf_hashes(tag, row, tensor, data, leaf_bytes))
        cases.append(
            {
                "tag": tag.decode(),
                "row": row,
                "tensor": tensor,
                "leafBytes": leaf_bytes,
                "leaves": len(levels[0]) // 32,
                "first": first,
                "count": count,
                "data": "0x" + data.hex(),
                "proof": ["0x" + digest.hex() for digest in merkle.prove(levels, first, count)],
                "root": "0x" + merkle.root_of(levels).hex(),
            }
        )
    PATH.write_text(json.dumps(cases, indent=2) + "\n")


if __name__ == "__main__":
    main()
