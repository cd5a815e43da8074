"""One element brought before the court: the claim and its operands as raw bits.

Holds the bits that the openings proved; does not know where they lay or how they are judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.program.opcode import Opcode

Bits = int
"""The raw little-endian bits of one element as an unsigned integer below 2^(8·item size)."""

Taps = tuple[Bits | None, ...]
"""An operand at every tap in row-major order of the reduction; None where one of its guards fails.
An operand that is read once (see `taps.SIGNATURES`) is a tuple of length one."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict depends on.

    `operands[j]` has one entry per tap if `opcode` reads operand j at every tap (`taps`),
    otherwise exactly one. GATHER and TREE come resolved: their only operand is the element
    that the indices or the tree led to. `rank` is the last domain index (TOPK reads it).
    """

    opcode: Opcode
    tier: Tier
    attributes: tuple[int, ...]
    output_type: ElementType
    operand_types: tuple[ElementType, ...]
    claimed: Bits
    operands: tuple[Taps, ...]
    rank: int = 0
