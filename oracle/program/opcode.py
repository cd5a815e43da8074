"""What an instruction may do: the closed list of operations that the court can judge.

One line each; `docs/court.md` is the specification. The numbers are part of the program root and
never change their meaning.
"""

from __future__ import annotations

from enum import IntEnum


class Opcode(IntEnum):
    """Operands are named a, b, c in order; k runs over the taps whose guards hold."""

    # linear: rounded once in the ROUNDED tier, any float32 order in the NATIVE tier (R2, R3)
    DOT = 1  # sum_k a·b (+ c, which does not depend on k)
    SUM = 2  # sum_k a
    MEAN = 3  # sum_k a / n; attributes: (n,), 0 for the number of taps that count

    # correctly rounded in float32, exact modulo 2^bits in integers (R1)
    ADD = 10
    SUB = 11
    MUL = 12
    DIV = 13
    SQRT = 14

    # elementary functions of one float32 operand (R4)
    EXP = 20
    LOG = 21
    ERF = 22
    TANH = 23
    SIGMOID = 24
    SOFTPLUS = 25

    # selection and movement, exact (R10)
    COPY = 30  # the first operand whose guards hold, else attributes (fill,): the raw bits
    MAX = 31  # of a and b
    MIN = 32
    REDUCE_MAX = 33  # over k
    REDUCE_MIN = 34
    ARGMAX = 35  # position in the one reduction axis, lowest on ties; attributes: (last,) 0 or 1
    ARGMIN = 36
    WHERE = 37  # a (bool) ? b : c
    GATHER = 38  # a at its position + stride·b, b < 0 from the end; attributes: (stride, length)
    TOPK_VALUE = 39  # the r-th of k, r the last domain axis; attributes: (largest,) 0 or 1
    TOPK_INDEX = 40  # its position; the lower position first on ties
    CAST = 41
    NEG = 42
    ABS = 43
    SIGN = 44
    FLOOR = 45
    CEIL = 46
    ROUND = 47  # half to even
    LESS = 50
    LESS_EQUAL = 51
    EQUAL = 52
    NOT = 53
    AND = 54
    OR = 55
    XOR = 56

    # decision trees, exact (R9): one leaf value of one tree; see `tree_table`
    # a: the features' first element, b: node table, c: leaf values, d: root of the tree
    TREE = 60  # attributes: (feature stride, values a leaf); domain: (tree, value)

    # quantised (R8)
    QUANTIZE = 70  # a: float32, b: scale, c: zero point
    DEQUANTIZE = 71  # a: integer, b: scale, c: zero point
    INTEGER_DOT = 72  # sum_k (a - c)·(b - d), int32
    QUANTIZED_DOT = 73  # a, b, zero a, zero b, scale a, scale b, scale y, zero y (, int32 bias)
