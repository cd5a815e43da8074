"""Builds cases from numpy values, and reads claims back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.case import Case
from oracle.court.judge import judge
from oracle.court.verdict import Outcome, Verdict
from oracle.program.opcode import Opcode

WITHIN, VIOLATED, UNDEFINED = Outcome.WITHIN, Outcome.VIOLATED, Outcome.UNDEFINED

NAN = np.float32(np.nan)
INF = np.float32(np.inf)
LARGEST = np.finfo(np.float32).max
SUBNORMAL = np.float32(2.0**-149)


def bits(value: Any) -> int:
    """The raw bits of a numpy scalar; a Python float is taken as float32."""
    array = np.float32(value) if type(value) is float else np.asarray(value)
    return int.from_bytes(array.tobytes(), "little")


def f32(raw: int) -> np.float32:
    return np.uint32(raw).view(np.float32)


def bits_of(array: Any) -> list[int]:
    """Raw bits of every element, row-major."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return [int(raw) for raw in flat.view(f"u{flat.itemsize}")]


def element(value: Any) -> ElementType:
    return ElementType("float32" if type(value) is float else np.asarray(value).dtype.name)


def case(
    opcode: Opcode,
    claimed: Any,
    *operands: Any,
    attributes: tuple[int, ...] = (),
    tier: Tier = Tier.ROUNDED,
    rank: int = 0,
) -> Case:
    """Operands are numpy arrays (one element per tap), numpy scalars, or Python floats."""
    return Case(
        opcode=opcode,
        tier=tier,
        attributes=attributes,
        output_type=element(claimed),
        operand_types=tuple(element(operand) for operand in operands),
        claimed=bits(claimed),
        operands=tuple(
            (bits(operand),) if type(operand) is float else tuple(bits_of(operand))
            for operand in operands
        ),
        rank=rank,
    )


def verdict(opcode: Opcode, claimed: Any, *operands: Any, **rest: Any) -> Verdict:
    return judge(case(opcode, claimed, *operands, **rest))


def outcome(opcode: Opcode, claimed: Any, *operands: Any, **rest: Any) -> Outcome:
    return verdict(opcode, claimed, *operands, **rest).outcome


def beyond(claimed: float, found: Verdict) -> Sequence[np.float32]:
    """Two claims more than twice the bound away from the exact value, one on either side."""
    assert found.exact is not None
    moved = []
    for sign in (-1, 1):
        wide = float(found.exact) + sign * 2.5 * float(found.bound)
        with np.errstate(over="ignore"):
            claim = np.float32(wide)
        while abs(float(claim) - float(found.exact)) <= 2 * float(found.bound):
            claim = np.nextafter(claim, np.float32(sign * np.inf))
        moved.append(claim)
    return moved
