"""Cases whose operands are tables: decision trees and quantised operations."""

from __future__ import annotations

import numpy as np

from oracle.core.types import Tier
from oracle.program.opcode import Opcode
from tests.court_check.programs import (
    ROWS,
    Array,
    Builder,
    const,
    floats,
    guard,
    integers,
    rows_of,
    trace,
)


def forest(rng: np.random.Generator, trees: int, depth: int, features: int) -> tuple[Array, Array]:
    """A node table of complete trees and their roots."""
    count = 2 ** (depth + 1) - 1
    table = np.zeros((trees * count, 8), dtype=np.int32)
    for tree in range(trees):
        base = tree * count
        for node in range(count):
            word = table[base + node]
            if node >= count // 2:
                word[1] = tree * (count // 2 + 1) + node - count // 2
                continue
            threshold = np.float32(rng.choice([rng.standard_normal(), 0.5, 0.0, -1.0]))
            word[0] = rng.integers(1, 7)
            word[1] = rng.integers(0, features)
            word[2] = threshold.view(np.int32)
            word[3], word[4] = base + 2 * node + 1, base + 2 * node + 2
            word[5] = rng.integers(0, 2)
    return table, (np.arange(trees) * count).astype(np.int32)


def tree(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    x = made.input(*rows_of(rng, (2, 6), kind))
    nodes, roots = forest(rng, 5, 3, 6)
    broken = nodes.copy()
    broken[1:6:2, 3] = rng.integers(-2, 80, 3)
    leaves = made.constant(floats(rng, 40 * 3, "normal"))
    root = made.constant(roots)
    for words in (nodes, broken):
        table = made.constant(words)
        operands = [
            trace(x, (0, 0), 6),
            const(table, (0, 0)),
            const(leaves, (0, 0)),
            const(root, (1, 0)),
        ]
        made.step(Opcode.TREE, (5, 3), (), operands, attributes=(1, 3))
    return made


def quantize(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    a = made.input(*rows_of(rng, (6, 8), kind))
    scale = made.constant(np.array([0.5, 0.1, 1e-3, 2.0, 1e-38, 0.25, -1.0, 3.0], np.float32))
    for dtype in (np.int8, np.uint8, np.int16, np.uint16):
        zero = made.constant(integers(rng, 8, dtype))
        made.step(
            Opcode.QUANTIZE,
            (6, 8),
            (),
            [trace(a, (8, 1)), const(scale, (0, 1)), const(zero, (0, 1))],
            dtype,
        )
    return made


def dequantize(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    scale = made.constant(np.abs(floats(rng, 8, kind)))
    for dtype in (np.int8, np.uint8, np.int32, np.uint16):
        a = made.input(*(integers(rng, 48, dtype) for _ in range(ROWS)))
        zero = made.constant(integers(rng, 8, dtype))
        made.step(
            Opcode.DEQUANTIZE,
            (6, 8),
            (),
            [trace(a, (8, 1)), const(scale, (0, 1)), const(zero, (0, 1))],
        )
    return made


def integer_dot(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    """uint8 [4, 9] x int8 [5, 9], a zero point per column and padding; then requantised."""
    made = Builder(tier)
    a = made.input(*(integers(rng, 36, np.uint8) for _ in range(ROWS)))
    b = made.constant(integers(rng, 45, np.int8))
    zero_a = made.constant(np.array([128], np.uint8))
    zero_b = made.constant(integers(rng, 5, np.int8))
    bias = made.constant(integers(rng, 5, np.int32))
    small = made.constant(rng.integers(-500, 500, 5).astype(np.int32))
    scales = made.constant(np.array([0.02, 0.5, 1.0, 3.0, 0.1, 1e-38, 0.25], np.float32))
    zero_y = made.constant(np.array([7], np.int8))
    padded = trace(a, (9, 0, 1), 0, (guard((0, 0, 1), 9, 0), guard((1, 0, 1), 10, 0)))
    once = (0, 0, 0)
    for access in (trace(a, (9, 0, 1)), padded):
        pair = [access, const(b, (0, 9, 1)), const(zero_a, once), const(zero_b, (0, 1, 0))]
        made.step(Opcode.INTEGER_DOT, (4, 5), (9,), pair, np.int32)
        scale = [const(scales, once, 0), const(scales, (0, 1, 0)), const(scales, once, 3)]
        rest = [*scale, const(zero_y, once)]
        made.step(Opcode.QUANTIZED_DOT, (4, 5), (9,), [*pair, *rest], np.int8)
        for added in (bias, small):
            extra = const(added, (0, 1, 0))
            made.step(Opcode.QUANTIZED_DOT, (4, 5), (9,), [*pair, *rest, extra], np.int8)
        ties = [const(scales, once, 2), const(scales, once, 1), const(scales, once, 2)]
        tied = [*pair, *ties, const(zero_y, once), const(small, (0, 1, 0))]
        made.step(Opcode.QUANTIZED_DOT, (4, 5), (9,), tied, np.int8)
    return made
