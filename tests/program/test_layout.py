"""Layouts: a reduction reads few contiguous runs, and what is committed stays the same tensor."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from oracle.core.types import Tier
from oracle.program.compile import compile_model, load_program
from oracle.program.instruction import Access, Instruction, Program, Space
from oracle.program.layout import runs
from oracle.program.opcode import Opcode
from oracle.program.reading.program_file import read_program
from tests.program.models import SAMPLES, check_same, source_model

FLOAT = TensorProto.FLOAT


def dots(program: Program) -> list[Instruction]:
    return [step for step in program.instructions if step.opcode is Opcode.DOT]


def spread(program: Program) -> list[list[int]]:
    """Contiguous runs by dot product and operand."""
    return [[runs(program, step, access) for access in step.operands[:2]] for step in dots(program)]


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
def test_dot_product_over_a_weight_reads_one_run(tier: Tier) -> None:
    program = compile_model((SAMPLES / "digits-mlp.onnx").read_bytes(), tier=tier).program
    assert spread(program) == [[1, 1]] * 3


def test_both_operands_of_an_attention_read_one_run() -> None:
    program = compile_model((SAMPLES / "digits-encoder.onnx").read_bytes()).program
    print(spread(program))
    assert max(max(pair) for pair in spread(program)) == 1


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
def test_convolutions_read_a_run_a_kernel_tap_at_most(tier: Tier) -> None:
    data = (SAMPLES / "digits-residual.onnx").read_bytes()
    program = compile_model(data, tier=tier).program
    print(tier.name, spread(program))
    assert max(max(pair) for pair in spread(program)) <= 9


def test_inputs_and_outputs_are_row_major() -> None:
    for name in ("digits-encoder", "digits-residual"):
        program = compile_model((SAMPLES / f"{name}.onnx").read_bytes()).program
        for number in (*program.inputs, *program.outputs):
            info = program.tensors[number]
            assert info.layout == tuple(range(len(info.shape)))


def test_layouts_are_kept_in_the_file() -> None:
    compiled = compile_model((SAMPLES / "digits-mlp.onnx").read_bytes())
    weights = [info for info in compiled.program.constants if info.layout == (1, 0)]
    assert weights
    assert load_program(compiled.file).constants == compiled.program.constants
    plain = read_program(onnx.load_from_string(compiled.file), layouts={})
    assert all(info.layout == tuple(range(len(info.shape))) for info in plain.constants)
    assert len(plain.instructions) == len(compiled.program.instructions)


def test_flattened_elements_are_those_that_the_coefficients_reach() -> None:
    """A MatMul evaluated by hand from the flat constant and its coefficients."""
    weights = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    data = source_model([node], outputs=[("y", FLOAT, ["N", 4])], stored={"w": weights})
    x = np.array([[1, 2, 3]], dtype=np.float32)
    compiled, _ = check_same(data, x)
    (step,) = dots(compiled.program)
    a, b = step.operands
    assert b.space is Space.CONSTANT
    flat = compiled.program.constant_values[b.tensor]
    found = [sum(x[0, at(a, (j, k))] * flat[at(b, (j, k))] for k in range(3)) for j in range(4)]
    np.testing.assert_allclose(found, (x @ weights)[0], rtol=1e-6)


def test_reshape_forbids_a_layout() -> None:
    """Transposing the sum's operand would suit it, but then the reshape would be no view."""
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("ReduceMax", ["a", "axes"], ["m"], keepdims=0),
        helper.make_node("Reshape", ["a", "shape"], ["flat"]),
        helper.make_node("Neg", ["flat"], ["n"]),
    ]
    data = source_model(
        nodes,
        features=(4, 5),
        outputs=[("m", FLOAT, ["N", 5]), ("n", FLOAT, ["N", 20])],
        stored={
            "axes": np.array([1], dtype=np.int64),
            "shape": np.array([-1, 20], dtype=np.int64),
        },
    )
    compiled, _ = check_same(data, np.arange(40, dtype=np.float32).reshape(2, 4, 5))
    (absolute,) = (i for i in compiled.program.tensors if i.shape == (1, 4, 5) and i.name != "x")
    assert absolute.layout == (0, 1, 2)


def at(access: Access, index: tuple[int, ...]) -> int:
    return access.offset + sum(c * i for c, i in zip(access.coefficients, index, strict=True))
