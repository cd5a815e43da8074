"""Einsum of one operand (a permutation and sums) or of two (one matrix product between reshapes).

Refuses diagonals, ellipses and more than two operands.
"""

from __future__ import annotations

import math

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.composite import total_over
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.normalise.shape import reshaped, transposed

_HINT = "write it as MatMul, Transpose and ReduceSum"


@rewrites("Einsum")
def einsum(builder: Builder, node: SourceNode) -> Value:
    equation = str(node.get("equation")).replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if not arrow:
        letters = sorted(set(left) - {","})
        result = "".join(letter for letter in letters if left.count(letter) == 1)
    repeated = any(len(set(term)) != len(term) for term in (*terms, result))
    if "." in equation or repeated or len(terms) != len(node.inputs) or len(terms) > 2:
        raise ProgramError(f"the equation {equation!r} has no rule", hint=_HINT)
    if len(terms) == 1:
        value, letters_left = _summed(builder, node.input(0), terms[0], result)
    else:
        value, letters_left = _product(builder, node, terms, result)
    return transposed(builder, value, [letters_left.index(letter) for letter in result])


def _product(
    builder: Builder, node: SourceNode, terms: list[str], result: str
) -> tuple[Value, str]:
    """`[batch, rows, taps] · [batch, taps, columns]`, and the letters of its axes."""
    first, second = terms
    a, first = _summed(builder, node.input(0), first, result + second)
    b, second = _summed(builder, node.input(1), second, result + first)
    batch = "".join(letter for letter in first if letter in second and letter in result)
    taps = "".join(letter for letter in first if letter in second and letter not in result)
    rows = "".join(letter for letter in first if letter not in second)
    columns = "".join(letter for letter in second if letter not in first)
    lengths = dict(zip(first + second, a.shape + b.shape, strict=True))

    def shape(*groups: str) -> tuple[int, ...]:
        outer = tuple(lengths[letter] for letter in batch)
        return (*outer, *(math.prod(lengths[letter] for letter in group) for group in groups))

    a = transposed(builder, a, [first.index(letter) for letter in batch + rows + taps])
    b = transposed(builder, b, [second.index(letter) for letter in batch + taps + columns])
    product = builder.dot(
        reshaped(builder, a, shape(rows, taps)), reshaped(builder, b, shape(taps, columns))
    )
    letters = batch + rows + columns
    return reshaped(builder, product, tuple(lengths[letter] for letter in letters)), letters


def _summed(builder: Builder, value: Value, term: str, wanted: str) -> tuple[Value, str]:
    """Without the axes that neither the result nor the other operand has."""
    axes = [axis for axis, letter in enumerate(term) if letter not in wanted]
    left = "".join(letter for letter in term if letter in wanted)
    return total_over(builder, "ReduceSum", value, axes, keep=False), left
