"""Masks of -inf: attention in whose runs everything is finite and judged; else a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.program.compile import CompiledProgram, compile_model, load_program
from oracle.program.instruction import Trace
from tests.program.models import run, run_rows, source_model, trace_of

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
TOKENS, WIDTH = 6, 8
INF = float("inf")
Array = NDArray[Any]

RANDOM = np.random.default_rng(5)
WEIGHTS = {
    name: (RANDOM.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)
    for name in ("wq", "wk", "wv", "wo")
}
CAUSAL = np.triu(np.full((TOKENS, TOKENS), -np.inf, dtype=np.float32), 1)


def _rows(count: int = 4, *, padded: int = 2) -> Array:
    """Token vectors; the last ones are padding, whose first feature is 0."""
    x = np.random.default_rng(6).normal(size=(count, TOKENS, WIDTH)).astype(np.float32)
    if padded:
        x[:, -padded:, 0] = 0
    return x


def _attention(
    masking: list[onnx.NodeProto],
    stored: dict[str, Array],
    softmax: list[onnx.NodeProto] | None = None,
) -> bytes:
    """One head. `masking` makes "masked" of "scores", and may read "padding", [N, 1, TOKENS]."""
    nodes = [
        *(helper.make_node("MatMul", ["x", f"w{n}"], [n], name=f"proj_{n}") for n in "qkv"),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["products"]),
        helper.make_node("Mul", ["products", "scale"], ["scores"]),
        helper.make_node("Slice", ["x", "zero", "one", "last"], ["feature"]),
        helper.make_node("Equal", ["feature", "nothing"], ["column"]),
        helper.make_node("Transpose", ["column"], ["padding"], perm=[0, 2, 1]),
        *masking,
        *(softmax or [helper.make_node("Softmax", ["masked"], ["weights"], axis=-1)]),
        helper.make_node("MatMul", ["weights", "v"], ["mixed"]),
        helper.make_node("MatMul", ["mixed", "wo"], ["y"]),
    ]
    return source_model(
        nodes,
        features=(TOKENS, WIDTH),
        outputs=[("y", FLOAT, ["N", TOKENS, WIDTH])],
        stored={
            **WEIGHTS,
            "scale": np.float32(WIDTH**-0.5),
            "nothing": np.float32(0),
            "low": np.float32(-np.inf),
            "zero": np.array([0]),
            "one": np.array([1]),
            "last": np.array([2]),
            **stored,
        },
    )


ADDED = helper.make_node("Add", ["scores", "mask"], ["masked"], name="add_mask")
PADDED = helper.make_node("Where", ["padding", "low", "nothing"], ["mask"], name="pad_mask")
FILLED = helper.make_node("Where", ["padding", "low", "scores"], ["masked"], name="fill")
BY_HAND = [
    helper.make_node("ReduceMax", ["masked"], ["largest"], axes=[-1], keepdims=1),
    helper.make_node("Sub", ["masked", "largest"], ["shifted"]),
    helper.make_node("Exp", ["shifted"], ["powers"]),
    helper.make_node("ReduceSum", ["powers", "along"], ["total"], keepdims=1),
    helper.make_node("Div", ["powers", "total"], ["weights"]),
]
ALONG = {"along": np.array([-1])}

MODELS: dict[str, bytes] = {
    "causal, added": _attention([ADDED], {"mask": CAUSAL}),
    "padding, added": _attention([PADDED, ADDED], {}),
    "padding, filled in": _attention([FILLED], {}),
    "causal and padding": _attention(
        [
            PADDED,
            helper.make_node("Add", ["mask", "causal"], ["both"]),
            helper.make_node("Add", ["scores", "both"], ["masked"]),
        ],
        {"causal": CAUSAL},
    ),
    "chosen, sliced and shaped": _attention(
        [
            helper.make_node("Slice", ["wide", "zero", "tokens", "one"], ["sliced"]),
            helper.make_node("Unsqueeze", ["sliced", "zero"], ["three"]),
            helper.make_node("Where", ["padding", "low", "three"], ["mask"]),
            ADDED,
        ],
        {
            "wide": np.pad(CAUSAL, ((0, 0), (0, 3))),
            "tokens": np.array([TOKENS]),
        },
    ),
    "scaled behind the mask": _attention(
        [
            helper.make_node("Add", ["scores", "mask"], ["early"]),
            helper.make_node("Div", ["early", "two"], ["masked"]),
        ],
        {"mask": CAUSAL, "two": np.float32(2)},
    ),
}


def _checked(data: bytes, x: Array, tier: Tier) -> tuple[CompiledProgram, Trace]:
    """Everything that a run commits is finite, and the court judges all of it."""
    compiled = compile_model(data, tier=tier)
    trace = trace_of(compiled, x)
    for row in trace.rows:
        for info, values in zip(compiled.program.tensors, row, strict=True):
            assert np.isfinite(values).all(), info.name
    report = check_trace(compiled.program, trace)
    assert (report.violated, report.undefined, report.open) == (0, 0, 0)
    return compiled, trace


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_masked_attention_is_finite_judged_and_the_same(name: str, tier: Tier) -> None:
    x = _rows()
    compiled, trace = _checked(MODELS[name], x, tier)
    (mine,), (theirs,) = run_rows(compiled.file, x), run(MODELS[name], x)
    assert np.isfinite(theirs).all()
    np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)
    assert load_program(compiled.file).instructions == compiled.program.instructions
    # Masked elements have no weight at all, as in the source.
    weights = compiled.program.instructions
    (share,) = [step for step in weights if step.opcode.name == "DIV" and step.name == "div"]
    hidden = np.isneginf(_source_masks(name, x))
    got = np.stack([row[share.output] for row in trace.rows]).reshape(hidden.shape)
    assert hidden.any()
    np.testing.assert_array_equal(got[hidden], 0)


def _source_masks(name: str, x: Array) -> Array:
    """The source's own masked scores."""
    model = onnx.load_from_string(MODELS[name])
    model.graph.output.append(helper.make_empty_tensor_value_info("masked"))
    return run(model.SerializeToString(), x, ["masked"])[0]


def test_a_softmax_by_hand() -> None:
    data = _attention([ADDED], {"mask": CAUSAL, **ALONG}, BY_HAND)
    model = onnx.load_from_string(data)
    model.opset_import[0].version = 13
    x = _rows()
    compiled, _ = _checked(model.SerializeToString(), x, Tier.ROUNDED)
    np.testing.assert_allclose(
        run_rows(compiled.file, x)[0], run(model.SerializeToString(), x)[0], rtol=1e-6, atol=1e-6
    )


def test_an_unmasked_score_may_be_moved_but_a_masked_one_not() -> None:
    """What was anybody's with infinities: a weight for a token that is hidden."""
    x = _rows(1)
    compiled, trace = _checked(MODELS["causal, added"], x, Tier.ROUNDED)
    steps = compiled.program.instructions
    (share,) = [step for step in steps if step.opcode.name == "DIV" and step.name == "div"]
    row = list(trace.rows[0])
    row[share.output] = row[share.output].copy()
    row[share.output][1] = 0.5  # what the first token sees of the second
    report = check_trace(compiled.program, Trace((tuple(row),)))
    assert report.first is not None
    assert (report.first.opcode.name, report.first.position) == ("DIV", 1)


@pytest.mark.parametrize("name", ["padding, added", "padding, filled in"])
def test_where_all_is_masked_the_source_has_no_number_and_the_program_a_mean(name: str) -> None:
    x = _rows(1, padded=TOKENS)
    assert np.isnan(run(MODELS[name], x)[0]).all()
    compiled, trace = _checked(MODELS[name], x, Tier.ROUNDED)
    steps = compiled.program.instructions
    (share,) = [step for step in steps if step.opcode.name == "DIV" and step.name == "div"]
    np.testing.assert_allclose(trace.rows[0][share.output], 1 / TOKENS, rtol=1e-6)


def test_a_model_that_gives_no_weight_where_all_is_masked() -> None:
    """As ONNX's own Attention is spelled out: the question for -inf is asked otherwise."""
    softmax = [
        helper.make_node("Softmax", ["masked"], ["shares"], axis=-1),
        helper.make_node("ReduceMax", ["mask", "along"], ["most"], keepdims=1),
        helper.make_node("Equal", ["most", "low"], ["hidden"]),
        helper.make_node("Where", ["hidden", "nothing", "shares"], ["weights"]),
    ]
    data = _attention([PADDED, ADDED], ALONG, softmax)
    x = np.concatenate([_rows(1, padded=TOKENS), _rows(2), _rows(1, padded=0)])
    compiled, _ = _checked(data, x, Tier.ROUNDED)
    (mine,), (theirs,) = run_rows(compiled.file, x), run(data, x)
    np.testing.assert_array_equal(theirs[0], 0)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)
