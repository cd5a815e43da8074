"""What one run of a model gives, whatever kind of model it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oracle.core.conversion import Array
from oracle.core.tensor import Tensors
from oracle.program.instruction import Trace


@dataclass(frozen=True)
class Run:
    """Outputs by name, seconds in the runtime; a program's run has a trace, too."""

    outputs: Tensors
    seconds: float
    trace: Trace | None = None


def first_line(error: Exception) -> str:
    """What a foreign exception says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def native(array: Array) -> Array:
    """The array as the runtime wants it: native byte order, row-major."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
