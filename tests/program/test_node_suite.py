"""ONNX's own node tests, over every operator: what compiles gives the expected tensors.

Operands that the suite feeds but models store (axes, shapes, counts) are stored first. Whatever
does not compile must be refused by name, and how much compiles must not shrink.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from oracle.core.schema import ElementType
from oracle.errors import InputError, ProgramError
from oracle.program.compile import compile_model
from tests.program.operator_case import Array, check_trace, session, trace

SUPPORTED: Final = 897
"""Cases that compile and agree. Raise it when a rule is added.

Two of the causal attentions give their masked scores out: those are -inf by arithmetic, of which
the court says nothing, so they are refused (`oracle/program/normalise/masks.py`).
"""

STORED: Final[dict[str, Sequence[int]]] = {
    **{
        f"Reduce{name}": (1,)
        for name in ("Max", "Min", "Sum", "Mean", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")
    },
    **dict.fromkeys(
        ("Expand", "OneHot", "Pow", "Reshape", "Split", "Squeeze", "Tile", "TopK", "Trilu"), (1,)
    ),
    "Unsqueeze": (1,),
    "ConstantOfShape": (0,),
    "Pad": (1, 2, 3),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
}


@dataclass(frozen=True)
class Outcome:
    """What became of one case: "supported", "refused", "interface", "skipped" or "wrong"."""

    name: str
    status: str
    reason: str = ""


@cache
def outcomes() -> tuple[Outcome, ...]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return tuple(judge(case) for case in load_model_tests(kind="node"))


def judge(case: Any) -> Outcome:
    model = copy.deepcopy(case.model)  # the suite gives everybody the same one
    if not all(representable(entry) for entry in (*model.graph.input, *model.graph.output)):
        return Outcome(case.name, "skipped")
    data = [([plain(value) for value in feeds], answers) for feeds, answers in case.data_sets]
    positions = store(model, data[0][0])
    try:
        compiled = compile_model(model.SerializeToString())
    except ProgramError as refusal:
        return Outcome(case.name, "refused", refusal.message)
    except InputError as refusal:
        return Outcome(case.name, "interface", refusal.message)
    try:
        engine = session(onnx.load_from_string(compiled.file))
        for values, answers in data:
            names = [entry.name for entry in model.graph.input]
            feeds = dict(zip(names, [values[place] for place in positions], strict=True))
            for found, answer in zip(engine.run(None, feeds), answers, strict=True):
                wanted = plain(answer)
                assert found.dtype == wanted.dtype
                assert found.shape == wanted.shape
                np.testing.assert_allclose(found, wanted, rtol=case.rtol, atol=case.atol)
            with contextlib.suppress(NotImplementedError):
                check_trace(compiled.program, trace(compiled, feeds))
    except Exception as fault:
        return Outcome(case.name, "wrong", f"{type(fault).__name__}: {fault}")
    return Outcome(case.name, "supported")


def store(model: onnx.ModelProto, values: Sequence[Array]) -> list[int]:
    """Moves structural inputs into the model; the positions of those that are left."""
    wanted = {
        node.input[place]
        for node in model.graph.node
        for place in STORED.get(node.op_type, ())
        if place < len(node.input)
    }
    for node in model.graph.node:
        # Numbers are divided by numbers; only whole ones need a stored divisor.
        if node.op_type == "Div" and values[0].dtype.kind != "f":
            wanted.add(node.input[1])
    left = [n for n, entry in enumerate(model.graph.input) if entry.name not in wanted]
    if not left:
        return list(range(len(values)))
    for entry, value in zip(model.graph.input, values, strict=True):
        if entry.name in wanted:
            model.graph.initializer.append(numpy_helper.from_array(value, entry.name))
    kept = [model.graph.input[n] for n in left]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return left


def representable(entry: onnx.ValueInfoProto) -> bool:
    """Whether it is a tensor of an element type that models may have."""
    if not entry.type.HasField("tensor_type"):
        return False
    dtype = helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
    return dtype.name in {element.value for element in ElementType}


def plain(value: Any) -> Array:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value)


@pytest.mark.timeout(600)
def test_what_compiles_gives_the_expected_tensors() -> None:
    wrong = [outcome for outcome in outcomes() if outcome.status == "wrong"]
    assert wrong == []


def test_support_does_not_shrink() -> None:
    counts = Counter(outcome.status for outcome in outcomes())
    print(dict(counts))
    assert counts["supported"] >= SUPPORTED


def test_refusals_name_what_is_refused() -> None:
    """An operator and a tensor of the model, or the element type that cannot be judged."""
    unnamed = [
        outcome
        for outcome in outcomes()
        if outcome.status == "refused"
        and not any(
            word in outcome.reason
            for word in ("the model cannot be judged: ", "float64", "not an operator of programs")
        )
    ]
    assert unnamed == []
