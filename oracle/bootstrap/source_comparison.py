"""A program beside the model that it was compiled from: how far their outputs lie apart.

The source runs as its author would run it, with all of onnxruntime's optimisations on the CPU.
Responsible for the comparison; knows no program and does not judge what it finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice
from typing import Final

import numpy as np

from oracle.core.conversion import Array
from oracle.core.schema import ModelSchema
from oracle.errors import InferenceError, UnusableOutput
from oracle.inference.probe_rows import probe_rows
from oracle.inference.program_session import LoadedProgram
from oracle.inference.provider import CPU
from oracle.inference.run import first_line
from oracle.inference.session import SessionSettings, open_session
from oracle.ports.inference import Tensors
from oracle.program.manifest import GENERATED, GIVEN, SourceDifference

GENERATED_ROWS: Final = 8
_KINDS_OF_ROWS: Final = 5
"""`probe_rows` takes turns; the first kind is normal. The others are to break a program: what they
make of a model is too large, or too small, to be a measure of anything."""


class SourceComparison:
    """The source model in memory, and what was found so far."""

    def __init__(self, source: bytes, schema: ModelSchema) -> None:
        """Raises ModelFileError where onnxruntime cannot open the source."""
        self._session = open_session(source, CPU, SessionSettings(optimisation="all"))
        self._schema = schema
        self._hash = hashlib.sha256()
        self._largest = 0.0
        self._other_rows = 0
        self._rows = 0

    def add(self, row: Tensors, outputs: Tensors) -> None:
        """Compares the program's outputs for one row. Raises InferenceError."""
        names = list(outputs)
        try:
            found = self._session.runtime.run(names, dict(row))
        except Exception as error:  # the runtime's exceptions share no base class of their own
            raise InferenceError(f"the source model failed: {first_line(error)}") from error
        other = False
        for name, theirs in zip(names, found, strict=True):
            mine = outputs[name]
            if mine.dtype.kind == "f":
                self._largest = max(self._largest, _distance(mine, np.asarray(theirs)))
            else:
                other = other or not np.array_equal(mine, theirs)
        for spec in self._schema.inputs:
            self._hash.update(np.ascontiguousarray(row[spec.name]).tobytes())
        self._other_rows += other
        self._rows += 1

    def found(self, inputs: str) -> SourceDifference | None:
        """The result over rows that were `inputs`; None where there were none."""
        if not self._rows:
            return None
        return SourceDifference(
            self._largest, self._other_rows, self._rows, inputs, self._hash.hexdigest()
        )


def compare_with_source(
    loaded: LoadedProgram, source: bytes, rows: Iterable[Tensors] | None
) -> SourceDifference | None:
    """The difference over these rows, or over generated ones; None where no such row can be run.

    Raises:
        ModelFileError: onnxruntime cannot open the source.
        UnusableOutput, InferenceError: a given row cannot be run.
    """
    comparison = SourceComparison(source, loaded.schema)
    if rows is not None:
        for row in rows:
            comparison.add(row, loaded.run(row, 1).outputs)
        return comparison.found(GIVEN)
    normal = islice(probe_rows(loaded.schema), 0, GENERATED_ROWS * _KINDS_OF_ROWS, _KINDS_OF_ROWS)
    for made_up in normal:
        try:
            comparison.add(made_up, loaded.run(made_up, 1).outputs)
        except (UnusableOutput, InferenceError):
            continue  # nobody said that the model takes such values
    return comparison.found(GENERATED)


def _distance(mine: Array, theirs: Array) -> float:
    """The largest difference; equal infinities and two NaNs are equal, a NaN alone is infinite."""
    one, other = mine.astype(np.float64), theirs.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(one - other))
    return float(np.nan_to_num(gaps, nan=np.inf, posinf=np.inf).max(initial=0.0))
