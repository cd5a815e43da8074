"""Arithmetic, comparisons and logic, element by element: mostly the dialect's own operators.

Knows which element types a dialect operator cannot be counted on to have a kernel for, and goes
through a wider type there. Nothing here rounds more than once per source operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, Final

import numpy as np
from onnx import helper

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise import whole
from oracle.program.normalise.rule import SourceNode, rewrites

_SHORT: Final = {ElementType.INT16: ElementType.INT32, ElementType.UINT16: ElementType.INT32}
_NARROW: Final = {**_SHORT, ElementType.UINT32: ElementType.INT64}
_WIDER: Final[Mapping[str, Mapping[ElementType, ElementType]]] = {
    "Max": _SHORT,
    "Min": _SHORT,
    "Where": _NARROW,
    "ReduceMax": {**_NARROW, ElementType.BOOL: ElementType.INT32},
    "ReduceMin": {**_NARROW, ElementType.BOOL: ElementType.INT32},
    "ArgMax": _NARROW,
    "ArgMin": _NARROW,
    "TopK": _NARROW,
}
_BINARY: Final = ("Add", "Sub", "Mul", "Equal", "Less", "LessOrEqual", "And", "Or", "Xor")
_UNARY: Final = (
    "Sqrt", "Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Not",
    "Exp", "Log", "Erf", "Tanh", "Sigmoid", "Softplus",
)  # fmt: skip
_LARGEST_POWER: Final = 8


def scalar(builder: Builder, number: float, like: Value) -> Value:
    """A constant of rank 0 and of the other operand's element type."""
    return builder.constant(np.asarray(number, dtype=like.element.value))


def cast(builder: Builder, value: Value, element: ElementType) -> Value:
    """The value in another element type; itself where it has it already."""
    if value.element is element:
        return value
    return builder.emit("Cast", value, to=onnx_type(element))


def onnx_type(element: ElementType) -> int:
    """The number of an element type in `TensorProto.DataType`."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(element.value))


def widen(builder: Builder, operator: str, value: Value) -> Value:
    """The operand in a type for which the dialect operator has a kernel: the same numbers."""
    if value.element is ElementType.UINT64 and operator not in ("Max", "Min"):
        raise ProgramError(f"{operator} of uint64 has no kernel", hint="use int64")
    return cast(builder, value, _WIDER[operator].get(value.element, value.element))


def emit_wide(builder: Builder, operator: str, *inputs: Value | None, **attributes: Any) -> Value:
    """A dialect operator on numbers, in a wider type if need be, and back in their own type."""
    present = [value for value in inputs if value is not None]
    element = present[-1].element if operator == "Where" else present[0].element
    wide = [
        widen(builder, operator, value) if value and value.element is element else value
        for value in inputs
    ]
    first, *others = [value for value in wide if value is not None]
    if operator in ("Max", "Min") and first.element is ElementType.INT64:
        return cast(builder, whole.extreme(builder, operator, first, others[0]), element)
    return cast(builder, builder.emit(operator, *wide, **attributes), element)


@rewrites(*_BINARY)
def binary(builder: Builder, node: SourceNode) -> Value:
    a, b = operands(node)
    return builder.emit(node.operator, a, b, name=node.outputs[0])


@rewrites(*_UNARY)
def unary(builder: Builder, node: SourceNode) -> Value:
    if node.operator == "Sign" and node.input(0).element is ElementType.INT64:
        return whole.sign(builder, node.input(0), name=node.outputs[0])
    return builder.emit(node.operator, node.input(0), name=node.outputs[0])


@rewrites("Greater", "GreaterOrEqual")
def swapped(builder: Builder, node: SourceNode) -> Value:
    a, b = operands(node)
    return builder.emit(
        "Less" if node.operator == "Greater" else "LessOrEqual", b, a, name=node.outputs[0]
    )


@rewrites("Div")
def quotient(builder: Builder, node: SourceNode) -> Value:
    """Integers only by a constant: dividing by 0 fails the run, the least integer by -1 ends the
    process."""
    a, b = operands(node)
    if not a.element.is_float:
        divisor = b.constant
        if divisor is None or np.any(divisor == 0) or np.any(divisor == -1):
            raise ProgramError(
                "Div of integers needs a constant divisor other than 0 and -1",
                hint="divide in float32 and round with Floor",
            )
    return builder.emit("Div", a, b, name=node.outputs[0])


@rewrites("Reciprocal")
def reciprocal(builder: Builder, node: SourceNode) -> Value:
    return inverse(builder, node.input(0))


@rewrites("Pow")
def power(builder: Builder, node: SourceNode) -> Value:
    """A constant whole exponent is a product, one half a root."""
    base, exponent = operands(node)
    number = _exponent(exponent)
    shape = np.broadcast_shapes(base.shape, exponent.shape)
    if number == 0:
        return builder.constant(np.ones(shape, dtype=base.element.value))
    if number % 1 == 0:
        result = _product(builder, base, int(abs(number)))
    elif abs(number) == 0.5:
        result = builder.emit("Sqrt", base)
    else:
        result = builder.emit("Mul", base, builder.emit("Sqrt", base))
    if number < 0:
        if not base.element.is_float:
            raise ProgramError("Pow of integers with a negative exponent has no rule")
        result = inverse(builder, result)
    return expanded(builder, result, shape)


@rewrites("Max", "Min")
def extreme(builder: Builder, node: SourceNode) -> Value:
    def fold(a: Value, b: Value) -> Value:
        return emit_wide(builder, node.operator, a, b)

    return reduce(fold, [node.input(position) for position in range(len(node.inputs))])


@rewrites("Sum", "Mean")
def series(builder: Builder, node: SourceNode) -> Value:
    values = [node.input(position) for position in range(len(node.inputs))]
    total = reduce(lambda a, b: builder.emit("Add", a, b), values)
    if node.operator == "Sum" or len(values) == 1:
        return total
    return builder.emit("Div", total, scalar(builder, len(values), total))


@rewrites("Where")
def where(builder: Builder, node: SourceNode) -> Value:
    return choose(builder, node.input(0), node.input(1), node.input(2))


def choose(builder: Builder, condition: Value, a: Value, b: Value) -> Value:
    """`condition ? a : b`; for truth values said in logic."""
    if a.element is not ElementType.BOOL:
        return emit_wide(builder, "Where", condition, a, b)
    yes = builder.emit("And", condition, a)
    no = builder.emit("And", builder.emit("Not", condition), b)
    return builder.emit("Or", yes, no)


def inverse(builder: Builder, value: Value) -> Value:
    """`1 / value`, rounded once."""
    return builder.emit("Div", scalar(builder, 1, value), value)


def expanded(builder: Builder, value: Value, shape: tuple[int, ...]) -> Value:
    """The value broadcast to a shape."""
    if value.shape == shape:
        return value
    return builder.emit("Expand", value, builder.constant(np.array(shape, dtype=np.int64)))


def operands(node: SourceNode) -> tuple[Value, Value]:
    """Two operands that broadcast as in numpy. Raises ProgramError for the way before opset 7."""
    a, b = node.input(0), node.input(1)
    if node.get("broadcast", 0) and a.shape != b.shape:
        raise ProgramError(
            f"{node.operator} broadcasts as before opset 7",
            hint="convert the model with onnx.version_converter",
        )
    return a, b


def _product(builder: Builder, base: Value, times: int) -> Value:
    if times == 1:
        return base
    half = _product(builder, base, times // 2)
    square = builder.emit("Mul", half, half)
    return builder.emit("Mul", square, base) if times % 2 else square


def _exponent(exponent: Value) -> float:
    """One number for all elements."""
    numbers = np.unique(exponent.constant) if exponent.constant is not None else np.zeros(0)
    number = float(numbers[0]) if len(numbers) == 1 else float("nan")
    if abs(number) in (0.5, 1.5) or (number % 1 == 0 and abs(number) <= _LARGEST_POWER):
        return number
    shown = "an exponent that is not constant" if len(numbers) != 1 else f"the exponent {number:g}"
    raise ProgramError(
        f"Pow with {shown} cannot be judged",
        hint=f"whole exponents up to {_LARGEST_POWER}, 0.5 and 1.5 can; else Exp(b · Log(a))",
    )
