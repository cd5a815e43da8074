"""The verdict on one element of one instruction.

Puts operands (`taps`, `lookup`) and rules together; knows nothing of leaves, paths, files or ONNX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from oracle.court.case import Bits, Case
from oracle.court.lookup import Read, Unresolvable, operands, resolved
from oracle.court.rules_arithmetic import RULES as ARITHMETIC
from oracle.court.rules_cast import RULES as CASTS
from oracle.court.rules_elementary import RULES as ELEMENTARY
from oracle.court.rules_linear import RULES as LINEAR
from oracle.court.rules_quantised import RULES as QUANTISED
from oracle.court.rules_selection import RULES as SELECTION
from oracle.court.rules_unary import RULES as UNARY
from oracle.court.taps import domain_index, is_well_formed
from oracle.court.verdict import Verdict, undefined
from oracle.program.instruction import Instruction, Program
from oracle.program.opcode import Opcode

Rule = Callable[[Case], Verdict]

RULES: Final[Mapping[Opcode, Rule]] = MappingProxyType(
    {
        **LINEAR,
        **ARITHMETIC,
        **UNARY,
        **ELEMENTARY,
        **SELECTION,
        **CASTS,
        **QUANTISED,
    }
)
"""One rule for each opcode."""


def judge_element(
    program: Program, instruction: Instruction, position: int, read: Read, claimed: Bits
) -> Verdict:
    """The verdict on element `position` (row-major in the domain) of the instruction's output.

    `read` is called for the operands' elements only, `claimed` is the committed element itself.
    """
    index = domain_index(instruction, position)
    output_type = program.tensors[instruction.output].element
    if not is_well_formed(instruction):
        return undefined(output_type, claimed, "the instruction lacks operands or attributes")
    types = [program.info(access).element for access in instruction.operands]
    try:
        found = resolved(program, instruction, index, read)
        if found is None:
            taps = operands(program, instruction, index, read)
        else:
            types, taps = [types[found.source]], ((found.bits,),)
    except Unresolvable as cause:
        return undefined(output_type, claimed, str(cause))
    return judge(
        Case(
            opcode=instruction.opcode,
            tier=program.tier,
            attributes=instruction.attributes,
            output_type=output_type,
            operand_types=tuple(types),
            claimed=claimed,
            operands=taps,
            rank=index[-1] if index else 0,
        )
    )


def judge(case: Case) -> Verdict:
    """The verdict on operands already read, of an instruction that is well formed."""
    return RULES[case.opcode](case)
