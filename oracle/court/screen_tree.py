"""TREE: walks every tree of every row at once.

A step replaces each walker's node by the one that its comparison leads to; walkers that reached a
leaf stay. Node tables are int32 `[nodes, 8]`, see docs/program.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from oracle.court.operands import Array
from oracle.court.screen_nest import Nest
from oracle.court.screen_result import Expected

MODE: Final = 0
FEATURE: Final = 1
THRESHOLD: Final = 2
HOLDS: Final = 3
FAILS: Final = 4
NAN_HOLDS: Final = 5
WORDS: Final = 8

_TYPES: Final = ["float32", "int32", "float32", "int32"]


def tree_values(nest: Nest) -> Expected | None:
    """The leaf values; a malformed table leaves its elements open."""
    features, table, leaves, root = nest.operands
    if (
        any(operand.guards for operand in nest.operands)
        or any(table.coefficients)
        or nest.output.dtype != leaves.flat.dtype
        or [operand.flat.dtype.name for operand in nest.operands] != _TYPES
    ):
        return None
    values = nest.step.attributes[1]
    domain = nest.domain
    last = len(domain) - 1
    # The values of a leaf share one walk if neither root nor features depend on the value axis.
    shared = not features.depends_on(last) and not root.depends_on(last)
    walked = (*domain[:-1], 1) if shared else domain
    walks = nest.box((0,) * len(domain), walked)
    node, fine = _walk(walks)
    leaf, exists = table.take(table.positions(walked) + node * WORDS + FEATURE, domain[0])
    axis = np.arange(domain[-1], dtype=np.int64)
    place = leaves.positions(domain) + leaf.astype(np.int64) * values + axis
    found, known = leaves.take(place, domain[0])
    return Expected(np.broadcast_to(found, domain), known=known & fine & exists)


def _walk(nest: Nest) -> tuple[Array, Array]:
    """The leaf node that each walker reaches, and whether it reached one."""
    features, table = nest.operands[:2]
    stride = nest.step.attributes[0]
    nodes = (table.size - table.offset) // WORDS
    begin = table.first_row + table.offset
    words = table.flat[begin : begin + nodes * WORDS].reshape(nodes, WORDS)
    thresholds = np.ascontiguousarray(words[:, THRESHOLD]).view(np.float32)
    modes = words[:, MODE]
    node = nest.element(3).astype(np.int64).reshape(-1)
    start = np.broadcast_to(features.positions(nest.domain), nest.domain).reshape(-1)
    rows = features.first_row + np.arange(nest.domain[0]) * features.coefficients[0]
    row = np.repeat(rows, nest.size // nest.domain[0])
    fine = (node >= 0) & (node < nodes)
    walking = np.nonzero(fine)[0]
    for _ in range(nodes + 1):
        walking = walking[modes[node[walking]] != 0]
        if not walking.size:
            break
        here = node[walking]
        position = start[walking] + words[here, FEATURE].astype(np.int64) * stride
        inside = (position >= 0) & (position < features.size)
        x = features.flat[row[walking] + np.where(inside, position, 0)]
        holds = _holds(modes[here], x, thresholds[here])
        holds |= np.isnan(x) & (words[here, NAN_HOLDS] != 0)
        following = np.where(holds, words[here, HOLDS], words[here, FAILS]).astype(np.int64)
        inside &= (following >= 0) & (following < nodes) & (modes[here] >= 1) & (modes[here] <= 6)
        inside &= ~np.isnan(thresholds[here])
        fine[walking[~inside]] = False
        walking = walking[inside]
        node[walking] = following[inside]
    fine[walking] = False
    return node.reshape(nest.domain), fine.reshape(nest.domain)


def _holds(modes: Array, x: Array, threshold: Array) -> Array:
    kinds = np.unique(modes)
    if kinds.size == 1:
        return np.asarray(_compare(int(kinds[0]), x, threshold))
    result = np.zeros(x.shape, dtype=np.bool_)
    for kind in kinds:
        chosen = modes == kind
        result[chosen] = _compare(int(kind), x[chosen], threshold[chosen])
    return result


def _compare(mode: int, x: Array, threshold: Array) -> Array:
    match mode:
        case 1:
            found = x <= threshold
        case 2:
            found = x < threshold
        case 3:
            found = x >= threshold
        case 4:
            found = x > threshold
        case 5:
            found = x == threshold
        case 6:
            found = x != threshold
        case _:
            found = np.zeros(x.shape, dtype=np.bool_)
    return np.asarray(found)
