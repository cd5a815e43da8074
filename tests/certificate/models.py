"""Small networks written as programs: what the certificate and its attacks are tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.program.instruction import Program
from oracle.program.opcode import Opcode
from tests.certificate.building import Builder, honest

Inputs = Callable[[np.random.Generator], tuple[Any, ...]]


def _normal(*shape: int, scale: float = 1.0) -> Inputs:
    return lambda random: (random.normal(size=shape).astype(np.float32) * np.float32(scale),)


def _weights(random: np.random.Generator, *shape: int) -> Any:
    return random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))


def linear(tier: Tier = Tier.NATIVE) -> tuple[Program, Inputs]:
    random = np.random.default_rng(11)
    builder = Builder(tier)
    x = builder.input(64)
    made = builder.dense(x, _weights(random, 4, 64), random.normal(size=4))
    return builder.program(made), _normal(64)


def mlp(tier: Tier = Tier.NATIVE) -> tuple[Program, Inputs]:
    random = np.random.default_rng(12)
    builder = Builder(tier)
    hidden = builder.input(32)
    for width, fan in ((48, 32), (24, 48)):
        weights = _weights(random, width, fan) * 1.4
        hidden = builder.dense(hidden, weights, random.normal(size=width) / 4)
        hidden = builder.relu(hidden)
    return builder.program(builder.dense(hidden, _weights(random, 5, 24))), _normal(32)


def convolution(tier: Tier = Tier.NATIVE) -> tuple[Program, Inputs]:
    random = np.random.default_rng(13)
    builder = Builder(tier)
    image = builder.input(2, 8, 8)
    first = builder.relu(builder.convolve(image, _weights(random, 6, 2, 3, 3) * 1.4))
    second = builder.convolve(builder.pool(first), _weights(random, 6, 6, 3, 3))
    added = builder.relu(builder.pointwise(Opcode.ADD, second, builder.pool(first)))
    flat = builder.flatten(added)
    return builder.program(builder.dense(flat, _weights(random, 3, 96))), _normal(2, 8, 8)


def softmax(tier: Tier = Tier.NATIVE) -> tuple[Program, Inputs]:
    random = np.random.default_rng(14)
    builder = Builder(tier)
    scores = builder.dense(builder.input(2, 24), _weights(random, 6, 24) * 2)
    shifted = builder.pointwise(Opcode.SUB, scores, builder.reduce(Opcode.REDUCE_MAX, scores))
    powers = builder.pointwise(Opcode.EXP, shifted)
    made = builder.pointwise(Opcode.DIV, powers, builder.reduce(Opcode.SUM, powers))
    return builder.program(made), _normal(2, 24)


def layer_norm(tier: Tier = Tier.NATIVE) -> tuple[Program, Inputs]:
    random = np.random.default_rng(15)
    builder = Builder(tier)
    hidden = builder.dense(builder.input(3, 16), _weights(random, 16, 16))
    centred = builder.pointwise(Opcode.SUB, hidden, builder.reduce(Opcode.MEAN, hidden, (0,)))
    square = builder.pointwise(Opcode.MUL, centred, centred)
    variance = builder.reduce(Opcode.MEAN, square, (0,))
    padded = builder.pointwise(Opcode.ADD, variance, builder.constant(np.float32(1e-5)))
    root = builder.pointwise(Opcode.SQRT, padded)
    normal = builder.pointwise(Opcode.DIV, centred, root)
    gelu = builder.pointwise(Opcode.MUL, normal, builder.pointwise(Opcode.ERF, normal))
    return builder.program(builder.dense(gelu, _weights(random, 4, 16))), _normal(3, 16)


def attention(tier: Tier = Tier.NATIVE) -> tuple[Program, Inputs]:
    random = np.random.default_rng(16)
    builder = Builder(tier)
    x = builder.input(4, 8)
    query, key, value = (builder.dense(x, _weights(random, 8, 8)) for _ in range(3))
    pair = [builder.access(query, (8, 0, 1)), builder.access(key, (0, 8, 1))]
    scores = builder.step(Opcode.DOT, (4, 4), pair, (8,))
    powers = builder.pointwise(Opcode.EXP, scores)
    weights = builder.pointwise(Opcode.DIV, powers, builder.reduce(Opcode.SUM, powers))
    pair = [builder.access(weights, (4, 0, 1)), builder.access(value, (0, 1, 8))]
    mixed = builder.step(Opcode.DOT, (4, 8), pair, (4,))
    return builder.program(builder.dense(mixed, _weights(random, 2, 8))), _normal(4, 8)


MODELS: Mapping[str, Callable[..., tuple[Program, Inputs]]] = {
    "linear": linear,
    "mlp": mlp,
    "convolution": convolution,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "attention": attention,
}


def deep(tier: Tier = Tier.NATIVE) -> tuple[Program, Inputs]:
    random = np.random.default_rng(17)
    builder = Builder(tier)
    hidden = builder.input(96)
    for _ in range(6):
        hidden = builder.relu(builder.dense(hidden, _weights(random, 96, 96) * 1.4))
    return builder.program(builder.dense(hidden, _weights(random, 3, 96))), _normal(96)


def at_a_kink() -> tuple[Program, tuple[Any, ...]]:
    """relu(x·w) with x·w a little below zero."""
    builder = Builder()
    x = builder.input(16)
    sums = builder.dense(x, np.ones((1, 16)))
    program = builder.program(builder.relu(sums))
    values = np.linspace(-1, 1, 16).astype(np.float32)
    values -= np.float32(values.astype(np.float64).sum() / 16)
    values[0] -= np.float32(1e-7)
    return program, honest(program, values)


def at_a_step() -> tuple[Program, tuple[tuple[Any, ...], ...]]:
    """round(x·w) just below a tie, and away from one."""
    builder = Builder()
    sums = builder.dense(builder.input(4), np.ones((1, 4)))
    program = builder.program(builder.pointwise(Opcode.ROUND, sums))
    near = np.array([1.0, 1.0, 0.25, 0.2499999], dtype=np.float32)
    far = np.array([1.0, 1.0, 0.25, 0.0], dtype=np.float32)
    return program, (honest(program, near), honest(program, far))


def at_a_pole() -> tuple[Program, tuple[Any, ...]]:
    """1 / (x·w) with x·w nearly zero among large terms."""
    builder = Builder()
    sums = builder.dense(builder.input(3), np.ones((1, 3)))
    made = builder.pointwise(Opcode.DIV, builder.constant(np.float32(1)), sums)
    program = builder.program(made)
    return program, honest(program, np.array([1e6, -1e6, 1e-3], dtype=np.float32))


def at_a_tie() -> tuple[Program, tuple[Any, ...]]:
    """1 + 2^-24 in the ROUNDED tier."""
    builder = Builder(Tier.ROUNDED)
    program = builder.program(builder.dense(builder.input(2), np.ones((1, 2))))
    return program, honest(program, np.array([1.0, 2.0**-24], dtype=np.float32))


def quantised() -> tuple[Program, Inputs]:
    """QUANTIZE, INTEGER_DOT, CAST to float and MUL: a dynamically scaled linear layer."""
    random = np.random.default_rng(18)
    builder = Builder(Tier.EXACT)
    x = builder.input(8)
    scale = builder.constant(np.float32(0.05))
    zero = builder.constant(np.int8(0))
    levels = builder.pointwise(Opcode.QUANTIZE, x, scale, zero, element=ElementType.INT8)
    weights = builder.constant(random.integers(-60, 60, size=(3, 8)).astype(np.int8))
    operands = [
        builder.access(levels, (0, 1)),
        builder.access(weights, (8, 1)),
        builder.access(zero, (0, 0)),
        builder.access(zero, (0, 0)),
    ]
    sums = builder.step(Opcode.INTEGER_DOT, (3,), operands, (8,), element=ElementType.INT32)
    floats = builder.pointwise(Opcode.CAST, sums)
    return builder.program(builder.pointwise(Opcode.MUL, floats, scale)), _normal(8)


def tree() -> tuple[Program, tuple[Any, ...]]:
    """One tree of two levels on a feature that is a NATIVE sum just above its threshold."""
    builder = Builder()
    sums = builder.dense(builder.input(4), np.ones((1, 4)))
    threshold = int(np.float32(2.5).view(np.int32))
    nodes = builder.constant(
        np.array(
            [
                [1, 0, threshold, 1, 2, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 0],
                [1, 0, int(np.float32(9).view(np.int32)), 3, 4, 0, 0, 0],
                [0, 1, 0, 0, 0, 0, 0, 0],
                [0, 2, 0, 0, 0, 0, 0, 0],
            ],
            dtype=np.int32,
        )
    )
    leaves = builder.constant(np.array([1.0, 4.0, 100.0], dtype=np.float32))
    root = builder.constant(np.array([0], dtype=np.int32))
    operands = [
        builder.access(sums, (0, 0)),
        builder.access(nodes, (0, 0)),
        builder.access(leaves, (0, 0)),
        builder.access(root, (1, 0)),
    ]
    made = builder.step(Opcode.TREE, (1, 1), operands, attributes=(1, 1))
    program = builder.program(made)
    return program, honest(program, np.array([1.0, 1.0, 0.25, 0.2500002], dtype=np.float32))


def labels() -> tuple[Program, tuple[tuple[Any, ...], ...]]:
    """Scores and their ARGMAX, of inputs that lead to a near tie and to a clear winner."""
    builder = Builder()
    weights = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0000001], [0.0, 0.0, 0.1]])
    scores = builder.dense(builder.input(3), weights)
    access = builder.access(scores, (0, 1))
    label = builder.step(
        Opcode.ARGMAX, (1,), [access], (3,), attributes=(0,), element=ElementType.INT64
    )
    program = builder.program(scores, label)
    near = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    clear = np.array([-1.0, -2.0, -3.0], dtype=np.float32)
    return program, (honest(program, near), honest(program, clear))
