"""The execution profile: how an honest worker runs a program of a tier, as canonical text.

Its hash is part of a model's terms, so any change here makes new models. Applies no setting itself.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from eth_utils.crypto import keccak

from oracle.core.types import Tier
from oracle.errors import ProgramError

NORMALISER_VERSION: Final = 1
"""Grows when the same source may give another program."""

MINIMUM_RUNTIME: Final = "1.31"
"""onnxruntime; LayerNormalization before 1.20 gave NaN on data far from zero."""

SESSION_CONFIG: Final = {"session.x64quantprecision": "1"}
"""Session entries: 8-bit products on CPUs without VNNI would saturate without."""

CUDA_OPTIONS: Final = {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}
"""CUDA provider options: neither TF32 nor Winograd keeps within the court's bounds."""

PROVIDERS: Final = ("CPUExecutionProvider", "CUDAExecutionProvider")
"""What may run a program; TensorRT and CoreML round as they like."""

OPTIMISATION: Final[dict[Tier, Literal["basic", "all"]]] = {
    Tier.EXACT: "basic",
    Tier.ROUNDED: "basic",
    Tier.NATIVE: "all",
}
"""onnxruntime's level on CPUs; elsewhere it is basic. Only where any order of summation is right
may convolutions take the layout of the CPU at hand, which saves a sixth of a large network's time.
"""

_ARITHMETIC: Final = {
    Tier.EXACT: "exact",
    Tier.ROUNDED: "accumulate in float64, round once to float32",
    Tier.NATIVE: "float32, any order",
}


def profile_json(tier: Tier) -> str:
    """The profile of a tier: ASCII, sorted keys, no white space. Raises ProgramError."""
    if tier not in _ARITHMETIC:
        raise ProgramError(f"the tier {tier.name.lower()} has no profile")
    level = OPTIMISATION[tier]
    level_text = level if level == "basic" else f"{level} on CPUs, else basic"
    document: dict[str, Any] = {
        "arithmetic": _ARITHMETIC[tier],
        "cuda_options": CUDA_OPTIONS,
        "element_types": "of the program; no float16, bfloat16 or TF32",
        "graph_optimization": f"{level_text}, every committed tensor exposed",
        "normaliser_version": NORMALISER_VERSION,
        "onnxruntime_minimum": MINIMUM_RUNTIME,
        "providers": list(PROVIDERS),
        "session_config": SESSION_CONFIG,
        "tier": int(tier),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def profile_hash(tier: Tier) -> bytes:
    """keccak256 of the canonical text: 32 bytes."""
    return bytes(keccak(profile_json(tier).encode("ascii")))
