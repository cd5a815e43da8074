"""Writes a program file node by node, in the dialect that the reader understands.

Responsible for names, shapes, constants and folding: an operation on constants alone is carried
out at once. Knows which tier it writes for, and nothing of the model it is written from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program import functions
from oracle.program.node_inference import IR_VERSION, OPSETS, element_of, fold, infer


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the program being written; `constant` holds its value where it is known."""

    name: str
    element: ElementType
    shape: tuple[int, ...]
    constant: NDArray[Any] | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)


Rescale: TypeAlias = Callable[[NDArray[Any], NDArray[Any], str], Value]
"""Writes a linear operator anew: its channels (axis 1) times a scale, plus a shift; its name."""


class Builder:
    """Collects the nodes of one program file."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._inputs: list[Value] = []
        self._nodes: list[onnx.NodeProto] = []
        self._values: dict[str, Value] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._functions: dict[str, onnx.FunctionProto] = {}
        self._taken: set[str] = set()
        self._rescales: dict[str, Rescale] = {}

    def input(self, name: str, element: ElementType, shape: tuple[int, ...]) -> Value:
        """Declares a model input; its name is kept as it is."""
        value = Value(name, element, shape)
        self._taken.add(name)
        self._inputs.append(value)
        self._values[name] = value
        return value

    def reserve(self, name: str) -> None:
        """Keeps a name (a model output's) from being given to anything else."""
        self._taken.add(name)

    def constant(self, array: NDArray[Any] | float | int, *, dtype: Any = None) -> Value:
        """A constant; equal ones are stored once. Raises ProgramError for a foreign dtype."""
        value = np.ascontiguousarray(array, dtype=dtype).reshape(np.shape(array))
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._constants:
            name = self._fresh("constant")
            self._constants[key] = Value(name, element_of(value.dtype), value.shape, value)
        return self._constants[key]

    def emit(
        self,
        operator: str,
        *inputs: Value | None,
        domain: str = "",
        name: str = "",
        **attributes: Any,
    ) -> Value:
        """A node with one output: its value, or the constant it folds to."""
        (value,) = self.emit_all(operator, *inputs, domain=domain, names=(name,), **attributes)
        return value

    def emit_all(
        self,
        operator: str,
        *inputs: Value | None,
        domain: str = "",
        names: Sequence[str] = ("",),
        **attributes: Any,
    ) -> tuple[Value, ...]:
        """A node with one output per entry of `names` (wished names; "" for any).

        Raises ProgramError where ONNX's own inference finds the node wrong.
        """
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        outputs = [self._fresh(name or operator.lower()) for name in names]
        node = helper.make_node(
            operator,
            [value.name if value else "" for value in inputs],
            outputs,
            domain=domain,
            **attributes,
        )
        present = {value.name: value for value in inputs if value is not None}
        stored = {
            name: value.constant for name, value in present.items() if value.constant is not None
        }
        if present and len(stored) == len(present):
            return tuple(self.constant(result) for result in fold(node, stored, OPSETS))
        types = infer(node, [_value_info(value) for value in present.values()], stored)
        return self._append(node, types)

    def call(
        self,
        function: onnx.FunctionProto,
        *inputs: Value,
        element: ElementType,
        shape: tuple[int, ...],
        name: str = "",
        **attributes: Any,
    ) -> Value:
        """A call of a model-local function (see `functions`), of known result type."""
        self._functions[function.name] = function
        node = helper.make_node(
            function.name,
            [value.name for value in inputs],
            [self._fresh(name or function.name.lower())],
            domain=function.domain,
            **attributes,
        )
        (value,) = self._append(node, [(element, shape)])
        return value

    def remember(self, value: Value, rescale: Rescale) -> None:
        """Says how a linear operator's result can be written with its channels rescaled."""
        self._rescales[value.name] = rescale

    def rescale(self, value: Value) -> Rescale | None:
        """How `value` can be written with its channels rescaled, where somebody said so."""
        return self._rescales.get(value.name)

    # ---- the linear operators, by tier

    def dot(self, a: Value, b: Value, c: Value | None = None, *, name: str = "") -> Value:
        """`MatMul(a, b) (+ c)` with numpy's broadcasting; c broadcasts to the product's shape."""
        result = self._product(a, b, c, name)
        if a.rank == b.rank == 2 and b.constant is not None and (not c or c.constant is not None):
            weights = b.constant.astype(np.float64)
            bias = np.zeros(1)
            if c is not None and c.constant is not None:
                bias = c.constant.astype(np.float64)

            def rescale(scale: NDArray[Any], shift: NDArray[Any], name: str) -> Value:
                matrix = self.constant((weights * scale).astype(np.float32))
                moved = self.constant((bias * scale + shift).astype(np.float32))
                return self.dot(a, matrix, moved, name=name)

            self.remember(result, rescale)
        return result

    def _product(self, a: Value, b: Value, c: Value | None, name: str) -> Value:
        shape = _matmul_shape(a.shape, b.shape)
        if (
            a.constant is not None
            and b.constant is not None
            and (c is None or c.constant is not None)
        ):
            product = a.constant.astype(np.float64) @ b.constant.astype(np.float64)
            total = product if c is None or c.constant is None else product + c.constant
            return self.constant(total.astype(np.float32))
        if self.tier is Tier.ROUNDED:
            operands = (a, b) if c is None else (a, b, c)
            function = functions.linear(with_bias=c is not None)
            return self.call(
                function, *operands, element=ElementType.FLOAT32, shape=shape, name=name
            )
        if c is not None and a.rank == b.rank == 2:
            return self.emit("Gemm", a, b, c, name=name)
        product_value = self.emit("MatMul", a, b, name="" if c else name)
        return product_value if c is None else self.emit("Add", product_value, c, name=name)

    def total(
        self, operator: str, a: Value, axes: Sequence[int], *, keep: bool = True, name: str = ""
    ) -> Value:
        """`ReduceSum` or `ReduceMean` over `axes`."""
        positive = sorted(axis % a.rank for axis in axes)
        axes_value = self.constant(np.array(positive, dtype=np.int64))
        if self.tier is Tier.ROUNDED and a.constant is None:
            shape = tuple(
                1 if axis in positive else length
                for axis, length in enumerate(a.shape)
                if keep or axis not in positive
            )
            return self.call(
                functions.total(operator),
                a,
                axes_value,
                element=ElementType.FLOAT32,
                shape=shape,
                name=name,
                keepdims=int(keep),
            )
        return self.emit(operator, a, axes_value, keepdims=int(keep), name=name)

    # ---- the result

    def build(
        self, outputs: Sequence[tuple[str, Value]], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The program file. Every output is given its wished name by an Identity of its own.

        Nodes that no output needs are left out. Raises ProgramError where the result is not ONNX.
        """
        for name, value in outputs:
            node = helper.make_node("Identity", [value.name], [name])
            self._append(node, [(value.element, value.shape)])
        nodes = _needed(self._nodes, [name for name, _ in outputs])
        used = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            "program",
            [_value_info(value) for value in self._inputs],
            [_value_info(self._values[name]) for name, _ in outputs],
            [
                numpy_helper.from_array(value.constant, value.name)
                for value in self._constants.values()
                if value.name in used and value.constant is not None
            ],
            value_info=[
                _value_info(self._values[name])
                for node in nodes
                for name in node.output
                if name in self._values and name not in dict(outputs)
            ],
        )
        called = {node.op_type for node in nodes if node.domain == functions.DOMAIN}
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            producer_name="opg-inference-oracle",
            functions=[body for name, body in sorted(self._functions.items()) if name in called],
            opset_imports=[*OPSETS, helper.make_operatorsetid(functions.DOMAIN, 1)],
        )
        helper.set_model_props(model, dict(sorted(metadata.items())))
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            raise ProgramError(f"the compiled program is not valid ONNX: {error}") from error
        return model

    # ---- inside

    def _append(
        self, node: onnx.NodeProto, types: Sequence[tuple[ElementType, tuple[int, ...]]]
    ) -> tuple[Value, ...]:
        self._nodes.append(node)
        values = tuple(
            Value(name, element, shape)
            for name, (element, shape) in zip(node.output, types, strict=True)
        )
        for value in values:
            self._values[value.name] = value
        return values

    def _fresh(self, wish: str) -> str:
        name, number = wish, 1
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name


def _matmul_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ProgramError(f"a product of shapes {a} and {b} has no rule")
    return (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


def _value_info(value: Value) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(value.element.value))
    return helper.make_tensor_value_info(value.name, kind, value.shape)
