"""Where a model runs: the CPU, or a CUDA device that has been seen to work.

Responsible for turning the setting `auto | cpu | cuda` into one execution provider, with the
options that an honest, reproducible run needs. It never falls back silently where a device was
demanded, and knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import onnx
import onnxruntime
from onnx import helper

from oracle.errors import ProviderUnavailable

ProviderSetting = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Provider:
    """An execution provider by onnxruntime's name, and its options as sorted pairs."""

    name: str
    options: tuple[tuple[str, str], ...] = ()


CPU: Final = Provider("CPUExecutionProvider")

CUDA: Final = Provider(
    "CUDAExecutionProvider",
    (
        # Winograd and FFT convolutions err far more than a dot product may; DEFAULT avoids them.
        ("cudnn_conv_algo_search", "DEFAULT"),
        # TF32 keeps 10 bits of the fraction: no bound of float32 would hold.
        ("use_tf32", "0"),
    ),
)


def select_provider(
    setting: ProviderSetting, *, cuda_problem: Callable[[], str | None] | None = None
) -> Provider:
    """The provider for a setting; `auto` prefers a CUDA device that works.

    `cuda_problem` says what keeps CUDA from working, or None; tests replace it. Raises
    `ProviderUnavailable` where CUDA is demanded and cannot be had, or the setting is unknown.
    """
    if setting == "cpu":
        return CPU
    if setting not in ("auto", "cuda"):
        raise ProviderUnavailable(
            f"{setting!r} is not an execution provider setting", hint="use auto, cpu or cuda"
        )
    problem = (cuda_problem or find_cuda_problem)()
    if problem is None:
        return CUDA
    if setting == "auto":
        return CPU
    raise ProviderUnavailable(
        f"CUDA was demanded, but {problem}",
        hint="pip uninstall onnxruntime && pip install 'opg-inference-oracle[cuda]', check that "
        "nvidia-smi lists a device, or set the provider to auto or cpu",
    )


@cache
def find_cuda_problem() -> str | None:
    """What keeps CUDA from working in this process, or None: a one-node model is really run.

    onnxruntime lists CUDA when it was built with it, even where no device or driver exists, and
    then falls back to the CPU with no more than a warning.
    """
    if CUDA.name not in onnxruntime.get_available_providers():
        return "this onnxruntime was built without it (onnxruntime-gpu is not installed)"
    try:
        onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            _one_node_model(), options, providers=[(CUDA.name, dict(CUDA.options))]
        )
        if session.get_providers()[0] != CUDA.name:
            return "its driver or libraries could not be loaded (CUDA 12 or 13, cuDNN 9)"
        session.run(None, {})
    except Exception as error:  # the runtime raises several unrelated types here
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"the device failed a trial run: {reason}"
    return None


def _one_node_model() -> bytes:
    one = helper.make_tensor("one", onnx.TensorProto.FLOAT, [1], [1.0])
    result = helper.make_tensor_value_info("two", onnx.TensorProto.FLOAT, [1])
    node = helper.make_node("Add", ["one", "one"], ["two"])
    graph = helper.make_graph([node], "trial", [], [result], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
