"""Activation functions, said in arithmetic, selections and the six elementary functions.

Exponentials are taken of what cannot overflow, so that no unselected branch becomes infinite.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.elementwise import choose, emit_wide, scalar
from oracle.program.normalise.rule import SourceNode, rewrites

_SELU_ALPHA = 1.67326319217681884765625
_SELU_GAMMA = 1.05070102214813232421875


@rewrites("Relu")
def relu(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    return emit_wide(builder, "Max", x, scalar(builder, 0, x))


@rewrites("Clip")
def clip(builder: Builder, node: SourceNode) -> Value:
    """The bounds are inputs since opset 11. A lower bound above the upper one gives the upper."""
    x = node.input(0)
    low, high = node.optional(1), node.optional(2)
    if node.version < 11:
        low, high = (_bound(builder, x, node.get(name)) for name in ("min", "max"))
    if low is not None:
        x = emit_wide(builder, "Max", x, low)
    return x if high is None else emit_wide(builder, "Min", x, high)


def _bound(builder: Builder, x: Value, given: Any) -> Value | None:
    if given is None or abs(given) >= float(np.finfo(np.float32).max):
        return None
    return scalar(builder, given, x)


@rewrites("LeakyRelu")
def leaky_relu(builder: Builder, node: SourceNode) -> Value:
    x, alpha = node.input(0), node.get("alpha", 0.01)
    sloped = builder.emit("Mul", x, scalar(builder, alpha, x))
    if 0 <= alpha <= 1:
        return builder.emit("Max", x, sloped)
    return _where_negative(builder, x, sloped, x)


@rewrites("PRelu")
def parametric_relu(builder: Builder, node: SourceNode) -> Value:
    x, slope = node.input(0), node.input(1)
    if node.version < 7 and slope.rank == 1 and x.rank > 1:
        column = np.array([-1, *[1] * (x.rank - 2)], dtype=np.int64)
        slope = builder.emit("Reshape", slope, builder.constant(column))
    return _where_negative(builder, x, builder.emit("Mul", x, slope), x)


@rewrites("Elu")
def elu(builder: Builder, node: SourceNode) -> Value:
    x, alpha = node.input(0), node.get("alpha", 1.0)
    return _add_positive(builder, x, _scaled_exponential(builder, x, alpha, 1.0))


@rewrites("Celu")
def celu(builder: Builder, node: SourceNode) -> Value:
    x, alpha = node.input(0), node.get("alpha", 1.0)
    if alpha <= 0:
        raise ProgramError(f"Celu with alpha {alpha} has no rule", hint="use a positive alpha")
    return _add_positive(builder, x, _scaled_exponential(builder, x, alpha, 1.0 / alpha))


@rewrites("Selu")
def selu(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    alpha, gamma = node.get("alpha", _SELU_ALPHA), node.get("gamma", _SELU_GAMMA)
    total = _add_positive(builder, x, _scaled_exponential(builder, x, alpha, 1.0))
    return builder.emit("Mul", total, scalar(builder, gamma, x))


def _scaled_exponential(builder: Builder, x: Value, alpha: float, rate: float) -> Value:
    """`alpha·(exp(rate·min(x, 0)) - 1)`: 0 for all positive x."""
    negative = builder.emit("Min", x, scalar(builder, 0, x))
    if rate != 1:
        negative = builder.emit("Mul", negative, scalar(builder, rate, x))
    less_one = builder.emit("Sub", builder.emit("Exp", negative), scalar(builder, 1, x))
    return less_one if alpha == 1 else builder.emit("Mul", less_one, scalar(builder, alpha, x))


def _add_positive(builder: Builder, x: Value, rest: Value) -> Value:
    return builder.emit("Add", builder.emit("Max", x, scalar(builder, 0, x)), rest)


@rewrites("HardSigmoid")
def hard_sigmoid(builder: Builder, node: SourceNode) -> Value:
    return _hard_sigmoid(builder, node.input(0), node.get("alpha", 0.2), node.get("beta", 0.5))


@rewrites("HardSwish")
def hard_swish(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    return builder.emit("Mul", x, _hard_sigmoid(builder, x, 1 / 6, 0.5))


def _hard_sigmoid(builder: Builder, x: Value, alpha: float, beta: float) -> Value:
    line = builder.emit("Mul", x, scalar(builder, alpha, x))
    line = builder.emit("Add", line, scalar(builder, beta, x))
    return builder.emit(
        "Min", builder.emit("Max", line, scalar(builder, 0, x)), scalar(builder, 1, x)
    )


@rewrites("ThresholdedRelu")
def thresholded_relu(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    above = builder.emit("Less", scalar(builder, node.get("alpha", 1.0), x), x)
    return choose(builder, above, x, scalar(builder, 0, x))


@rewrites("Shrink")
def shrink(builder: Builder, node: SourceNode) -> Value:
    x, bias, edge = node.input(0), node.get("bias", 0.0), node.get("lambd", 0.5)
    if not x.element.is_float:
        raise ProgramError("Shrink of integers has no rule", hint="cast to float32 first")
    low = builder.emit("Less", x, scalar(builder, -edge, x))
    high = builder.emit("Less", scalar(builder, edge, x), x)
    down = builder.emit("Sub", x, scalar(builder, bias, x))
    up = builder.emit("Add", x, scalar(builder, bias, x))
    return choose(builder, low, up, choose(builder, high, down, scalar(builder, 0, x)))


@rewrites("Softsign")
def softsign(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    return builder.emit(
        "Div", x, builder.emit("Add", builder.emit("Abs", x), scalar(builder, 1, x))
    )


@rewrites("Mish")
def mish(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    return builder.emit("Mul", x, builder.emit("Tanh", builder.emit("Softplus", x)))


@rewrites("Swish", "com.microsoft.QuickGelu")
def swish(builder: Builder, node: SourceNode) -> Value:
    x, alpha = node.input(0), node.get("alpha", 1.0 if node.operator == "Swish" else 1.702)
    inner = x if alpha == 1 else builder.emit("Mul", x, scalar(builder, alpha, x))
    return builder.emit("Mul", x, builder.emit("Sigmoid", inner))


@rewrites("Gelu", "com.microsoft.Gelu", "com.microsoft.BiasGelu")
def gelu(builder: Builder, node: SourceNode) -> Value:
    x = _biased(builder, node)
    approximate = node.get("approximate", "none")
    if approximate in ("tanh", b"tanh"):
        return _tanh_gelu(builder, x)
    turned = builder.emit("Erf", builder.emit("Mul", x, scalar(builder, math.sqrt(0.5), x)))
    return _halved(builder, x, turned)


@rewrites("com.microsoft.FastGelu")
def fast_gelu(builder: Builder, node: SourceNode) -> Value:
    return _tanh_gelu(builder, _biased(builder, node))


def _biased(builder: Builder, node: SourceNode) -> Value:
    x, bias = node.input(0), node.optional(1)
    return x if bias is None else builder.emit("Add", x, bias)


def _tanh_gelu(builder: Builder, x: Value) -> Value:
    """`x/2·(1 + tanh(√(2/π)·x·(1 + 0.044715·x²)))`."""
    square = builder.emit("Mul", x, x)
    root = math.sqrt(2 / math.pi)
    inner = builder.emit("Mul", square, scalar(builder, root * 0.044715, x))
    inner = builder.emit("Add", inner, scalar(builder, root, x))
    return _halved(builder, x, builder.emit("Tanh", builder.emit("Mul", x, inner)))


def _halved(builder: Builder, x: Value, turned: Value) -> Value:
    """`x/2·(1 + turned)`; halving is exact, so its place does not matter."""
    half = builder.emit("Mul", x, scalar(builder, 0.5, x))
    return builder.emit("Mul", half, builder.emit("Add", turned, scalar(builder, 1, x)))


def _where_negative(builder: Builder, x: Value, negative: Value, other: Value) -> Value:
    return choose(builder, builder.emit("Less", x, scalar(builder, 0, x)), negative, other)
