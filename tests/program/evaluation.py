"""What instructions mean, evaluated slowly and apart from the court, against what a run committed.

Operands are gathered by their affine accesses and guards, one nest at a time, in float64 or whole
numbers. Only operators of networks are known; that a rule reads a node rightly is what this shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from oracle.core.types import Tier
from oracle.program.compile import CompiledProgram, compile_model, load_program
from oracle.program.instruction import Access, Instruction, Program, Space
from oracle.program.opcode import Opcode

UNIT = 2.0**-24
Array = NDArray[Any]


def source_model(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array],
    *,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 18,
    microsoft: bool = False,
) -> bytes:
    """A model of these nodes, the leading axis of its inputs and outputs being a batch of any size.

    Inputs are told by an example of one row.
    """
    opsets = [helper.make_operatorsetid("", opset)]
    if microsoft:
        opsets.append(helper.make_operatorsetid("com.microsoft", 1))
    graph = helper.make_graph(
        nodes,
        "source",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    found = _session(model.SerializeToString()).run(None, dict(inputs))
    types = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in zip(outputs, found, strict=True)
    ]
    del model.graph.output[:]
    model.graph.output.extend(types)
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_param = "N"
    return model.SerializeToString()


@dataclass(frozen=True)
class Ran:
    """A program, all tensors of one run (flat, committed order), and the source's outputs."""

    compiled: CompiledProgram
    trace: list[Array]
    outputs: list[Array]
    expected: list[Array]

    @property
    def program(self) -> Program:
        return self.compiled.program

    def step(self, opcode: Opcode) -> Instruction:
        (found,) = [step for step in self.program.instructions if step.opcode is opcode]
        return found


def run(data: bytes, feeds: Mapping[str, Array], tier: Tier | None = None) -> Ran:
    """Compiles a source model, runs both, and checks every instruction against the run."""
    compiled = compile_model(data, tier=tier)
    reread = load_program(compiled.file)
    assert reread.instructions == compiled.program.instructions
    model = onnx.load_from_string(compiled.file)
    types = {entry.name: entry for entry in model.graph.value_info}
    outputs = [entry.name for entry in model.graph.output]
    known = {*outputs, *(entry.name for entry in model.graph.input)}
    names = [info.name for info in compiled.program.tensors]
    model.graph.output.extend(types[name] for name in names if name not in known)
    session = _session(model.SerializeToString())
    wanted = [entry.name for entry in session.get_outputs()]
    found = {**feeds, **dict(zip(wanted, session.run(wanted, dict(feeds)), strict=True))}
    trace = [info.flatten(np.asarray(found[info.name])) for info in compiled.program.tensors]
    ran = Ran(
        compiled,
        trace,
        [found[name] for name in outputs],
        _session(data).run(outputs, dict(feeds)),
    )
    for step in ran.program.instructions:
        check(ran.program, step, trace)
    return ran


def _session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])


def operand(program: Program, step: Instruction, access: Access, trace: list[Array]) -> Any:
    """The operand over (domain, taps) and which of its taps count."""
    flat = (
        trace[access.tensor]
        if access.space is Space.TRACE
        else program.constant_values[access.tensor]
    )
    lengths = (*step.domain, *step.reduction)
    indices = np.indices(lengths, dtype=np.int64).reshape(len(lengths), math.prod(lengths))
    counts = np.ones(math.prod(lengths), dtype=bool)
    for guard in access.guards:
        value = guard.offset + np.array(guard.coefficients, dtype=np.int64) @ indices
        counts &= (value >= 0) & (value < guard.limit)
    position = access.offset + np.array(access.coefficients, dtype=np.int64) @ indices
    assert np.all((position[counts] >= 0) & (position[counts] < flat.size))
    values = flat[np.where(counts, position, 0)]
    return values.reshape(step.size, step.taps), counts.reshape(step.size, step.taps)


def check(program: Program, step: Instruction, trace: list[Array]) -> None:
    """Asserts that the run's output is what the instruction says, within the court's bounds."""
    y = trace[step.output]
    assert y.size == step.size
    read = [operand(program, step, access, trace) for access in step.operands]
    values = [value for value, _ in read]
    counts = np.logical_and.reduce([count for _, count in read]) if read else None
    rounded = program.tier is not Tier.NATIVE
    if step.opcode is Opcode.DOT:
        a, b = (value.astype(np.float64) for value in values[:2])
        products = np.where(counts, a * b, 0)
        c = values[2][:, 0].astype(np.float64) if len(values) > 2 else np.zeros(step.size)
        _within(y, products.sum(1) + c, np.abs(products).sum(1) + np.abs(c), step.taps, rounded)
    elif step.opcode in (Opcode.MEAN, Opcode.SUM):
        a = np.where(counts, values[0].astype(np.float64), 0)
        n = (step.attributes[0] or counts.sum(1)) if step.opcode is Opcode.MEAN else 1
        _within(y, a.sum(1) / n, np.abs(a).sum(1) / n, step.taps + 1, rounded)
    elif step.opcode is Opcode.REDUCE_MAX:
        lowest = -np.inf if values[0].dtype.kind == "f" else np.iinfo(values[0].dtype).min
        assert counts.any(axis=1).all()
        assert np.array_equal(y, np.where(counts, values[0], lowest).max(axis=1))
    elif step.opcode is Opcode.COPY:
        fill = np.array(step.attributes, dtype=np.int32).tobytes().ljust(8, b"\0")
        expected = np.full(step.size, np.frombuffer(fill, dtype=y.dtype)[0])
        for value, count in reversed(read):
            expected = np.where(count[:, 0], value[:, 0], expected)
        assert np.array_equal(y, expected)
    elif step.opcode is Opcode.INTEGER_DOT:
        assert np.array_equal(y, _accumulate(values, counts))
    elif step.opcode is Opcode.QUANTIZED_DOT:
        total = _accumulate(values, counts)
        if len(values) > 8:
            total = total + values[8][:, 0].astype(np.int64)
        scales = [value[:, 0].astype(np.float64) for value in values[4:7]]
        _requantised(y, total, *scales, values[7][:, 0].astype(np.int64))
    elif step.opcode is Opcode.QUANTIZE:
        x, scale, zero = (value[:, 0] for value in values)
        exact = x.astype(np.float64) / scale.astype(np.float64)
        _saturated(y, exact, zero.astype(np.int64), 2 * UNIT)
    elif step.opcode is Opcode.DEQUANTIZE:
        x, scale, zero = (value[:, 0] for value in values)
        steps = (x.astype(np.int32) - zero.astype(np.int32)).astype(np.float32)
        assert np.array_equal(y, steps * scale)
    elif step.opcode in _ELEMENTWISE:
        with np.errstate(all="ignore"):
            assert np.array_equal(y, _ELEMENTWISE[step.opcode](*(value[:, 0] for value in values)))


_ELEMENTWISE: dict[Opcode, Any] = {
    Opcode.ADD: np.add,
    Opcode.SUB: np.subtract,
    Opcode.MUL: np.multiply,
    Opcode.DIV: np.divide,
    Opcode.SQRT: np.sqrt,
    Opcode.MAX: np.maximum,
    Opcode.MIN: np.minimum,
}


def _within(y: Array, exact: Array, scale: Array, taps: int, rounded: bool) -> None:
    if rounded:
        allowed = np.abs(np.spacing(y.astype(np.float32))) / 2 + (taps + 2) * 2.0**-52 * scale
    else:
        allowed = (taps + 2) * UNIT * scale * (1 + 1e-6) + taps * 2.0**-149
    assert np.all(np.abs(y.astype(np.float64) - exact) <= allowed)


def _accumulate(values: list[Array], counts: Array) -> Array:
    a, b, zero_a, zero_b = (value.astype(np.int64) for value in values[:4])
    return np.where(counts, (a - zero_a) * (b - zero_b), 0).sum(axis=1)


def _requantised(
    y: Array, total: Array, scale_a: Array, scale_b: Array, scale_y: Array, zero: Array
) -> None:
    _saturated(y, total * (scale_a * scale_b / scale_y), zero, 4 * UNIT + 2.0**-50)


def _saturated(y: Array, exact: Array, zero: Array, slack: float) -> None:
    """y is a rounding of a value within a relative `slack` of `exact`, moved and saturated."""
    limits = np.iinfo(y.dtype)
    low, high = (
        np.clip(np.rint(exact + sign * slack * np.abs(exact)) + zero, limits.min, limits.max)
        for sign in (-1, 1)
    )
    assert np.all((low <= y) & (y <= high))
