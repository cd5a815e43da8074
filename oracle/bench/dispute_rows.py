"""Lies of known size: programs of one instruction, each with a trace that the court convicts.

Everything is drawn from one seed: the same bytes on every machine, and so the same gas. Outputs are
drawn as well, so that every element is wrong. Knows no chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.commitment import commit
from oracle.court.proof import ElementProof
from oracle.court.proving import Prover
from oracle.court.verdict import Outcome
from oracle.program.encoding import encode
from oracle.program.instruction import (
    Access,
    Guard,
    Instruction,
    Program,
    Space,
    TensorInfo,
    Trace,
)
from oracle.program.leaf_size import LARGE_LEAF_BYTES, SMALL_LEAF_BYTES
from oracle.program.opcode import Opcode

SEED: Final = 2026

_WIDTHS: Final = {64: 150_000, 512: 400_000, 4_608: 2_300_000, 8_192: None}
"""Taps of a dense row, and the gas that judging one element may cost."""
_ELEMENTARY_GAS: Final = 150_000
_TREE_GAS: Final = 250_000

_OUTPUTS: Final = 16
_JUDGED: Final = 7
_SIDE, _CHANNELS, _KERNEL = 14, 512, 3
_TREES, _DEPTH, _FEATURES, _NODE_WORDS = 150, 6, 30, 8
_LESS_OR_EQUAL: Final = 1

Values = NDArray[Any]


@dataclass(frozen=True)
class Lie:
    """One wrong element of a committed trace. `target` is the gas that judging it may cost."""

    name: str
    prover: Prover
    proof: ElementProof
    target: int | None


def lies() -> Iterator[Lie]:
    """All of them, one at a time: the large ones take some megabytes."""
    for width, target in _WIDTHS.items():
        yield _dense(width, target)
    yield _convolution()
    yield _tree()
    for opcode in (Opcode.EXP, Opcode.ERF):
        yield _elementary(opcode)


def _dense(width: int, target: int | None) -> Lie:
    """One element of a dense layer: a row of `width` inputs by a row of as many weights."""
    source = np.random.default_rng([SEED, width])
    step = Instruction(
        Opcode.DOT,
        1,
        (_OUTPUTS,),
        (width,),
        (Access(Space.TRACE, 0, 0, (0, 1)), Access(Space.CONSTANT, 0, 0, (width, 1))),
    )
    weights = _normal(source, _OUTPUTS * width)
    return _lie(f"DOT {width:,}", step, _normal(source, width), [weights], source, _JUDGED, target)


def _convolution() -> Lie:
    """The same number of terms as a 3 x 3 window of a large image, at leaves of 4 KiB."""
    source = np.random.default_rng([SEED, 3])
    side, channels, kernel = _SIDE, _CHANNELS, _KERNEL
    taps = kernel * kernel * channels
    line = side * channels
    image = Access(
        Space.TRACE,
        0,
        -line - channels,
        (line, channels, 0, line, channels, 1),
        (
            Guard(-1, (1, 0, 0, 1, 0, 0), side),
            Guard(-1, (0, 1, 0, 0, 1, 0), side),
        ),
    )
    weights = Access(Space.CONSTANT, 0, 0, (0, 0, taps, kernel * channels, channels, 1))
    domain, reduction = (side, side, _OUTPUTS), (kernel, kernel, channels)
    step = Instruction(Opcode.DOT, 1, domain, reduction, (image, weights))
    middle = (side // 2 * side + side // 2) * _OUTPUTS + _JUDGED
    return _lie(
        f"DOT {taps:,}, 3x3x512 window",
        step,
        _normal(source, side * line),
        [_normal(source, _OUTPUTS * taps)],
        source,
        middle,
        _WIDTHS[taps],
        LARGE_LEAF_BYTES,
    )


def _tree() -> Lie:
    """One path of a forest, all to the second branch: the one that lies in the most leaves."""
    source = np.random.default_rng([SEED, 6])
    nodes = 2 ** (_DEPTH + 1) - 1
    table = np.concatenate([_nodes(source, tree * nodes, tree) for tree in range(_TREES)])
    values = _normal(source, _TREES * 2**_DEPTH)
    roots = np.arange(_TREES, dtype=np.int32) * nodes
    step = Instruction(
        Opcode.TREE,
        1,
        (_TREES, 1),
        (),
        (
            Access(Space.TRACE, 0, 0, (0, 0)),
            Access(Space.CONSTANT, 0, 0, (0, 0)),
            Access(Space.CONSTANT, 1, 0, (0, 0)),
            Access(Space.CONSTANT, 2, 0, (1, 0)),
        ),
        (1, 1),
    )
    # Thresholds are below 0, so that no feature of at least 0 is.
    features = np.abs(_normal(source, _FEATURES))
    constants = [table.reshape(-1), values, roots]
    name = f"TREE of {_TREES}, depth {_DEPTH}"
    return _lie(name, step, features, constants, source, _TREES // 2, _TREE_GAS)


def _nodes(source: np.random.Generator, first: int, tree: int) -> Values:
    """A complete tree as the compiler numbers it: depth first, "holds" before "fails"."""
    table = np.zeros((2 ** (_DEPTH + 1) - 1, _NODE_WORDS), np.int32)
    leaf = tree * 2**_DEPTH
    stack = [(0, _DEPTH)]
    while stack:
        node, height = stack.pop()
        if height == 0:
            table[node, 1] = leaf
            leaf += 1
            continue
        threshold = int((-np.abs(_normal(source, 1))).view(np.int32)[0])
        second = node + 2**height
        feature = int(source.integers(_FEATURES))
        table[node, :6] = (
            _LESS_OR_EQUAL, feature, threshold, first + node + 1, first + second, 0,
        )  # fmt: skip
        stack += [(second, height - 1), (node + 1, height - 1)]
    return table


def _elementary(opcode: Opcode) -> Lie:
    source = np.random.default_rng([SEED, opcode])
    step = Instruction(opcode, 1, (64,), (), (Access(Space.TRACE, 0, 0, (1,)),))
    return _lie(opcode.name, step, _normal(source, 64), [], source, _JUDGED, _ELEMENTARY_GAS)


def _lie(
    name: str,
    step: Instruction,
    given: Values,
    constants: list[Values],
    source: np.random.Generator,
    position: int,
    target: int | None,
    leaf_bytes: int = SMALL_LEAF_BYTES,
) -> Lie:
    claimed = _normal(source, step.size)
    program = Program(
        tier=Tier.ROUNDED,
        leaf_bytes=leaf_bytes,
        source_sha256=bytes(32),
        tensors=(_info("given", given), _info("claimed", claimed)),
        constants=tuple(_info(f"constant {n}", one) for n, one in enumerate(constants)),
        constant_values=tuple(constants),
        instructions=(step,),
        inputs=(0,),
        outputs=(1,),
    )
    encoded, trace = encode(program), Trace(((given, claimed),))
    prover = Prover(program, encoded, trace, commit(program, encoded.root, trace))
    assert prover.verdict(0, 0, position).outcome is Outcome.VIOLATED
    return Lie(name, prover, prover.element(0, 0, position), target)


def _info(name: str, values: Values) -> TensorInfo:
    return TensorInfo(name, ElementType(values.dtype.name), (values.size,), (0,))


def _normal(source: np.random.Generator, count: int) -> Values:
    return source.standard_normal(count, dtype=np.float32)
