"""A model in memory: its session, and whether strangers' requests may share a run of it.

Responsible for loading stored bytes under the schema that was registered, and for one checked run.
It does not know about threads, queues or time limits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from oracle.core.conversion import Array, first_index, has_type
from oracle.core.schema import ModelSchema
from oracle.core.tensor import Tensors
from oracle.errors import InferenceError, ModelFileError, UnusableOutput
from oracle.inference.batch_probe import stacking_difference
from oracle.inference.model_file import parse
from oracle.inference.provider import Provider
from oracle.inference.run import Run, first_line, native
from oracle.inference.session import OpenSession, SessionSettings, open_session
from oracle.ports.inference import CommittedTrace
from oracle.program.source.model_schema import read_schema
from oracle.program.source.row_independence import dependence


@dataclass(frozen=True)
class LoadedModel:
    """A session and what may be done with it.

    `single_only` says why requests are run one by one, or is None where they may be stacked.
    """

    schema: ModelSchema
    session: OpenSession
    single_only: str | None

    def run(
        self,
        inputs: Mapping[str, Array],
        batch: int,
        *,
        options: onnxruntime.RunOptions | None = None,
    ) -> Run:
        """Run once.

        Raises `UnusableOutput` where the model rejects the values of this input (an index outside a
        table, say) and where an output's type or shape is not the schema's; NaN and infinity are
        values and may pass. Raises `InferenceError` where the run fails in another way or is
        stopped.
        """
        schema = self.schema
        names = [spec.name for spec in schema.outputs]
        feed = {name: native(array) for name, array in inputs.items()}
        started = time.perf_counter()
        try:
            values = self.session.runtime.run(names, feed, options)
        except InvalidArgument as error:
            raise UnusableOutput(f"the model rejects this input: {first_line(error)}") from error
        except Exception as error:  # the runtime's exceptions share no base class of their own
            raise InferenceError(f"the model failed: {first_line(error)}") from error
        seconds = time.perf_counter() - started
        outputs: Tensors = {}
        for spec, value in zip(schema.outputs, values, strict=True):
            if not isinstance(value, np.ndarray) or not has_type(spec, value):
                found = getattr(value, "dtype", type(value).__name__)
                raise UnusableOutput(f"output {spec.name!r} is {found}, not {spec.element.value}")
            if value.shape != spec.shape_for(batch):
                raise UnusableOutput(
                    f"output {spec.name!r} has shape {list(value.shape)}, "
                    f"not {list(spec.shape_for(batch))}"
                )
            outputs[spec.name] = value
        return Run(outputs, seconds)

    def committed(self, _run: Run) -> CommittedTrace | None:
        """Nothing: a plain model has no registered intermediates."""
        return None


def load_model(
    name: str,
    data: bytes,
    schema: ModelSchema,
    *,
    provider: Provider,
    settings: SessionSettings,
    batching: bool,
) -> LoadedModel:
    """Open a model and decide about stacking: proven independent rows, and bits that agree.

    Raises `ModelFileError` where the file is bad or its interface is not `schema`.
    """
    model = parse(data, name=name)
    found = read_schema(model, max_batch=schema.max_batch)
    if found != schema:
        raise ModelFileError(
            f"{name} has the interface {found.to_json()}, not {schema.to_json()}",
            hint="register the schema that `inspect` reports for this file",
        )
    session = open_session(data, provider, settings)
    if not batching:
        reason: str | None = "batching is switched off"
    elif not schema.fully_batched:
        reason = "an input or output has no batch axis"
    else:
        reason = dependence(model) or stacking_difference(session, schema)
    return LoadedModel(schema=schema, session=session, single_only=reason)


def first_nan(outputs: Mapping[str, Array]) -> str | None:
    """The first output and index that is NaN, in words; None where there is none."""
    for name, value in outputs.items():
        if value.dtype.kind == "f":
            missing = np.isnan(value)
            if missing.any():
                return f"output {name!r} is NaN at {list(first_index(missing))}"
    return None
