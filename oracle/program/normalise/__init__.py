"""From a source model to the dialect: one rule per ONNX operator that programs can express.

Importing the package registers every rule.
"""

from oracle.program.normalise import (
    activation,
    composite,
    convolution,
    einsum,
    elementwise,
    identity,
    label,
    linear_model,
    normalisation_folding,
    pooling,
    quantised,
    quantised_microsoft,
    selection,
    shape,
    spatial,
    tabular,
    tree,
)

__all__ = [
    "activation",
    "composite",
    "convolution",
    "einsum",
    "elementwise",
    "identity",
    "label",
    "linear_model",
    "normalisation_folding",
    "pooling",
    "quantised",
    "quantised_microsoft",
    "selection",
    "shape",
    "spatial",
    "tabular",
    "tree",
]
