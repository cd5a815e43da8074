"""Rows of input from a file: what a model is certified, compared or measured on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from oracle.core.schema import ModelSchema
from oracle.errors import InputError
from oracle.ports.inference import Tensors


def read_rows(path: Path, schema: ModelSchema, *, most: int | None = None) -> list[Tensors]:
    """The rows of an .npz file: an array per input by its name, or `x` for a model of one input.

    Each row comes as a batch of 1. The first `most` rows are taken.

    Raises:
        InputError: no such file, no .npz file, an array that is missing or of another row shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(
            f"{path} is not an .npz file of plain arrays", hint="write it with numpy.savez"
        ) from error
    if len(schema.inputs) == 1 and "x" in arrays:
        arrays.setdefault(schema.inputs[0].name, arrays["x"])
    columns = {}
    for spec in schema.inputs:
        if spec.name not in arrays:
            raise InputError(
                f"{path} has no array {spec.name!r}, only {sorted(arrays)}",
                hint="name the arrays as the model's inputs",
            )
        array = arrays[spec.name].astype(spec.element.dtype)
        shape = spec.shape_for(1)
        if array.shape[1:] != (shape[1:] if spec.batched else shape):
            raise InputError(
                f"{path}: {spec.name!r} has rows of shape {list(array.shape[1:])}",
                hint=f"the model takes {spec.element.name.lower()} rows of shape {list(shape[1:])}",
            )
        columns[spec.name] = [
            entry.reshape(shape) for entry in (array if most is None else array[:most])
        ]
    count = min(len(column) for column in columns.values())
    if not count:
        raise InputError(f"{path} has no rows")
    return [{name: column[row] for name, column in columns.items()} for row in range(count)]
