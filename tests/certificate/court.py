"""The exact court, over every element of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from oracle.court.check import check_trace
from oracle.program.instruction import Program, Trace


def convictions(program: Program, row: Sequence[NDArray[Any]]) -> int:
    """How many elements of a run are provably wrong; none of them may be undefined."""
    report = check_trace(program, Trace((tuple(row),)), most=100)
    assert report.undefined == 0
    return report.violated
