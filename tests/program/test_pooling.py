"""Pools and what moves pixels: the program does what the source does, and what its loops say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.opcode import Opcode
from oracle.program.window import Window
from tests.program.evaluation import Ran, run, source_model

TIERS = pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])


@st.composite
def pools(draw: st.DrawFn, *, dilated: bool) -> dict[str, Any]:
    """Attributes and lengths of a pool with padding smaller than its kernel."""
    rank = draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 4)) for _ in range(rank)]
    dilations = [draw(st.integers(1, 2)) if dilated else 1 for _ in range(rank)]
    pads = [draw(st.integers(0, length - 1)) for length in (*kernel, *kernel)]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": [draw(st.integers(1, 4)) for _ in range(rank)],
        "pads": pads,
        "ceil_mode": draw(st.sampled_from([0, 1])),
    }
    if dilated:
        attributes["dilations"] = dilations
    if not attributes["ceil_mode"] and set(dilations) == {1} and draw(st.booleans()):
        del attributes["pads"]
        attributes["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    lengths = tuple(draw(st.integers(span, span + 6)) for span in spans)
    window = Window.of("pool", lengths, kernel, attributes)
    assume(np.all(window.counts()))
    last = [(o - 1) * s for o, s in zip(window.target, window.strides, strict=True)]
    apart = [at + span < n for at, span, n in zip(last, spans, lengths, strict=True)]
    assume(not (any(apart) and attributes.get("auto_pad", "").startswith("SAME")))
    return {"attributes": attributes, "lengths": lengths, "seed": draw(st.integers(0, 1000))}


def pool(operator: str, drawn: dict[str, Any], tier: Tier, dtype: str = "float32") -> Ran:
    random = np.random.default_rng(drawn["seed"])
    feeds = {"x": (random.normal(size=(1, 3, *drawn["lengths"])) * 50).astype(dtype)}
    node = helper.make_node(operator, ["x"], ["y"], **drawn["attributes"])
    ran = run(source_model([node], feeds, {}, opset=19), feeds, tier)
    np.testing.assert_allclose(ran.outputs[0], ran.expected[0], rtol=1e-5, atol=1e-4)
    return ran


@given(pools(dilated=True), st.sampled_from(["float32", "int8"]))
@settings(max_examples=80)
def test_max_pool(drawn: dict[str, Any], dtype: str) -> None:
    attributes = drawn["attributes"]
    window = Window.of("pool", drawn["lengths"], attributes["kernel_shape"], attributes).tight()
    if any(n >= k for n, k in zip((*window.begin, *window.end), window.kernel * 2, strict=True)):
        with pytest.raises(ProgramError, match="whole kernel"):
            pool("MaxPool", drawn, Tier.EXACT, dtype)
        return
    ran = pool("MaxPool", drawn, Tier.EXACT, dtype)
    assert np.array_equal(ran.outputs[0], ran.expected[0])


@TIERS
@given(pools(dilated=True), st.sampled_from([0, 1]))
@settings(max_examples=60)
def test_average_pool(tier: Tier, drawn: dict[str, Any], count_padding: int) -> None:
    attributes = {**drawn["attributes"], "count_include_pad": count_padding}
    window = Window.of("pool", drawn["lengths"], attributes["kernel_shape"], attributes)
    counted = count_padding and any((*window.begin, *window.end))
    assume(not counted or np.all(window.counts(padding=True) == window.tap_count))
    ran = pool("AveragePool", {**drawn, "attributes": attributes}, tier)
    step = ran.step(Opcode.MEAN)
    assert step.attributes == ((window.tap_count,) if counted else (0,))


def test_average_pool_beyond_counted_padding_is_refused() -> None:
    drawn = {
        "attributes": {
            "kernel_shape": [3], "strides": [2], "pads": [1, 0],
            "ceil_mode": 1, "count_include_pad": 1,
        },
        "lengths": (5,), "seed": 0,
    }  # fmt: skip
    with pytest.raises(ProgramError, match="beyond"):
        pool("AveragePool", drawn, Tier.ROUNDED)


@TIERS
@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(tier: Tier, operator: str) -> None:
    drawn = {"attributes": {}, "lengths": (5, 4), "seed": 2}
    ran = pool(operator, drawn, tier)
    opcode = Opcode.MEAN if operator == "GlobalAveragePool" else Opcode.REDUCE_MAX
    assert ran.step(opcode).taps == 20


def test_windows_apart_with_automatic_padding_are_refused() -> None:
    attributes = {"kernel_shape": [1], "strides": [3], "auto_pad": "SAME_UPPER"}
    with pytest.raises(ProgramError, match="windows apart"):
        pool("AveragePool", {"attributes": attributes, "lengths": (3,), "seed": 0}, Tier.ROUNDED)


def test_indices_are_refused() -> None:
    feeds = {"x": np.zeros((1, 1, 4, 4), dtype=np.float32)}
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])
    with pytest.raises(ProgramError, match="indices"):
        run(source_model([node], feeds, {}, outputs=("y", "i")), feeds)


def moved(operator: str, constants: dict[str, Any], inputs: list[str], **attributes: Any) -> Ran:
    feeds = {"x": np.arange(8 * 12, dtype=np.float32).reshape(1, 8, 3, 4)}
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    ran = run(source_model([node], feeds, constants), feeds, Tier.EXACT)
    assert np.array_equal(ran.outputs[0], ran.expected[0])
    assert {step.opcode for step in ran.program.instructions} == {Opcode.COPY}
    return ran


def whole(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(st.lists(st.integers(-2, 3), min_size=4, max_size=4), st.floats(-4, 4, width=32))
@settings(max_examples=40)
def test_pad(pads: list[int], fill: float) -> None:
    """Negative padding cuts off."""
    assume(pads[0] + pads[2] > -3 and pads[1] + pads[3] > -4)
    constants = {"pads": whole(*pads), "fill": np.float32(fill), "axes": whole(2, 3)}
    moved("Pad", constants, ["x", "pads", "fill", "axes"])


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode: str) -> None:
    moved("DepthToSpace", {}, ["x"], blocksize=2, mode=mode)


def test_space_to_depth() -> None:
    feeds = {"x": np.arange(2 * 36, dtype=np.float32).reshape(1, 2, 6, 6)}
    node = helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=3)
    ran = run(source_model([node], feeds, {}), feeds, Tier.EXACT)
    assert np.array_equal(ran.outputs[0], ran.expected[0])


@pytest.mark.parametrize(
    ("coordinates", "rounding"),
    [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"),
     ("pytorch_half_pixel", "round_prefer_ceil")],
)  # fmt: skip
def test_resize_by_whole_factors(coordinates: str, rounding: str) -> None:
    moved(
        "Resize",
        {"scales": np.array([1, 1, 2, 3], dtype=np.float32)},
        ["x", "", "scales"],
        mode="nearest",
        coordinate_transformation_mode=coordinates,
        nearest_mode=rounding,
    )
    moved(
        "Resize",
        {"sizes": whole(1, 8, 6, 4)},
        ["x", "", "", "sizes"],
        mode="nearest",
        coordinate_transformation_mode=coordinates,
        nearest_mode=rounding,
    )


@pytest.mark.parametrize("scale", [1.5, 0.5])
def test_other_resizing_is_refused(scale: float) -> None:
    scales = {"scales": np.array([1, 1, scale, 1], dtype=np.float32)}
    with pytest.raises(ProgramError, match="whole factors"):
        moved("Resize", scales, ["x", "", "scales"], mode="nearest")
    with pytest.raises(ProgramError, match="linear"):
        moved("Resize", scales, ["x", "", "scales"], mode="linear")
