"""Providers are what was asked for, and sessions say how they were opened."""

from __future__ import annotations

import json
import platform

import onnxruntime
import pytest

from oracle.errors import ModelFileError, ProviderUnavailable
from oracle.inference.provider import CPU, CUDA, Provider, find_cuda_problem, select_provider
from oracle.inference.session import SessionSettings, open_session
from tests.inference import graphs

RELU = graphs.relu().SerializeToString()


def test_auto_takes_cuda_only_where_it_works() -> None:
    assert select_provider("auto", cuda_problem=lambda: None) == CUDA
    assert select_provider("auto", cuda_problem=lambda: "there is none") == CPU
    assert select_provider("cuda", cuda_problem=lambda: None) == CUDA


def test_cpu_never_looks_at_cuda() -> None:
    def look() -> str | None:
        raise AssertionError

    assert select_provider("cpu", cuda_problem=look) == CPU


def test_cuda_demanded_in_vain_says_what_is_missing() -> None:
    with pytest.raises(ProviderUnavailable, match="demanded, but there is none") as caught:
        select_provider("cuda", cuda_problem=lambda: "there is none")
    assert caught.value.hint is not None
    assert "[cuda]" in caught.value.hint


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ProviderUnavailable, match="'gpu'"):
        select_provider("gpu")  # type: ignore[arg-type]


def test_cuda_is_tried_and_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    find_cuda_problem.cache_clear()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU.name])
    assert "built without it" in (find_cuda_problem() or "")

    class FellBack:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_providers(self) -> list[str]:
            return [CPU.name]

    find_cuda_problem.cache_clear()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA.name, CPU.name])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FellBack)
    assert "could not be loaded" in (find_cuda_problem() or "")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failure 100: no CUDA-capable device\nmore")

    find_cuda_problem.cache_clear()
    monkeypatch.setattr(onnxruntime, "InferenceSession", broken)
    assert (find_cuda_problem() or "").endswith("CUDA failure 100: no CUDA-capable device")
    find_cuda_problem.cache_clear()


def test_cuda_options_keep_float32_bounds() -> None:
    assert dict(CUDA.options) == {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}


def test_facts_are_those_of_the_session() -> None:
    opened = open_session(RELU, CPU, SessionSettings(intra_op_threads=2, optimisation="none"))
    facts = json.loads(opened.facts.to_json())
    assert opened.facts_json == opened.facts.to_json()
    assert facts["onnxruntime_version"] == onnxruntime.__version__
    assert facts["provider"] == "CPUExecutionProvider"
    assert facts["machine"] == platform.machine()
    assert facts["intra_op_threads"] == 2
    assert facts["optimisation"] == "none"
    assert facts["deterministic_compute"] is True
    options = opened.runtime.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.use_deterministic_compute
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL


def test_a_model_that_does_not_load_is_refused() -> None:
    with pytest.raises(ModelFileError, match="does not load") as caught:
        open_session(b"no model", CPU)
    assert caught.value.hint


def test_a_silent_fallback_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class FellBack:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "InferenceSession", FellBack)
    with pytest.raises(ProviderUnavailable, match="onnxruntime chose CPU"):
        open_session(RELU, Provider("CUDAExecutionProvider"))
