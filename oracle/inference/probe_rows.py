"""Made-up rows of input that try a program hard; an endless supply, the same for the same seed.

Five kinds take turns: normal, of any magnitude, constant (which lines up every rounding error),
sparse, and small whole numbers. Knows no model beyond its schema.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oracle.core.conversion import Array
from oracle.core.schema import ElementType, ModelSchema, TensorSpec

_LARGEST_TOKEN = 8
"""Integer inputs are mostly positions in tables: small ones lie in most of them."""


def probe_rows(schema: ModelSchema, *, seed: int = 1) -> Iterator[dict[str, Array]]:
    """Inputs of one row each."""
    generator = np.random.default_rng(seed)
    number = 0
    while True:
        yield {spec.name: _values(spec, generator, number) for spec in schema.inputs}
        number += 1


def _values(spec: TensorSpec, generator: np.random.Generator, number: int) -> Array:
    shape = spec.shape_for(1)
    if not spec.element.is_float:
        highest = 2 if spec.element is ElementType.BOOL else _LARGEST_TOKEN
        return generator.integers(0, highest, shape).astype(spec.element.dtype)
    kind = number % 5
    normal = generator.standard_normal(shape)
    if kind == 0:
        values = normal * 4
    elif kind == 1:
        values = normal * 2.0 ** generator.integers(-60, 20, shape)
    elif kind == 2:
        values = np.full(shape, generator.standard_normal() * 8)
    elif kind == 3:
        values = np.where(generator.random(shape) < 0.05, normal * 1e4, 0.0)
    else:
        values = generator.integers(0, 17, shape).astype(np.float64)
    return values.astype(spec.element.dtype)
