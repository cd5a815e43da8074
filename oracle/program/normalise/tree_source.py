"""Reads the three tree operators of ai.onnx.ml into one `Forest`.

Responsible for their attributes in all versions. What is done with a tree's value is not known
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oracle.errors import ProgramError
from oracle.program.normalise.rule import SourceNode
from oracle.program.tree_table import MODES, Branch, Forest, Leaf, grow

_MODE_NUMBERS = list(MODES.values())
"""By the numbers of TreeEnsemble (version 5); what comes after is BRANCH_MEMBER."""


@dataclass(frozen=True, eq=False)
class SourceForest:
    """A forest and, per value, whether each row is certain to reach a leaf that gives it one."""

    forest: Forest
    weights: NDArray[np.float32]
    given: frozenset[int]
    certain: frozenset[int]


def ensemble(node: SourceNode, prefix: str, values: int) -> SourceForest:
    """The trees of a TreeEnsembleRegressor (prefix "target") or -Classifier ("class")."""
    trees = _ints(node, "nodes_treeids")
    keys = list(zip(trees, _ints(node, "nodes_nodeids"), strict=True))
    places = {key: position for position, key in enumerate(keys)}
    if len(places) != len(keys) or not keys:
        raise ProgramError("its nodes are not numbered apart")
    modes = node.get("nodes_modes", [])
    features, holds, fails = (
        _ints(node, f"nodes_{name}") for name in ("featureids", "truenodeids", "falsenodeids")
    )
    thresholds = _floats(node, "nodes_values")
    missing = _ints(node, "nodes_missing_value_tracks_true") or [0] * len(keys)
    weights = _floats(node, f"{prefix}_weights")
    targets = _ints(node, f"{prefix}_ids")
    leaves: dict[tuple[int, int], dict[int, np.float32]] = {}
    for tree, number, target, weight in zip(
        _ints(node, f"{prefix}_treeids"),
        _ints(node, f"{prefix}_nodeids"),
        targets,
        weights,
        strict=True,
    ):
        _check_target(target, values)
        here = leaves.setdefault((tree, number), {})
        if target in here:
            raise ProgramError(f"a leaf has two weights for the target {target}")
        here[target] = weight

    def look_up(key: tuple[int, int]) -> Branch | Leaf:
        place = places.get(key)
        if place is None:
            raise ProgramError(f"tree {key[0]} has no node {key[1]}")
        if modes[place] == "LEAF":
            return _leaf(leaves.get(key, {}), values)
        if modes[place] not in MODES:
            raise ProgramError(f"the node mode {modes[place]} has no rule")
        return Branch(
            MODES[modes[place]],
            features[place],
            thresholds[place],
            (key[0], holds[place]),
            (key[0], fails[place]),
            missing[place] == 1,
        )

    roots = [key for n, key in enumerate(keys) if n == 0 or key[0] != keys[n - 1][0]]
    if len({tree for tree, _ in roots}) != len(roots):
        raise ProgramError("the nodes of its trees are not kept together")
    ends: dict[int, list[tuple[int, int]]] = {}
    for key, mode in zip(keys, modes, strict=True):
        if mode == "LEAF":
            ends.setdefault(key[0], []).append(key)
    certain = {
        value
        for value in range(values)
        if any(all(value in leaves.get(key, {}) for key in tree) for tree in ends.values())
    }
    forest = grow(roots, look_up, values)
    return SourceForest(forest, weights, frozenset(targets), frozenset(certain))


def ensemble5(node: SourceNode, values: int) -> Forest:
    """The trees of a TreeEnsemble, whose branches lead to nodes or to leaves of their own table."""
    modes = np.asarray(node.get("nodes_modes")).tolist()
    thresholds = _tensor(node, "nodes_splits")
    weights, targets = _tensor(node, "leaf_weights"), _ints(node, "leaf_targetids")
    features = _ints(node, "nodes_featureids")
    missing = _ints(node, "nodes_missing_value_tracks_true") or [0] * len(modes)
    sides = {
        side: (_ints(node, f"nodes_{side}nodeids"), _ints(node, f"nodes_{side}leafs"))
        for side in ("true", "false")
    }

    def look_up(key: tuple[bool, int]) -> Branch | Leaf:
        is_leaf, place = key
        if is_leaf:
            _check_target(targets[place], values)
            return _leaf({targets[place]: weights[place]}, values)
        if modes[place] >= len(_MODE_NUMBERS):
            raise ProgramError("BRANCH_MEMBER has no rule", hint="compare with BRANCH_EQ")
        following = {
            side: (bool(leafs[place]), numbers[place]) for side, (numbers, leafs) in sides.items()
        }
        return Branch(
            _MODE_NUMBERS[modes[place]],
            features[place],
            thresholds[place],
            following["true"],
            following["false"],
            missing[place] == 1,
        )

    try:
        return grow([(False, root) for root in _ints(node, "tree_roots")], look_up, values)
    except IndexError as error:
        raise ProgramError("a node or leaf is out of its table") from error


def base_values(node: SourceNode) -> list[np.float32]:
    return list(_floats(node, "base_values"))


def _leaf(weights: Mapping[int, np.float32], values: int) -> Leaf:
    return Leaf(tuple(weights.get(value, np.float32(0)) for value in range(values)))


def _check_target(target: int, values: int) -> None:
    if not 0 <= target < values:
        raise ProgramError(f"a leaf is for the target {target} of {values}")


def _ints(node: SourceNode, name: str) -> list[int]:
    return [int(number) for number in node.get(name, ())]


def _floats(node: SourceNode, name: str) -> NDArray[np.float32]:
    if node.get(f"{name}_as_tensor") is not None:
        return _tensor(node, f"{name}_as_tensor")
    return np.array(node.get(name, ()), dtype=np.float32)


def _tensor(node: SourceNode, name: str) -> NDArray[np.float32]:
    found = np.asarray(node.get(name)).reshape(-1)
    if found.dtype != np.float32:
        raise ProgramError(f"{name} is {found.dtype}", hint="export the trees in float32")
    return found
