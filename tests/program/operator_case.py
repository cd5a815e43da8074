"""One operator as a model: compiled, run by onnxruntime, and compared in two ways.

The program must give what the source gives, and every committed tensor must be what its
instruction says of the committed tensors before it, by `instruction_values`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from oracle.core.types import Tier
from oracle.program.compile import CompiledProgram, compile_model
from oracle.program.instruction import Program
from oracle.program.opcode import Opcode
from tests.program.instruction_values import evaluate

Array = NDArray[Any]
Feeds = Mapping[str, Array]

TOLERANT = {
    Opcode.DOT, Opcode.SUM, Opcode.MEAN, Opcode.EXP, Opcode.LOG, Opcode.ERF, Opcode.TANH,
    Opcode.SIGMOID, Opcode.SOFTPLUS,
}  # fmt: skip


def source(
    operator: str,
    operands: Sequence[Array | None],
    *,
    constant: Sequence[int] = (),
    outputs: int = 1,
    opset: int = 18,
    domain: str = "",
    **attributes: Any,
) -> tuple[onnx.ModelProto, Feeds]:
    """A model of one node; operands at the positions `constant` are stored in it."""
    names = [f"x{n}" if operand is not None else "" for n, operand in enumerate(operands)]
    given = {
        name: operand for name, operand in zip(names, operands, strict=True) if operand is not None
    }
    stored = {f"x{n}" for n in constant}
    results = [f"y{n}" for n in range(outputs)]
    node = helper.make_node(operator, names, results, domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "case",
        [_info(name, value) for name, value in given.items() if name not in stored],
        [helper.make_empty_tensor_value_info(name) for name in results],
        [numpy_helper.from_array(given[name], name) for name in sorted(stored)],
    )
    imports = [helper.make_operatorsetid("", opset)]
    if domain:
        imports.append(helper.make_operatorsetid(domain, 1))
    model = helper.make_model(graph, ir_version=9, opset_imports=imports)
    feeds = {name: value for name, value in given.items() if name not in stored}
    answers = session(model).run(None, feeds)
    del model.graph.output[:]
    model.graph.output.extend(
        _info(name, value) for name, value in zip(results, answers, strict=True)
    )
    return model, feeds


def compare(
    model: onnx.ModelProto, feeds: Feeds, *, rtol: float = 0.0, tier: Tier | None = None
) -> CompiledProgram:
    """Compiles, runs, and asserts both agreements; with rtol 0 the outputs must be equal."""
    compiled = compile_model(model.SerializeToString(), tier=tier)
    wanted = session(model).run(None, dict(feeds))
    found = session(onnx.load_from_string(compiled.file)).run(None, dict(feeds))
    for expected, actual in zip(wanted, found, strict=True):
        assert actual.dtype == expected.dtype
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)
    check_trace(compiled.program, trace(compiled, feeds))
    return compiled


def trace(compiled: CompiledProgram, feeds: Feeds) -> list[Array]:
    """Every committed tensor of a run, flat, in committed order."""
    model = onnx.load_from_string(compiled.file)
    shown = {entry.name for entry in model.graph.output}
    model.graph.output.extend(entry for entry in model.graph.value_info if entry.name not in shown)
    engine = session(model)
    names = [entry.name for entry in engine.get_outputs()]
    tensors = {**feeds, **dict(zip(names, engine.run(None, dict(feeds)), strict=True))}
    return [info.flatten(np.asarray(tensors[info.name])) for info in compiled.program.tensors]


def check_trace(program: Program, tensors: Sequence[Array]) -> None:
    """Each tensor follows from the ones before: bit for bit, or nearly for rounded operations."""
    for step in program.instructions:
        expected = evaluate(program, step, tensors)
        actual = tensors[step.output]
        if step.opcode in TOLERANT:
            np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6, err_msg=step.name)
        else:
            np.testing.assert_array_equal(actual, expected, err_msg=f"{step.opcode!r} {step.name}")


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def opcodes(compiled: CompiledProgram) -> list[Opcode]:
    """The program's operations, without the copies that name its outputs."""
    names = {compiled.program.tensors[number].name for number in compiled.program.outputs}
    return [step.opcode for step in compiled.program.instructions if step.name not in names]


def _info(name: str, value: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
    )
