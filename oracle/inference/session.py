"""One onnxruntime session, opened the same way every time, and the facts of how.

Responsible for the options that make a run reproducible and an idle process quiet, and for
recording them with each answer. It does not know which model it holds or who asked.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np
import onnxruntime

from oracle.errors import ModelFileError, ProviderUnavailable
from oracle.inference.provider import Provider
from oracle.program.profile import SESSION_CONFIG

Optimisation = Literal["none", "basic", "extended", "all"]

_LEVELS: Final = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True)
class SessionSettings:
    """How sessions are opened.

    One thread inside an operator by default, so that sums are taken in one order and parallelism
    comes from running requests side by side. `basic` removes redundant nodes; the levels above it
    fuse operators and choose layouts by the CPU at hand, which two machines may do differently;
    programs of the native tier, where that is allowed, are opened at `all` instead.
    """

    intra_op_threads: int = 1
    optimisation: Optimisation = "basic"


@dataclass(frozen=True)
class SessionFacts:
    """Under what a run took place, stored with its answer."""

    onnxruntime_version: str
    numpy_version: str
    provider: str
    provider_options: tuple[tuple[str, str], ...]
    intra_op_threads: int
    inter_op_threads: int
    execution_mode: str
    optimisation: Optimisation
    deterministic_compute: bool
    spinning: bool
    machine: str
    system: str

    def to_json(self) -> str:
        """Canonical text: ASCII, sorted keys, no white space."""
        document = asdict(self) | {"provider_options": dict(self.provider_options)}
        return json.dumps(document, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class OpenSession:
    """A loaded model, ready to run from any thread, with the facts of how it was opened."""

    runtime: onnxruntime.InferenceSession
    facts: SessionFacts
    facts_json: str


def open_session(
    model: bytes, provider: Provider, settings: SessionSettings | None = None
) -> OpenSession:
    """Load the bytes of a model file.

    Raises `ModelFileError` where onnxruntime refuses the model, and `ProviderUnavailable` where it
    fell back to another provider than the one asked for.
    """
    settings = settings or SessionSettings()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.intra_op_threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = _LEVELS[settings.optimisation]
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    for entry, value in SESSION_CONFIG.items():
        options.add_session_config_entry(entry, value)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        runtime = onnxruntime.InferenceSession(
            model, options, providers=[(provider.name, dict(provider.options))]
        )
    except Exception as error:  # the runtime's exceptions share no base class of their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFileError(
            f"onnxruntime {onnxruntime.__version__} does not load the model: {reason}",
            hint="use operators and opsets that this onnxruntime knows, or upgrade it",
        ) from error
    used = runtime.get_providers()[0]
    if used != provider.name:
        raise ProviderUnavailable(
            f"{provider.name} was asked for, but onnxruntime chose {used}",
            hint="check the device and its driver, or set the provider to auto or cpu",
        )
    facts = _facts(settings, provider)
    return OpenSession(runtime=runtime, facts=facts, facts_json=facts.to_json())


def _facts(settings: SessionSettings, provider: Provider) -> SessionFacts:
    return SessionFacts(
        onnxruntime_version=onnxruntime.__version__,
        numpy_version=np.__version__,
        provider=provider.name,
        provider_options=provider.options,
        intra_op_threads=settings.intra_op_threads,
        inter_op_threads=1,
        execution_mode="sequential",
        optimisation=settings.optimisation,
        deterministic_compute=True,
        spinning=False,
        machine=platform.machine(),
        system=platform.system(),
    )
