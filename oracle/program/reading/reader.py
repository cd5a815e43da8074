"""One pass over a program file's nodes: the tables that its rules fill, and their registry.

Responsible for tensors, constants and instructions, and for the order in which elements are
committed. What a single operator means is said by its rule, in the modules beside this one; what
the file says beside its nodes is `program_file`'s.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program import functions
from oracle.program.instruction import Access, Instruction, Space, TensorInfo
from oracle.program.opcode import Opcode
from oracle.program.reading.view import Index, View, loop

Rule: TypeAlias = Callable[["Reading", onnx.NodeProto], None]
Layouts: TypeAlias = Mapping[str, tuple[int, ...]]

_RULES: Final[dict[str, Rule]] = {}


class NotAView(ProgramError):
    """A reshape of elements that do not lie where it needs them: `source` must be committed first.

    `tensor` is the committed tensor or constant that `source` shows.
    """

    def __init__(self, source: str, tensor: str, target: str) -> None:
        super().__init__(
            f"{target!r} is no view of {source!r}", hint="compile the model again from its source"
        )
        self.source = source
        self.target = target
        self.tensor = tensor


def reads(*operators: str) -> Callable[[Rule], Rule]:
    """Registers the rule for dialect operators, named `Op`, `ai.onnx.ml.Op` or `oracle.rounded.Op`.

    A rule for a function whose body depends on its attributes is registered for the part of the
    function's name before the first underscore.
    """

    def register(rule: Rule) -> Rule:
        for operator in operators:
            if operator in _RULES:
                raise ValueError(f"two rules read {operator}")
            _RULES[operator] = rule
        return rule

    return register


class Reading:
    """One pass over a program file. Rules ask it for views and hand it instructions."""

    def __init__(self, model: onnx.ModelProto, tier: Tier, layouts: Layouts) -> None:
        self.model = model
        self.tier = tier
        self._layouts = layouts
        self._types = _types(model)
        self._functions = {body.name: body for body in model.functions}
        self._views: dict[str, View] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self.tensors: list[TensorInfo] = []
        self.constants: list[TensorInfo] = []
        self.constant_values: list[NDArray[Any]] = []
        self.instructions: list[Instruction] = []
        for initializer in model.graph.initializer:
            self._arrays[initializer.name] = numpy_helper.to_array(initializer)
        for entry in model.graph.input:
            self._commit(entry.name)

    # ---- what rules ask

    def attributes(self, node: onnx.NodeProto) -> dict[str, Any]:
        return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}

    def view(self, name: str) -> View:
        """Where the elements of a tensor lie. A constant enters its table when it is first read."""
        if name not in self._views:
            if name not in self._arrays:
                raise ProgramError(f"nothing makes the tensor {name!r}")
            self._views[name] = self.add_constant(name, self._arrays[name])
        return self._views[name]

    def array(self, name: str) -> NDArray[Any]:
        """The value of an operand that must be stored in the file. Raises ProgramError."""
        if name not in self._arrays:
            raise ProgramError(f"the tensor {name!r} must be a constant of the file")
        return self._arrays[name]

    def info(self, view: View) -> TensorInfo:
        """The committed tensor or constant that a view shows."""
        table = self.tensors if view.space is Space.TRACE else self.constants
        return table[view.tensor]

    def shape(self, name: str) -> tuple[int, ...]:
        """The static ONNX shape of a tensor."""
        return self._arrays[name].shape if name in self._arrays else self._type(name)[1]

    def element(self, name: str) -> ElementType:
        return self._type(name)[0]

    def function(self, node: onnx.NodeProto) -> onnx.FunctionProto:
        """The body that the file gives for a function call."""
        body: onnx.FunctionProto = self._functions[node.op_type]
        return body

    def check_body(self, node: onnx.NodeProto, expected: onnx.FunctionProto) -> None:
        """Raises ProgramError unless the file's body is the one that the compiler writes."""
        body = self._functions.get(node.op_type)
        if body is None or body.SerializeToString(deterministic=True) != expected.SerializeToString(
            deterministic=True
        ):
            raise ProgramError(f"the function {node.op_type} has a foreign body")

    # ---- what rules give

    def alias(self, name: str, view: View) -> None:
        """`name` is a view of what is committed already."""
        self._views[name] = view

    def add_constant(self, name: str, array: NDArray[Any]) -> View:
        """A constant, stored in the order that suits its readers; it may be no initializer."""
        layout = self._layout(name, array.ndim)
        info = TensorInfo(name, _element_type(array.dtype), array.shape, layout)
        flat = info.flatten(array)
        flat.setflags(write=False)
        self.constants.append(info)
        self.constant_values.append(flat)
        return View.whole(Space.CONSTANT, len(self.constants) - 1, info)

    def instruction(
        self,
        opcode: Opcode,
        output: str,
        operands: Sequence[tuple[View, Sequence[Index]]],
        *,
        reduction: Sequence[int] = (),
        attributes: Sequence[int] = (),
        domain: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """One instruction that fills the tensor `output`.

        Loop axis i < rank is axis i of the output's ONNX shape; loop axis rank + j is reduction
        axis j. Each operand gives one `Index` per axis of its view. Axes of length 1 are dropped.

        `domain` splits axes of the output into several loop axes, outer ones first (a convolution
        in groups: its channels into groups and channels within one): the factors of each axis, in
        the order of the ONNX shape. Loop axes are then counted over all factors.
        """
        number = self._commit(output)
        info = self.tensors[number]
        factors = [tuple(axis) for axis in domain] if domain else [(n,) for n in info.shape]
        if tuple(math.prod(axis) for axis in factors) != info.shape:
            raise ProgramError(f"{factors} do not make up the shape {info.shape} of {output!r}")
        first = list(itertools.accumulate(map(len, factors), initial=0))
        rank = first[-1]
        loops = rank + len(reduction)
        accesses = [view.access(indices, loops) for view, indices in operands]
        lengths = (*itertools.chain(*factors), *reduction)
        kept_domain = [
            axis
            for output_axis in info.layout
            for axis in range(first[output_axis], first[output_axis + 1])
            if lengths[axis] > 1
        ]
        kept_reduction = [axis for axis in range(rank, loops) if lengths[axis] > 1]
        order = [*kept_domain, *kept_reduction]
        self.instructions.append(
            Instruction(
                opcode=opcode,
                output=number,
                domain=tuple(lengths[axis] for axis in kept_domain),
                reduction=tuple(lengths[axis] for axis in kept_reduction),
                operands=tuple(_reordered(access, order) for access in accesses),
                attributes=tuple(attributes),
                name=output,
            )
        )

    def step(
        self,
        opcode: Opcode,
        output: str,
        operands: Sequence[Access],
        *,
        domain: Sequence[int],
        attributes: Sequence[int] = (),
    ) -> None:
        """An instruction whose loop nest is given as it is: its domain need not be the shape."""
        number = self._commit(output)
        if math.prod(domain) != self.tensors[number].size:
            raise ProgramError(f"{opcode.name} does not fill {output!r}")
        self.instructions.append(
            Instruction(
                opcode, number, tuple(domain), (), tuple(operands), tuple(attributes), output
            )
        )

    def elementwise(
        self, opcode: Opcode, node: onnx.NodeProto, *, attributes: Sequence[int] = ()
    ) -> None:
        """An instruction whose operands all broadcast to the output's shape."""
        shape = self.shape(node.output[0])
        indices = [loop(axis) for axis in range(len(shape))]
        views = [(self.view(name).broadcast(shape), indices) for name in node.input]
        self.instruction(opcode, node.output[0], views, attributes=attributes)

    def copy(self, name: str, view: View) -> None:
        """Commits what a view shows, in row-major order."""
        self.instruction(
            Opcode.COPY, name, [(view, [loop(axis) for axis in range(len(view.shape))])],
            attributes=(0,),
        )  # fmt: skip

    # ---- inside

    def _commit(self, name: str) -> int:
        element, shape = self._type(name)
        if 0 in shape:
            raise ProgramError(f"the tensor {name!r} has no elements: {shape}")
        layout = self._layout(name, len(shape))
        self.tensors.append(TensorInfo(name, element, shape, layout))
        number = len(self.tensors) - 1
        self._views[name] = View.whole(Space.TRACE, number, self.tensors[number])
        return number

    def _layout(self, name: str, rank: int) -> tuple[int, ...]:
        """The order of a tensor's axes. Raises ProgramError where it is no order of them."""
        layout = self._layouts.get(name, tuple(range(rank)))
        if sorted(layout) != list(range(rank)):
            raise ProgramError(f"the layout {layout} of {name!r} is not an order of {rank} axes")
        return layout

    def _type(self, name: str) -> tuple[ElementType, tuple[int, ...]]:
        try:
            return self._types[name]
        except KeyError:
            raise ProgramError(f"the tensor {name!r} has no static type") from None


def rule_for(node: onnx.NodeProto) -> Rule:
    """Raises ProgramError for what is not in the dialect."""
    name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    if node.domain == functions.DOMAIN:
        name = name.partition("_")[0]
    try:
        return _RULES[name]
    except KeyError:
        raise ProgramError(f"{name} is not an operator of programs") from None


def _reordered(access: Access, order: Sequence[int]) -> Access:
    """The access in a nest of the axes `order` only; dropped axes have length 1, so index 0."""
    guards = tuple(
        type(guard)(guard.offset, tuple(guard.coefficients[axis] for axis in order), guard.limit)
        for guard in access.guards
    )
    coefficients = tuple(access.coefficients[axis] for axis in order)
    return Access(access.space, access.tensor, access.offset, coefficients, guards)


def _types(model: onnx.ModelProto) -> dict[str, tuple[ElementType, tuple[int, ...]]]:
    graph = shape_inference.infer_shapes(model).graph
    found = {}
    for entry in (*graph.input, *graph.value_info, *graph.output):
        tensor = entry.type.tensor_type
        if all(axis.HasField("dim_value") for axis in tensor.shape.dim):
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            found[entry.name] = (
                _element_type(dtype),
                tuple(axis.dim_value for axis in tensor.shape.dim),
            )
    return found


def _element_type(dtype: np.dtype[Any]) -> ElementType:
    try:
        return ElementType(dtype.name)
    except ValueError as error:
        raise ProgramError(f"{dtype.name} tensors cannot be judged") from error
