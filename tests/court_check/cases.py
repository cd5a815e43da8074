"""One small program for each opcode (and some for guards), filled with data of a kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oracle.core.types import Tier
from oracle.program.opcode import Opcode
from tests.court_check.cases_tables import dequantize, integer_dot, quantize, tree
from tests.court_check.programs import (
    ROWS,
    Builder,
    const,
    floats,
    guard,
    integers,
    rows_of,
    trace,
)

Make = Callable[[np.random.Generator, str, Tier], Builder]


def matmul(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    """[4, 19] x constant [5, 19] transposed, with a bias per column."""
    made = Builder(tier)
    a = made.input(*rows_of(rng, (4, 19), kind))
    b = made.constant(floats(rng, 95, kind).reshape(5, 19))
    c = made.constant(floats(rng, 5, kind))
    made.step(
        Opcode.DOT,
        (4, 5),
        (19,),
        [trace(a, (19, 0, 1)), const(b, (0, 19, 1)), const(c, (0, 1, 0))],
    )
    return made


def batched(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    """Both operands from the trace: [2, 3, 7] x [2, 7, 4]."""
    made = Builder(tier)
    a = made.input(*rows_of(rng, (2, 3, 7), kind))
    b = made.input(*rows_of(rng, (2, 7, 4), kind))
    made.step(Opcode.DOT, (2, 3, 4), (7,), [trace(a, (21, 7, 0, 1)), trace(b, (28, 0, 1, 4))])
    return made


def convolution(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    """Two groups of two channels, 3x3, stride 2, padding 1, over 5x6, channels last."""
    made = Builder(tier)
    a = made.input(*rows_of(rng, (5, 6, 4), kind))
    w = made.constant(floats(rng, 2 * 3 * 18, kind).reshape(2, 3, 3, 3, 2))
    # domain (y, x, group, filter), reduction (ky, kx, channel)
    guards = (
        guard((2, 0, 0, 0, 1, 0, 0), 5, -1),
        guard((0, 2, 0, 0, 0, 1, 0), 6, -1),
    )
    access = trace(a, (48, 8, 2, 0, 24, 4, 1), -28, guards)
    weights = const(w, (0, 0, 54, 18, 6, 2, 1))
    made.step(Opcode.DOT, (3, 3, 2, 3), (3, 3, 2), [access, weights])
    return made


def total(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    a = made.input(*rows_of(rng, (6, 2, 5), kind))
    made.step(Opcode.SUM, (2, 6), (5,), [trace(a, (5, 10, 1))])
    made.step(Opcode.SUM, (6,), (2,), [trace(a, (10, 1))])
    return made


def mean(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    """A padded average pool that counts its taps, and one that divides by all."""
    made = Builder(tier)
    a = made.input(*rows_of(rng, (7,), kind))
    access = trace(a, (2, 1), -1, (guard((2, 1), 7, -1),))
    for divisor in (0, 3):
        made.step(Opcode.MEAN, (5,), (3,), [access], attributes=(divisor,))
    return made


def integer_total(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    for dtype in (np.int8, np.uint8, np.int32, np.int64):
        a = made.input(*(integers(rng, 20, dtype) for _ in range(ROWS)))
        made.step(Opcode.SUM, (4,), (5,), [trace(a, (5, 1))], dtype)
    return made


def binary(opcode: Opcode) -> Make:
    def make(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
        made = Builder(tier)
        a = made.input(*rows_of(rng, (6, 8), kind))
        b = made.input(*rows_of(rng, (8,), kind))
        compared = opcode in (Opcode.LESS, Opcode.LESS_EQUAL, Opcode.EQUAL)
        dtype = np.bool_ if compared else np.float32
        made.step(opcode, (6, 8), (), [trace(a, (8, 1)), trace(b, (0, 1))], dtype)
        made.step(opcode, (6, 8), (), [trace(a, (8, 1)), trace(a, (8, 1))], dtype)
        for number in (np.int8, np.int32, np.int64, np.uint8):
            c = made.input(*(integers(rng, 16, number) for _ in range(ROWS)))
            d = made.input(*(integers(rng, 16, number) for _ in range(ROWS)))
            made.step(
                opcode,
                (16,),
                (),
                [trace(c, (1,)), trace(d, (1,))],
                np.bool_ if compared else number,
            )
        return made

    return make


def unary(opcode: Opcode) -> Make:
    def make(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
        made = Builder(tier)
        a = made.input(*rows_of(rng, (6, 8), kind))
        made.step(opcode, (6, 8), (), [trace(a, (8, 1))])
        if opcode in (Opcode.NEG, Opcode.ABS, Opcode.SIGN):
            for dtype in (np.int8, np.int64, np.uint8):
                c = made.input(*(integers(rng, 16, dtype) for _ in range(ROWS)))
                made.step(opcode, (16,), (), [trace(c, (1,))], dtype)
        return made

    return make


def logic(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    a, b = (made.input(*(rng.random(12) < 0.5 for _ in range(ROWS))) for _ in range(2))
    pair = [trace(a, (1,)), trace(b, (1,))]
    for opcode in (Opcode.AND, Opcode.OR, Opcode.XOR, Opcode.EQUAL):
        made.step(opcode, (12,), (), pair, np.bool_)
    made.step(Opcode.NOT, (12,), (), pair[:1], np.bool_)
    return made


def where(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    a = made.input(*(rng.random(12) < 0.5 for _ in range(ROWS)))
    b, c = (made.input(*rows_of(rng, (12,), kind)) for _ in range(2))
    made.step(Opcode.WHERE, (12,), (), [trace(a, (1,)), trace(b, (1,)), trace(c, (1,))])
    return made


def cast(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    a = made.input(*rows_of(rng, (16,), kind))
    wide = made.input(*(integers(rng, 16, np.int64) for _ in range(ROWS)))
    flag = made.input(*(rng.random(16) < 0.5 for _ in range(ROWS)))
    double = made.input(*(row.astype(np.float64) * 1.1 for row in rows_of(rng, (16,), kind)))
    for source in (a, wide, flag, double):
        for dtype in (np.float32, np.int64, np.uint8, np.bool_, np.int32, np.uint64):
            made.step(Opcode.CAST, (16,), (), [trace(source, (1,))], dtype)
    made.step(Opcode.CAST, (16,), (), [trace(a, (1,))], np.float64)
    return made


def copy(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    """A transposition, a concatenation of [2, 3] and [2, 4], and a padding with -1."""
    made = Builder(tier)
    a = made.input(*rows_of(rng, (2, 3), kind))
    b = made.input(*rows_of(rng, (2, 4), kind))
    made.step(Opcode.COPY, (3, 2), (), [trace(a, (1, 3))])
    first = trace(a, (3, 1), 0, (guard((0, 1), 3),))
    second = trace(b, (4, 1), -3, (guard((0, 1), 4, -3),))
    made.step(Opcode.COPY, (2, 7), (), [first, second])
    padded = trace(a, (3, 1), -4, (guard((1, 0), 2, -1), guard((0, 1), 3, -1)))
    made.step(Opcode.COPY, (4, 5), (), [padded], attributes=(0xBF800000,))
    made.step(Opcode.COPY, (4, 5), (), [padded])
    flipped = trace(a, (3, -1), 3, (guard((0, -1), 3, 3),))
    made.step(Opcode.COPY, (2, 5), (), [flipped], attributes=(0x7FC00000,))
    return made


def extreme(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    a = made.input(*rows_of(rng, (7, 3), kind))
    c = made.input(*(integers(rng, 21, np.int8) for _ in range(ROWS)))
    pool = ((3, 6, 0), (guard((1, 2, 0), 7, -2),))
    for source, dtype in ((a, np.float32), (c, np.int8)):
        for opcode in (Opcode.REDUCE_MAX, Opcode.REDUCE_MIN):
            made.step(opcode, (7,), (3,), [trace(source, (3, 1))], dtype)
            made.step(opcode, (9, 1), (1,), [trace(source, pool[0], -6, pool[1])], dtype)
            window = trace(source, (3, 1, 3), -3, (guard((1, 0, 1), 7, -1),))
            made.step(opcode, (7, 3), (3,), [window], dtype)
        for opcode in (Opcode.ARGMAX, Opcode.ARGMIN):
            for last in (0, 1):
                made.step(opcode, (3,), (7,), [trace(source, (1, 3))], np.int64, (last,))
    return made


def top(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    made = Builder(tier)
    a = made.input(*rows_of(rng, (3, 9), kind))
    c = made.input(*(integers(rng, 27, np.int64) for _ in range(ROWS)))
    for source, dtype in ((a, np.float32), (c, np.int64)):
        for largest in (0, 1):
            access = [trace(source, (9, 0, 1))]
            made.step(Opcode.TOPK_VALUE, (3, 4), (9,), access, dtype, (largest,))
            made.step(Opcode.TOPK_INDEX, (3, 4), (9,), access, np.int64, (largest,))
    return made


def gather(rng: np.random.Generator, kind: str, tier: Tier) -> Builder:
    """Rows of a constant table, chosen by the trace; some indices are outside of it."""
    made = Builder(tier)
    table = made.constant(floats(rng, 40, kind).reshape(10, 4))
    values = made.input(*rows_of(rng, (6,), kind))
    chosen = made.input(*(rng.integers(-11, 11, 5) for _ in range(ROWS)))
    made.step(
        Opcode.GATHER, (5, 4), (), [const(table, (0, 1)), trace(chosen, (1, 0))], attributes=(4, 10)
    )
    made.step(
        Opcode.GATHER, (5,), (), [trace(values, (0,)), trace(chosen, (1,))], attributes=(1, 6)
    )
    return made


BINARY = (
    Opcode.ADD,
    Opcode.SUB,
    Opcode.MUL,
    Opcode.DIV,
    Opcode.MAX,
    Opcode.MIN,
    Opcode.LESS,
    Opcode.LESS_EQUAL,
    Opcode.EQUAL,
)
UNARY = (
    Opcode.SQRT,
    Opcode.NEG,
    Opcode.ABS,
    Opcode.SIGN,
    Opcode.FLOOR,
    Opcode.CEIL,
    Opcode.ROUND,
    Opcode.EXP,
    Opcode.LOG,
    Opcode.ERF,
    Opcode.TANH,
    Opcode.SIGMOID,
    Opcode.SOFTPLUS,
)

CASES: dict[str, Make] = {
    "matmul": matmul,
    "batched": batched,
    "convolution": convolution,
    "sum": total,
    "mean": mean,
    "integer_sum": integer_total,
    "logic": logic,
    "where": where,
    "cast": cast,
    "copy": copy,
    "extreme": extreme,
    "top": top,
    "gather": gather,
    "tree": tree,
    "quantize": quantize,
    "dequantize": dequantize,
    "integer_dot": integer_dot,
    **{opcode.name.lower(): binary(opcode) for opcode in BINARY},
    **{opcode.name.lower(): unary(opcode) for opcode in UNARY},
}
"""By name; together they have every opcode."""
