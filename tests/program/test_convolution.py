"""Convolutions: what the program computes is what the source does, and what its loops say."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.compile import load_program
from oracle.program.opcode import Opcode
from tests.program.evaluation import Ran, run, source_model

TIERS = pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A convolution whose windows fit: its attributes, shapes and seed."""
    rank = draw(st.integers(1, 2))
    axes = range(rank)
    kernel = [draw(st.integers(1, 4)) for _ in axes]
    dilations = [draw(st.integers(1, 3)) for _ in axes]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [draw(st.integers(0, 3)) for _ in range(2 * rank)]
    lengths = [
        draw(st.integers(max(1, span - pads[axis] - pads[axis + rank]), span + 6))
        for axis, span in enumerate(spans)
    ]
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "dilations": dilations,
        "strides": [draw(st.integers(1, 3)) for _ in axes],
        "pads": pads,
        "group": groups,
    }
    if draw(st.booleans()):
        del attributes["kernel_shape"]
    automatic = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    valid = all(n >= span for n, span in zip(lengths, spans, strict=True))
    if automatic != "NOTSET" and (valid or automatic != "VALID") and set(dilations) == {1}:
        del attributes["pads"]
        attributes["auto_pad"] = automatic
    return {
        "attributes": attributes,
        "kernel": kernel,
        "lengths": lengths,
        "source": groups * draw(st.integers(1, 3)),
        "target": groups * draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "traced": draw(st.sampled_from([False, False, True])),
        "seed": draw(st.integers(0, 1000)),
    }


def convolve(settings_: dict[str, Any], tier: Tier) -> Ran:
    random = np.random.default_rng(settings_["seed"])
    groups = settings_["attributes"]["group"]

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    x = normal(1, settings_["source"], *settings_["lengths"])
    w = normal(settings_["target"], settings_["source"] // groups, *settings_["kernel"])
    feeds, constants = {"x": x}, {}
    inputs = ["x", "w"]
    if settings_["traced"]:
        # weights that a run computes: the last rows of an input
        feeds["v"] = w[None]
        nodes = [helper.make_node("Squeeze", ["v", "first"], ["w"])]
        constants["first"] = np.array([0], dtype=np.int64)
    else:
        nodes, constants["w"] = [], w
    if settings_["bias"]:
        inputs.append("b")
        constants["b"] = normal(settings_["target"])
    nodes.append(helper.make_node("Conv", inputs, ["c"], **settings_["attributes"]))
    nodes.append(helper.make_node("Relu", ["c"], ["y"]))
    ran = run(source_model(nodes, feeds, constants), feeds, tier)
    np.testing.assert_allclose(ran.outputs[0], ran.expected[0], rtol=1e-4, atol=1e-4)
    return ran


@TIERS
@given(configurations())
@settings(max_examples=60)
def test_any_configuration(tier: Tier, configuration: dict[str, Any]) -> None:
    ran = convolve(configuration, tier)
    assert ran.step(Opcode.DOT).taps >= 1


def simple(**changes: Any) -> dict[str, Any]:
    attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "group": 1}
    base: dict[str, Any] = {
        "attributes": {**attributes, **changes.pop("attributes", {})},
        "kernel": [3, 3], "lengths": [6, 5], "source": 4, "target": 6,
        "bias": True, "traced": False, "seed": 1,
    }  # fmt: skip
    return {**base, **changes}


def test_channels_innermost_where_they_lie_so() -> None:
    """Two convolutions in a row: the tensor between is committed channels last, read in runs."""
    random = np.random.default_rng(0)
    feeds = {"x": random.normal(size=(1, 2, 12, 12)).astype(np.float32)}
    constants = {
        "v": random.normal(size=(8, 2, 3, 3)).astype(np.float32),
        "w": random.normal(size=(4, 8, 3, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["h"]),
        helper.make_node("Conv", ["h", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    ran = run(source_model(nodes, feeds, constants), feeds, Tier.ROUNDED)
    step = ran.program.instructions[1]
    assert step.reduction == (3, 3, 8)
    for access in step.operands[:2]:
        assert access.coefficients[-1] == 1
    assert len(step.operands[0].guards) == 2


@TIERS
def test_groups_split_the_channel_axis(tier: Tier) -> None:
    ran = convolve(simple(attributes={"group": 2}), tier)
    assert ran.step(Opcode.DOT).domain == (2, 3, 6, 5)


def test_no_padding_no_guards() -> None:
    ran = convolve(simple(attributes={"pads": [0, 0, 0, 0]}), Tier.ROUNDED)
    assert not any(access.guards for access in ran.step(Opcode.DOT).operands)


def test_a_foreign_body_is_refused() -> None:
    file = convolve(simple(), Tier.ROUNDED).compiled.file
    model = onnx.load_from_string(file)
    (body,) = model.functions
    pads = next(node for node in body.node if node.op_type == "Constant")
    pads.attribute[0].t.name = "other"
    with pytest.raises(ProgramError, match="foreign body"):
        load_program(model.SerializeToString())


def test_a_window_written_otherwise_is_refused() -> None:
    model = onnx.load_from_string(convolve(simple(), Tier.ROUNDED).compiled.file)
    call = next(node for node in model.graph.node if node.op_type.startswith("Conv_"))
    strides = next(entry for entry in call.attribute if entry.name == "strides")
    strides.ints[:] = [2, 2]
    with pytest.raises(ProgramError):
        load_program(model.SerializeToString())


@TIERS
@pytest.mark.parametrize("operator", ["Conv", "Gemm", "MatMul", "MaxPool"])
def test_batch_normalisation(tier: Tier, operator: str) -> None:
    """Folded behind linear operators, a product and a sum elsewhere."""
    random = np.random.default_rng(3)

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    flat = operator in ("Gemm", "MatMul")
    feeds = {"x": normal(1, 5) if flat else normal(1, 5, 6, 6)}
    channels = 5 if operator == "MaxPool" else 7
    constants = {
        "w": normal(5, 7) if flat else normal(7, 5, 3, 3),
        "b": normal(7),
        "gain": normal(channels), "bias": normal(channels), "mean": normal(channels),
        "variance": np.abs(normal(channels)) + 0.1,
    }  # fmt: skip
    inputs = {"MaxPool": ["x"], "MatMul": ["x", "w"]}.get(operator, ["x", "w", "b"])
    attributes = {"kernel_shape": [2, 2]} if operator == "MaxPool" else {}
    nodes = [
        helper.make_node(operator, inputs, ["h"], **attributes),
        helper.make_node(
            "BatchNormalization", ["h", "gain", "bias", "mean", "variance"], ["y"], epsilon=1e-3
        ),
    ]
    used = {name for node in nodes for name in node.input}
    constants = {name: value for name, value in constants.items() if name in used}
    ran = run(source_model(nodes, feeds, constants), feeds, tier)
    np.testing.assert_allclose(ran.outputs[0], ran.expected[0], rtol=1e-4, atol=1e-5)
    opcodes = [step.opcode for step in ran.program.instructions if step.opcode is not Opcode.COPY]
    folded = [Opcode.DOT] if operator != "MaxPool" else [Opcode.REDUCE_MAX, Opcode.MUL, Opcode.ADD]
    assert opcodes == folded or tier is Tier.NATIVE


def test_a_convolution_with_two_readers_keeps_its_own_result() -> None:
    random = np.random.default_rng(4)
    feeds = {"x": random.normal(size=(1, 2, 4, 4)).astype(np.float32)}
    constants = {"w": random.normal(size=(3, 2, 3, 3)).astype(np.float32)} | {
        name: random.uniform(0.5, 1, size=3).astype(np.float32) for name in "abcd"
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        helper.make_node("BatchNormalization", ["h", *"abcd"], ["n"]),
        helper.make_node("Add", ["h", "n"], ["y"]),
    ]
    ran = run(source_model(nodes, feeds, constants), feeds, Tier.ROUNDED)
    np.testing.assert_allclose(ran.outputs[0], ran.expected[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operator", ["InstanceNormalization", "GroupNormalization"])
def test_normalisation_of_the_input(operator: str) -> None:
    random = np.random.default_rng(5)
    feeds = {"x": random.normal(size=(1, 6, 4, 3)).astype(np.float32)}
    groups = operator == "GroupNormalization"
    constants = {name: random.normal(size=6).astype(np.float32) for name in ("gain", "bias")}
    attributes = {"num_groups": 3} if groups else {}
    node = helper.make_node(operator, ["x", "gain", "bias"], ["y"], **attributes)
    ran = run(source_model([node], feeds, constants, opset=21), feeds, Tier.ROUNDED)
    np.testing.assert_allclose(ran.outputs[0], ran.expected[0], rtol=1e-4, atol=1e-5)


def test_what_is_refused_says_what_could_replace_it() -> None:
    feeds = {"x": np.zeros((1, 2, 4, 4), dtype=np.float32)}
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"])
    data = source_model([node], feeds, {"w": np.zeros((2, 3, 3, 3), dtype=np.float32)})
    with pytest.raises(ProgramError, match="ConvTranspose") as caught:
        run(data, feeds)
    assert "Resize" in str(caught.value.hint)
