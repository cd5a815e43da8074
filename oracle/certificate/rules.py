"""The derivative and its remainder for every operation, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from oracle.certificate import adjoint_linear as linear
from oracle.certificate import adjoint_pointwise as pointwise
from oracle.certificate import adjoint_selection as selection
from oracle.certificate import adjoint_step as step
from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals
from oracle.certificate.term import Term
from oracle.program.opcode import Opcode


@dataclass(frozen=True)
class Rule:
    """`remainder` bounds how far the operation leaves its tangent while operands stay in reach."""

    terms: Callable[[Frame], tuple[Term, ...]]
    remainder: Callable[[Frame], Reals]


RULES: Final = MappingProxyType(
    {
        Opcode.DOT: Rule(linear.dot, linear.dot_remainder),
        Opcode.SUM: Rule(linear.sum_of_taps, linear.nothing),
        Opcode.MEAN: Rule(linear.mean, linear.nothing),
        Opcode.INTEGER_DOT: Rule(linear.integer_dot, linear.integer_dot_remainder),
        Opcode.ADD: Rule(pointwise.add, linear.nothing),
        Opcode.SUB: Rule(pointwise.subtract, linear.nothing),
        Opcode.MUL: Rule(pointwise.multiply, pointwise.multiply_remainder),
        Opcode.DIV: Rule(pointwise.divide, pointwise.divide_remainder),
        Opcode.SQRT: Rule(pointwise.root, pointwise.root_remainder),
        Opcode.EXP: Rule(pointwise.exponential, pointwise.exponential_remainder),
        Opcode.LOG: Rule(pointwise.logarithm, pointwise.logarithm_remainder),
        Opcode.ERF: Rule(pointwise.error_function, pointwise.erf_remainder),
        Opcode.TANH: Rule(pointwise.hyperbolic_tangent, pointwise.tanh_remainder),
        Opcode.SIGMOID: Rule(pointwise.sigmoid, pointwise.sigmoid_remainder),
        Opcode.SOFTPLUS: Rule(pointwise.softplus, pointwise.softplus_remainder),
        Opcode.NEG: Rule(pointwise.negate, linear.nothing),
        Opcode.ABS: Rule(pointwise.absolute, pointwise.absolute_remainder),
        Opcode.DEQUANTIZE: Rule(pointwise.dequantize, linear.nothing),
        Opcode.COPY: Rule(selection.copy, linear.nothing),
        Opcode.MAX: Rule(selection.choose, selection.choose_remainder),
        Opcode.MIN: Rule(selection.choose, selection.choose_remainder),
        Opcode.REDUCE_MAX: Rule(selection.extreme, selection.extreme_remainder),
        Opcode.REDUCE_MIN: Rule(selection.extreme, selection.extreme_remainder),
        Opcode.WHERE: Rule(selection.where, selection.where_remainder),
        Opcode.GATHER: Rule(selection.gather, selection.gather_remainder),
        Opcode.TOPK_VALUE: Rule(selection.topk, selection.topk_remainder),
        Opcode.TOPK_INDEX: Rule(step.flat, selection.place_remainder),
        Opcode.ARGMAX: Rule(step.flat, selection.place_remainder),
        Opcode.ARGMIN: Rule(step.flat, selection.place_remainder),
        Opcode.CAST: Rule(step.cast, step.cast_remainder),
        Opcode.SIGN: Rule(step.flat, step.step_remainder),
        Opcode.FLOOR: Rule(step.flat, step.step_remainder),
        Opcode.CEIL: Rule(step.flat, step.step_remainder),
        Opcode.ROUND: Rule(step.flat, step.step_remainder),
        Opcode.LESS: Rule(step.flat, step.comparison_remainder),
        Opcode.LESS_EQUAL: Rule(step.flat, step.comparison_remainder),
        Opcode.EQUAL: Rule(step.flat, step.comparison_remainder),
        Opcode.NOT: Rule(step.flat, step.logic_remainder),
        Opcode.AND: Rule(step.flat, step.logic_remainder),
        Opcode.OR: Rule(step.flat, step.logic_remainder),
        Opcode.XOR: Rule(step.flat, step.logic_remainder),
        Opcode.TREE: Rule(step.flat, step.tree_remainder),
        Opcode.QUANTIZE: Rule(step.flat, step.quantize_remainder),
        Opcode.QUANTIZED_DOT: Rule(step.flat, step.quantized_dot_remainder),
    }
)
