"""From a program file to the instructions that are judged: one rule per dialect operator.

Importing the package registers every rule.
"""

from oracle.program.reading import (
    convolution,
    elementwise,
    linear,
    movement,
    pooling,
    quantised,
    selection,
    tree,
    views,
)

__all__ = [
    "convolution",
    "elementwise",
    "linear",
    "movement",
    "pooling",
    "quantised",
    "selection",
    "tree",
    "views",
]
