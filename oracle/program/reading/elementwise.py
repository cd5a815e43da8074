"""Arithmetic, elementary functions, comparisons and logic: one instruction per node.

Responsible for which element types each of them is judged in.
"""

from __future__ import annotations

from typing import Final

import onnx

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.opcode import Opcode
from oracle.program.reading.reader import Reading, reads

_FLOAT: Final = frozenset({ElementType.FLOAT32})
_BOOL: Final = frozenset({ElementType.BOOL})
_INTEGERS: Final = frozenset(
    element for element in ElementType if not element.is_float and element is not ElementType.BOOL
)
_NUMBERS: Final = _FLOAT | _INTEGERS
_ANYTHING: Final = _NUMBERS | _BOOL
_ORDERED: Final = _NUMBERS - {ElementType.INT64}
"""onnxruntime's kernels that choose among int64 numbers are wrong; see `normalise.whole`."""

_OPERATORS: Final = {
    "Add": (Opcode.ADD, _NUMBERS),
    "Sub": (Opcode.SUB, _NUMBERS),
    "Mul": (Opcode.MUL, _NUMBERS),
    "Div": (Opcode.DIV, _NUMBERS),
    "Sqrt": (Opcode.SQRT, _FLOAT),
    "Exp": (Opcode.EXP, _FLOAT),
    "Log": (Opcode.LOG, _FLOAT),
    "Erf": (Opcode.ERF, _FLOAT),
    "Tanh": (Opcode.TANH, _FLOAT),
    "Sigmoid": (Opcode.SIGMOID, _FLOAT),
    "Softplus": (Opcode.SOFTPLUS, _FLOAT),
    "Max": (Opcode.MAX, _ORDERED),
    "Min": (Opcode.MIN, _ORDERED),
    "Neg": (Opcode.NEG, _NUMBERS),
    "Abs": (Opcode.ABS, _NUMBERS),
    "Sign": (Opcode.SIGN, _ORDERED),
    "Floor": (Opcode.FLOOR, _FLOAT),
    "Ceil": (Opcode.CEIL, _FLOAT),
    "Round": (Opcode.ROUND, _FLOAT),
    "Less": (Opcode.LESS, _NUMBERS),
    "LessOrEqual": (Opcode.LESS_EQUAL, _NUMBERS),
    "Equal": (Opcode.EQUAL, _ANYTHING),
    "Not": (Opcode.NOT, _BOOL),
    "And": (Opcode.AND, _BOOL),
    "Or": (Opcode.OR, _BOOL),
    "Xor": (Opcode.XOR, _BOOL),
}
_OPERAND_COUNT: Final = {"Max": 2, "Min": 2}


@reads(*_OPERATORS)
def arithmetic(reading: Reading, node: onnx.NodeProto) -> None:
    opcode, elements = _OPERATORS[node.op_type]
    found = reading.view(node.input[0]).element
    if found not in elements:
        raise ProgramError(
            f"{node.op_type} of {found.value} cannot be judged", hint="cast to float32 or int32"
        )
    if len(node.input) != _OPERAND_COUNT.get(node.op_type, len(node.input)):
        raise ProgramError(f"{node.op_type} of {len(node.input)} operands is not in the dialect")
    if opcode is Opcode.DIV and found is not ElementType.FLOAT32:
        _check_divisor(reading, node.input[1])
    reading.elementwise(opcode, node)


def _check_divisor(reading: Reading, name: str) -> None:
    """A division that may end the process of whoever runs it is not in the dialect."""
    divisor = reading.array(name)
    if (divisor == 0).any() or (divisor == -1).any():
        raise ProgramError("Div of integers needs a constant divisor other than 0 and -1")


@reads("Where")
def where(reading: Reading, node: onnx.NodeProto) -> None:
    reading.elementwise(Opcode.WHERE, node)


@reads("Cast")
def cast(reading: Reading, node: onnx.NodeProto) -> None:
    """The element types of the operand and of the output say what is cast to what."""
    if set(reading.attributes(node)) != {"to"}:
        raise ProgramError("a Cast of a program has no attribute but its type")
    reading.elementwise(Opcode.CAST, node)
