"""Whether stacking requests changes a single bit of any answer, found out by trying.

Kernels may round by position: a matrix product blocked differently for one row than for many, or
a vector loop whose last elements take another path. Responsible for comparing runs of 1 row with
runs of 2 to 64 rows, bit by bit, in the very session that will be used. The sizes are tried
exhaustively, the values are samples: it is evidence about rounding, and no proof that rows are
independent (see `row_independence` for that).

Measured with onnxruntime 1.31.1 on x86-64 with AVX2, one thread: no bit differs in either sample
model at any optimisation level, nor in MatMul and Gemm up to 1000 x 1000; Log, Softplus and Sin do
differ, by up to 2 ulp. Stacking takes the digits model from about 30 to 1.3 microseconds a row.
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from oracle.core.conversion import Array
from oracle.core.schema import ModelSchema, TensorSpec
from oracle.inference.session import OpenSession

LARGEST_STACK: Final = 64
"""Rows in one stacked run: the sizes up to here are the ones that were probed."""

_SEED: Final = 0


def stacking_difference(
    session: OpenSession,
    schema: ModelSchema,
    *,
    largest: int = LARGEST_STACK,
    budget_seconds: float = 1.0,
) -> str | None:
    """Why stacked runs cannot be used, or None where no bit differed at any size up to `largest`.

    `schema` must be fully batched. Gives up after `budget_seconds`: a model that slow has little
    to gain, since its time goes into arithmetic and not into calls.
    """
    deadline = time.monotonic() + budget_seconds
    names = [spec.name for spec in schema.outputs]
    generator = np.random.default_rng(_SEED)
    rows = {spec.name: _rows(generator, spec, 2 * largest) for spec in schema.inputs}

    def run(start: int, stop: int) -> list[Array]:
        feed = {name: np.ascontiguousarray(values[start:stop]) for name, values in rows.items()}
        outputs: list[Array] = session.runtime.run(names, feed)
        return outputs

    try:
        single = [run(row, row + 1) for row in range(2 * largest) if time.monotonic() < deadline]
        for size in range(2, largest + 1):
            if time.monotonic() >= deadline:
                return f"the probe took longer than {budget_seconds} s"
            start = int(generator.integers(0, 2 * largest - size))
            for position, stacked in enumerate(run(start, start + size)):
                pieces = [single[row][position] for row in range(start, start + size)]
                name = names[position]
                if stacked.tobytes() != b"".join(piece.tobytes() for piece in pieces):
                    return f"output {name!r} of {size} stacked rows differs from single runs"
    except Exception as error:  # the runtime's exceptions share no base class of their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"the probe's random inputs made the model fail: {reason}"
    return None


def _rows(generator: np.random.Generator, spec: TensorSpec, count: int) -> Array:
    """Random rows: floats of both signs and of scales from 1e-3 to 1e3, integers 0 and 1."""
    shape = (count, *spec.row_shape)
    values: np.ndarray[Any, Any]
    if spec.element.is_float:
        scale = 10.0 ** generator.uniform(-3, 3, size=(count, *([1] * len(spec.row_shape))))
        values = generator.standard_normal(shape) * scale
    else:
        values = generator.integers(0, 2, size=shape)
    return values.astype(spec.element.dtype)
