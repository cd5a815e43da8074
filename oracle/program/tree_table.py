"""Decision trees as two tables, node words and leaf values, as the court walks them.

Responsible for the canonical numbering (depth first from each root, "holds" before "fails") and
for saying a forest as one TreeEnsembleRegressor with a target per tree and value, and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.errors import ProgramError

MODES: Final = {
    "BRANCH_LEQ": 1,
    "BRANCH_LT": 2,
    "BRANCH_GTE": 3,
    "BRANCH_GT": 4,
    "BRANCH_EQ": 5,
    "BRANCH_NEQ": 6,
}
LEAF: Final = 0
NOT_EQUAL: Final = 6
WORDS: Final = 8
LARGEST_TABLE: Final = 2**24
"""Nodes of a forest; a tree that shares subtrees grows when it is written out."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A comparison of one feature, and the keys of the nodes it leads to."""

    mode: int
    feature: int
    threshold: np.float32
    holds: Any
    fails: Any
    nan_holds: bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a walk ends: one value per target, in order."""

    values: tuple[np.float32, ...]


@dataclass(frozen=True, eq=False)
class Forest:
    """`nodes` is int32 [nodes, 8] as in docs/program.md, `leaves` float32 [leaves, values]."""

    nodes: NDArray[np.int32]
    leaves: NDArray[np.float32]
    roots: NDArray[np.int32]

    @property
    def trees(self) -> int:
        return len(self.roots)

    @property
    def values(self) -> int:
        return int(self.leaves.shape[1])


def grow(roots: Sequence[Any], node: Callable[[Any], Branch | Leaf], values: int) -> Forest:
    """A forest from its roots' keys and a way to look a key up.

    Raises:
        ProgramError: a walk that would not end, or more nodes than a table has room for.
    """
    words: list[list[int]] = []
    leaves: list[tuple[np.float32, ...]] = []
    first: list[int] = []
    for root in roots:
        first.append(len(words))
        path: set[Any] = set()
        # (key, word of the parent to fill in, its place); None closes the branch above.
        pending: list[tuple[Any, int, int] | None] = [(root, -1, 0)]
        trail: list[Any] = []
        while pending:
            entry = pending.pop()
            if entry is None:
                path.discard(trail.pop())
                continue
            key, parent, place = entry
            if key in path:
                raise ProgramError("a tree leads back to a node that it came from")
            number = len(words)
            if number >= LARGEST_TABLE:
                raise ProgramError(f"its trees have more than {LARGEST_TABLE} nodes")
            if parent >= 0:
                words[parent][place] = number
            found = node(key)
            if isinstance(found, Leaf):
                words.append([LEAF, len(leaves), 0, 0, 0, 0, 0, 0])
                leaves.append(found.values)
                continue
            bits = int(found.threshold.view(np.int32))
            nan_holds = int(found.nan_holds or found.mode == NOT_EQUAL)
            if np.isnan(found.threshold):
                raise ProgramError("a tree compares a feature with NaN")
            words.append([found.mode, found.feature, bits, 0, 0, nan_holds, 0, 0])
            path.add(key)
            trail.append(key)
            pending += [None, (found.fails, number, 4), (found.holds, number, 3)]
    return Forest(
        np.array(words, dtype=np.int32).reshape(-1, WORDS),
        # Adding zero turns -0 into 0: a kernel that adds a leaf to zero cannot tell them apart.
        np.array(leaves, dtype=np.float32).reshape(-1, values) + np.float32(0),
        np.array(first, dtype=np.int32),
    )


def write(forest: Forest) -> dict[str, Any]:
    """The attributes of a TreeEnsembleRegressor whose target t·values + v is value v of tree t."""
    names = {number: name for name, number in MODES.items()} | {LEAF: "LEAF"}
    count = len(forest.nodes)
    tree = np.searchsorted(forest.roots, np.arange(count), side="right") - 1
    within = np.arange(count) - forest.roots[tree]
    branch = forest.nodes[:, 0] != LEAF
    start = np.where(branch, forest.roots[tree], 0)
    at = np.nonzero(~branch)[0]
    target = tree[at][:, None] * forest.values + np.arange(forest.values)

    def repeated(numbers: NDArray[Any]) -> list[int]:
        return [int(number) for number in np.repeat(numbers, forest.values)]

    thresholds = np.where(branch, forest.nodes[:, 2], 0).astype(np.int32).view(np.float32)
    nan_holds = np.where(forest.nodes[:, 0] == NOT_EQUAL, 0, forest.nodes[:, 5])
    return {
        "n_targets": forest.trees * forest.values,
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": within.tolist(),
        "nodes_modes": [names[int(mode)] for mode in forest.nodes[:, 0]],
        "nodes_featureids": np.where(branch, forest.nodes[:, 1], 0).tolist(),
        "nodes_values": thresholds.tolist(),
        "nodes_truenodeids": (forest.nodes[:, 3] - start).tolist(),
        "nodes_falsenodeids": (forest.nodes[:, 4] - start).tolist(),
        "nodes_missing_value_tracks_true": nan_holds.tolist(),
        "target_treeids": repeated(tree[at]),
        "target_nodeids": repeated(within[at]),
        "target_ids": target.reshape(-1).tolist(),
        "target_weights": forest.leaves.reshape(-1).tolist(),
    }


def read(attributes: Mapping[str, Any]) -> Forest:
    """The forest in the attributes that `write` gives: every walk ends, every number is in range.

    Raises:
        ProgramError: they are not such attributes.
    """
    try:
        forest = _read(attributes)
        same = write(forest) == dict(attributes) and _numbered_depth_first(forest)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ProgramError(f"the tree ensemble is not of a program: {error}") from error
    if not same:
        raise ProgramError("the tree ensemble is not as the compiler writes it")
    return forest


def _numbered_depth_first(forest: Forest) -> bool:
    """Whether branches lead forward within their tree, "holds" to the next node."""
    number = np.arange(len(forest.nodes))
    tree = np.searchsorted(forest.roots, number, side="right")
    end = np.append(forest.roots, len(number))[tree]
    branch = forest.nodes[:, 0] != LEAF
    forward = (forest.nodes[:, 3] == number + 1) & (forest.nodes[:, 4] > number)
    inside = (forest.nodes[:, 3] < end) & (forest.nodes[:, 4] < end) & (forest.nodes[:, 1] >= 0)
    return bool((~branch | (forward & inside)).all())


def _read(attributes: Mapping[str, Any]) -> Forest:
    modes = [MODES.get(name, LEAF) for name in attributes["nodes_modes"]]
    tree = np.array(attributes["nodes_treeids"])
    roots = np.nonzero(np.array(attributes["nodes_nodeids"]) == 0)[0]
    branch = np.array(modes) != LEAF
    start = np.where(branch, roots[tree], 0)
    nodes = np.zeros((len(modes), WORDS), dtype=np.int32)
    nodes[:, 0] = modes
    nodes[:, 1] = np.where(branch, attributes["nodes_featureids"], np.cumsum(~branch) - 1)
    nodes[:, 2] = np.array(attributes["nodes_values"], dtype=np.float32).view(np.int32)
    nodes[:, 3] = attributes["nodes_truenodeids"] + start
    nodes[:, 4] = attributes["nodes_falsenodeids"] + start
    nodes[:, 5] = attributes["nodes_missing_value_tracks_true"] | (nodes[:, 0] == NOT_EQUAL)
    values, rest = divmod(int(attributes["n_targets"]), len(roots))
    if rest:
        raise ValueError("its targets do not divide among its trees")
    leaves = np.array(attributes["target_weights"], dtype=np.float32).reshape(-1, values)
    return Forest(nodes, leaves, roots.astype(np.int32))
