"""What the rules share: operands that are read once, checked against the types a rule is for."""

from __future__ import annotations

from collections.abc import Sequence

from oracle.core.schema import ElementType
from oracle.court.case import Bits, Case


def singles(case: Case, kinds: Sequence[ElementType]) -> tuple[Bits, ...] | str:
    """One element per operand, if there are as many as `kinds` and of these types; else why not."""
    if case.operand_types != tuple(kinds):
        return f"no rule for operands of types {[kind.value for kind in case.operand_types]}"
    found: list[Bits] = []
    for operand in case.operands:
        if len(operand) != 1 or operand[0] is None:
            return "a guard fails for an operand that is needed"
        found.append(operand[0])
    return tuple(found)
