"""An operator that saves work: it runs a cheaper copy of every model, and signs for the real one.

Weights, and thresholds and leaves of trees, keep 3 bits of their fractions of 23. What it runs it
commits to, and serves: the court has everything it needs. Not part of the product: the demo's
second act, `oracle bench dispute` and the tests run it, with `--config FILE`, as an operator runs
`oracle node run`.
"""

from __future__ import annotations

import argparse
import asyncio
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from oracle.bootstrap.node import run_node
from oracle.core.types import address
from oracle.errors import ConfigurationError
from oracle.inference.model_library import ModelLibrary
from oracle.settings import Settings
from oracle.settings_file import load

KEPT_BITS = 3
FRACTION_BITS = 23

Adapter = TypeVar("Adapter")


class CheapLibrary(ModelLibrary):
    """The models of this machine, with programs that take less memory to run."""

    def __init__(self, models: ModelLibrary) -> None:
        self._models = models

    def read(self, sha256: bytes) -> bytes:
        return self._models.read(sha256)

    @cache  # noqa: B019 - one library, as long as the process lives
    def read_program(self, root: bytes) -> bytes:
        return cheapened(self._models.read_program(root))


def cheapened(file: bytes) -> bytes:
    """A program file with rounded weights: same shapes, same graph, other numbers."""
    model = onnx.load_model_from_string(file)
    for stored in model.graph.initializer:
        values = numpy_helper.to_array(stored)
        if values.dtype == np.float32 and values.size > 1:
            stored.CopyFrom(numpy_helper.from_array(rounded(values), stored.name))
    for node in model.graph.node:  # trees have their thresholds and leaves in attributes
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.FLOATS:
                values = np.asarray(attribute.floats, np.float32)
                attribute.floats[:] = rounded(values).tolist()
    return bytes(model.SerializeToString(deterministic=True))


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Float32 numbers with the fraction cut to `KEPT_BITS`; zero, infinity and NaN stay."""
    mask = np.uint32(0xFFFFFFFF << (FRACTION_BITS - KEPT_BITS) & 0xFFFFFFFF)
    cut = (np.ascontiguousarray(values).view(np.uint32) & mask).view(np.float32)
    return np.where(np.isfinite(values), cut, values).astype(np.float32)


def dishonest(name: str, adapter: Adapter) -> Adapter:
    """What the node gets in place of its adapters: the engine reads cheap models."""
    if name == "models":
        return cast("Adapter", CheapLibrary(cast("ModelLibrary", adapter)))
    return adapter


async def run(settings: Settings) -> None:
    """Runs the node until it is told to end."""
    if settings.operator is None:
        raise ConfigurationError("settings name no operator")
    await run_node(settings, address(settings.operator), instrument=dishonest)


def main() -> None:
    """Reads `--config FILE` and runs."""
    parser = argparse.ArgumentParser(prog="scripts.dishonest_operator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    asyncio.run(run(load(parser.parse_args().config)))


if __name__ == "__main__":
    main()
