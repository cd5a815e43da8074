"""A million elements of honest runs, and none convicted; `oracle bench` judges many more."""

from __future__ import annotations

import os

import pytest

from oracle.bench.honest import measure
from oracle.inference.provider import CPU
from tests.inference.graphs import MODELS

NAMES = (
    "breast-cancer-gbt", "digits-encoder", "digits-lenet", "digits-lenet-int8", "digits-logistic",
    "digits-mlp", "digits-residual", "wine-xgboost",
)  # fmt: skip
ELEMENTS = 1_000_000


@pytest.mark.timeout(400)
def test_no_honest_run_is_convicted() -> None:
    sources = {name: (MODELS / f"{name}.onnx").read_bytes() for name in NAMES}
    said: list[str] = []
    found = measure(sources, CPU, ELEMENTS, said.append)
    print(found)
    assert found["violations"] == []
    assert found["convicted"] == 0
    assert found["elements"] >= ELEMENTS
    assert len(said) == len(found["models"])
    for name in NAMES:
        ran = [row for row in found["models"] if row["model"] == name]
        assert {row["threads"] for row in ran} == {1, os.cpu_count() or 1}
        assert {row["tier"] for row in ran} >= {"rounded", "native"}
        assert all(row["runs"] > 0 for row in ran)
