"""The leaves that a decision tree can reach when its features can move a little.

Follows both sides of a branch whose threshold lies within reach of its feature, else one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.place import Reals

_COMPARE: Final = {
    1: lambda x, t: x <= t,
    2: lambda x, t: x < t,
    3: lambda x, t: x >= t,
    4: lambda x, t: x > t,
    5: lambda x, t: x == t,
    6: lambda x, t: x != t,
}


def leaf_spread(
    *,
    features: Reals,
    reach: Reals,
    nodes: NDArray[Any],
    leaves: Reals,
    roots: NDArray[Any],
    values: int,
) -> Reals:
    """Of every (tree, value): how far the farthest leaf within reach lies from the one taken."""
    spread = np.zeros((len(roots), values))
    for number, root in enumerate(roots):
        taken, reached = _walk(features, reach, nodes, int(root))
        if len(reached) > 1:
            options = np.array([_leaf(leaves, leaf, values) for leaf in sorted(reached)])
            here = _leaf(leaves, taken, values)
            spread[number] = np.abs(options - here).max(axis=0)
    return spread


def _leaf(leaves: Reals, leaf: int, values: int) -> Reals:
    return leaves[leaf * values : (leaf + 1) * values]


def _walk(features: Reals, reach: Reals, nodes: NDArray[Any], root: int) -> tuple[int, set[int]]:
    """The leaf that the features lead to, and all leaves within reach."""
    reached: set[int] = set()
    taken = -1
    stack = [(root, True)]
    while stack:
        node, honest = stack.pop()
        mode, feature, bits, holds, fails, nan_holds = (int(word) for word in nodes[node, :6])
        if mode == 0:
            reached.add(feature)
            taken = feature if honest else taken
            continue
        threshold = float(np.array(bits, dtype=np.int64).astype(np.int32).view(np.float32))
        x, moved = float(features[feature]), float(reach[feature])
        true = bool(nan_holds) if np.isnan(x) else bool(_COMPARE[mode](x, threshold))
        stack.append((holds if true else fails, honest))
        if moved > 0 and not abs(x - threshold) > moved:
            stack.append((fails if true else holds, False))
    return taken, reached
