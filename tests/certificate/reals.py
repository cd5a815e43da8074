"""Every operation on real numbers (float64), written the slow and obvious way.

Independent of the code under test: all positions of all taps as index arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.program.instruction import Access, Instruction, Program, Space
from oracle.program.opcode import Opcode

_ERF = np.vectorize(math.erf, otypes=[np.float64])
_PER_TAP = {
    Opcode.DOT: (0, 1),
    Opcode.INTEGER_DOT: (0, 1, 2, 3),
    Opcode.QUANTIZED_DOT: (0, 1, 2, 3),
}


def real(program: Program, step: Instruction, row: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """The output of an instruction, flat, before any rounding."""
    taps = (*step.domain, step.taps)
    valid = np.ones(taps, dtype=bool)
    values: list[NDArray[np.float64]] = []
    holds: list[NDArray[np.bool_]] = []
    for access in step.operands:
        value, held = _operand(program, step, access, row)
        values.append(value)
        holds.append(held)
    for number in _PER_TAP.get(step.opcode, range(len(values))):
        if number < len(holds) and step.opcode is not Opcode.COPY:
            valid = valid & holds[number]
    result = _apply(program, step, values, holds, valid, row)
    return np.broadcast_to(result, step.domain).reshape(-1).astype(np.float64)


def _operand(
    program: Program, step: Instruction, access: Access, row: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    table = row if access.space is Space.TRACE else program.constant_values
    lengths = step.domain + step.reduction
    index = np.indices(lengths) if lengths else np.zeros((0,), dtype=np.int64)
    at = np.full(lengths, access.offset)
    held = np.ones(lengths, dtype=bool)
    for axis, coefficient in enumerate(access.coefficients):
        at = at + coefficient * index[axis]
    for guard in access.guards:
        place = np.full(lengths, guard.offset)
        for axis, coefficient in enumerate(guard.coefficients):
            place = place + coefficient * index[axis]
        held &= (place >= 0) & (place < guard.limit)
    flat = np.asarray(table[access.tensor]).astype(np.float64)
    read = np.where(held, flat[np.clip(at, 0, flat.size - 1)], 0.0)
    shape = (*step.domain, step.taps)
    return read.reshape(shape), held.reshape(shape)


def _apply(
    program: Program,
    step: Instruction,
    values: list[NDArray[np.float64]],
    holds: list[NDArray[np.bool_]],
    valid: NDArray[np.bool_],
    row: Sequence[NDArray[Any]],
) -> Any:
    a = values[0]
    b = values[1] if len(values) > 1 else a
    match step.opcode:
        case Opcode.DOT:
            total = (a * b * valid).sum(-1)
            return total + values[2][..., 0] if len(values) > 2 else total
        case Opcode.INTEGER_DOT:
            pair = [values[n] - (values[n + 2] if len(values) > n + 2 else 0.0) for n in (0, 1)]
            return (pair[0] * pair[1] * valid).sum(-1)
        case Opcode.SUM:
            return (a * valid).sum(-1)
        case Opcode.MEAN:
            return (a * valid).sum(-1) / (step.attributes[0] or valid.sum(-1))
        case Opcode.REDUCE_MAX:
            return np.where(valid, a, -np.inf).max(-1)
        case Opcode.REDUCE_MIN:
            return np.where(valid, a, np.inf).min(-1)
        case Opcode.ARGMAX:
            return np.argmax(np.where(valid, a, -np.inf), -1)
        case Opcode.TOPK_VALUE:
            ordered = np.sort(a, axis=-1)
            if step.attributes[0]:
                ordered = ordered[..., ::-1]
            rank = np.arange(step.domain[-1]).reshape(-1, 1)
            rank = np.broadcast_to(rank, (*step.domain, 1))
            return np.take_along_axis(ordered, rank, -1)[..., 0]
        case Opcode.COPY:
            result = np.zeros(step.domain)
            for value, held in reversed(list(zip(values, holds, strict=True))):
                result = np.where(held[..., 0], value[..., 0], result)
            return result
        case Opcode.GATHER:
            return _gather(program, step, b, row)
    return _pointwise(step, [value[..., 0] for value in values], program)


def _gather(
    program: Program, step: Instruction, index: NDArray[np.float64], row: Sequence[NDArray[Any]]
) -> Any:
    stride, length = step.attributes
    access = step.operands[0]
    table = row if access.space is Space.TRACE else program.constant_values
    at = np.full(step.domain, access.offset)
    for axis, part in enumerate(np.indices(step.domain)):
        at = at + access.coefficients[axis] * part
    steps = index[..., 0].astype(np.int64)
    at = at + stride * np.where(steps < 0, steps + length, steps)
    return np.asarray(table[access.tensor])[at]


def _pointwise(step: Instruction, values: list[NDArray[np.float64]], program: Program) -> Any:
    a = values[0]
    b = values[1] if len(values) > 1 else a
    match step.opcode:
        case Opcode.ADD:
            return a + b
        case Opcode.SUB:
            return a - b
        case Opcode.MUL:
            return a * b
        case Opcode.DIV:
            return a / b
        case Opcode.SQRT:
            return np.sqrt(a)
        case Opcode.EXP:
            return np.exp(a)
        case Opcode.LOG:
            return np.log(a)
        case Opcode.ERF:
            return _ERF(a)
        case Opcode.TANH:
            return np.tanh(a)
        case Opcode.SIGMOID:
            return 1 / (1 + np.exp(-a))
        case Opcode.SOFTPLUS:
            return np.logaddexp(0, a)
        case Opcode.MAX:
            return np.maximum(a, b)
        case Opcode.MIN:
            return np.minimum(a, b)
        case Opcode.WHERE:
            return np.where(a != 0, b, values[2])
        case Opcode.NEG:
            return -a
        case Opcode.ABS:
            return np.abs(a)
        case Opcode.SIGN:
            return np.sign(a)
        case Opcode.FLOOR:
            return np.floor(a)
        case Opcode.ROUND:
            return np.rint(a)
        case Opcode.LESS:
            return a < b
        case Opcode.CAST:
            integer = program.tensors[step.output].element.dtype.kind in "iu"
            return np.trunc(a) if integer else a
        case Opcode.QUANTIZE:
            limits = np.iinfo(program.tensors[step.output].element.dtype)
            return np.clip(np.rint(a / b) + values[2], limits.min, limits.max)
        case Opcode.DEQUANTIZE:
            return (a - values[2]) * b
    raise NotImplementedError(step.opcode)
