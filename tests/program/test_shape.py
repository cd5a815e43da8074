"""Re-indexing costs nothing: shapes, slices and broadcasts leave no instruction but a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from oracle.errors import ProgramError
from oracle.program.compile import compile_model
from oracle.program.opcode import Opcode
from tests.program.operator_case import compare, opcodes, source

DATA = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def whole(*numbers: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize("wanted", [(6, 4), (0, -1), (-1,), (0, 0, 2, -1), (1, 24)])
def test_reshape(wanted: tuple[int, ...]) -> None:
    assert opcodes(compare(*source("Reshape", [DATA, whole(*wanted)], constant=[1]))) == []


def test_reshape_before_opset_5() -> None:
    model, _ = source("Flatten", [DATA], opset=4, axis=2)
    node = model.graph.node[0]
    node.CopyFrom(helper.make_node("Reshape", ["x0"], ["y0"], shape=[6, -1]))
    program = compile_model(model.SerializeToString()).program
    assert program.tensors[program.outputs[0]].shape == (6, 4)


@pytest.mark.parametrize("axis", [0, 1, 3, -1])
def test_flatten(axis: int) -> None:
    assert opcodes(compare(*source("Flatten", [DATA], axis=axis))) == []


@pytest.mark.parametrize("opset", [11, 13])
def test_squeeze_and_unsqueeze(opset: int) -> None:
    data = DATA.reshape(2, 1, 12, 1)
    for operator, axes in (("Squeeze", [1, -1]), ("Unsqueeze", [0, -1])):
        if opset < 13:
            case = source(operator, [data], opset=opset, axes=axes)
        else:
            case = source(operator, [data, whole(*axes)], constant=[1], opset=opset)
        assert opcodes(compare(*case)) == []
    compare(*source("Squeeze", [data], opset=opset))


@pytest.mark.parametrize("order", [None, [1, 2, 0], [0, 2, 1]])
def test_transpose(order: list[int] | None) -> None:
    attributes = {} if order is None else {"perm": order}
    assert opcodes(compare(*source("Transpose", [DATA], **attributes))) == []


@pytest.mark.parametrize("wanted", [(2, 3, 4), (5, 2, 3, 4), (1,), (2, 1, 3, 4)])
def test_expand(wanted: tuple[int, ...]) -> None:
    assert opcodes(compare(*source("Expand", [DATA, whole(*wanted)], constant=[1]))) == []


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 1), (1, 2, 3)])
def test_tile(repeats: tuple[int, ...]) -> None:
    compare(*source("Tile", [DATA, whole(*repeats)], constant=[1]))


def test_tile_of_single_elements_is_a_view() -> None:
    case = source("Tile", [DATA.reshape(1, 24), whole(3, 1)], constant=[1])
    assert opcodes(compare(*case)) == []


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ([1], [2**31], [2], [1]),
        ([0, 1], [1, -1], [0, 2], [1, 1]),
        ([-1], [-(2**62)], [1], [-1]),
        ([3], [0], [2], [-2]),
        ([0], [100], [-1], [2]),
        ([-2], [2**62], [1], [1]),
    ],
)
def test_slice(starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> None:
    operands = [DATA, whole(*starts), whole(*ends), whole(*axes), whole(*steps)]
    assert opcodes(compare(*source("Slice", operands, constant=[1, 2, 3, 4]))) == []


def test_slice_before_opset_10() -> None:
    compare(*source("Slice", [DATA], opset=9, starts=[1, 0], ends=[3, 2], axes=[2, 1]))


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("diagonal", [0, -1, 2])
def test_triangle(upper: int, diagonal: int) -> None:
    operands = [DATA, np.array(diagonal, np.int64)]
    case = source("Trilu", operands, constant=[1], upper=upper)
    assert opcodes(compare(*case)) == [Opcode.WHERE]


@pytest.mark.parametrize(
    ("operator", "attributes"), [("Shape", {}), ("Shape", {"start": 1, "end": -1}), ("Size", {})]
)
def test_shapes_are_constants(operator: str, attributes: dict[str, Any]) -> None:
    assert opcodes(compare(*source(operator, [DATA], **attributes))) == []


def test_a_shape_that_is_computed_from_a_shape() -> None:
    """As exporters write `x.reshape(x.shape[0], -1)` and `torch.arange`: all of it folds."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["rows"], axis=0),
        helper.make_node("Unsqueeze", ["rows", "zeros"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["flat"]),
        helper.make_node("Range", ["zero", "twelve", "one"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["places"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ConstantOfShape", ["wide"], ["half"], value=_half()),
        helper.make_node("Sub", ["flat", "places"], ["moved"]),
        helper.make_node("Mul", ["moved", "half"], ["y"]),
    ]
    stored = {
        "zero": np.array(0, np.int64),
        "zeros": whole(0),
        "rest": whole(-1),
        "one": np.array(1, np.int64),
        "twelve": np.array(12, np.int64),
        "wide": whole(12),
    }
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("x", 1, ["N", 3, 4])],
        [helper.make_tensor_value_info("y", 1, ["N", 12])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    imports = [helper.make_operatorsetid("", 18)]
    model = helper.make_model(graph, ir_version=9, opset_imports=imports)
    compiled = compare(model, {"x": DATA[:1]})
    assert opcodes(compiled) == [Opcode.SUB, Opcode.MUL]


def _half() -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([0.5], np.float32))


def test_shapes_from_data_are_refused() -> None:
    model, _ = source("Reshape", [DATA, whole(4, 6)])
    with pytest.raises(ProgramError, match=r"Reshape.*its shape is computed from the data"):
        compile_model(model.SerializeToString())


def test_tensors_without_elements_are_refused() -> None:
    model, _ = source("Slice", [DATA, whole(1), whole(2), whole(0)], constant=[1, 2, 3])
    node = model.graph.node[0]
    node.output[0] = "cut"
    empty = numpy_helper.from_array(whole(5), "x1")
    model.graph.initializer[0].CopyFrom(empty)
    model.graph.node.append(helper.make_node("ReduceSum", ["cut", "x3"], ["y0"], keepdims=1))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y0", 1, [1, 3, 4]))
    with pytest.raises(ProgramError, match="reduces no elements"):
        compile_model(model.SerializeToString())
