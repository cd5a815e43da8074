"""An instruction evaluated in numpy straight from its definition, for all output elements at once.

Independent of the court on purpose; meant for small tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.program.instruction import Access, Instruction, Program, Space
from oracle.program.opcode import Opcode

Array = NDArray[Any]


def _quotient(a: Array, b: Array) -> Array:
    """Whole numbers are cut towards zero, as in C."""
    if a.dtype.kind == "f":
        return a / b
    wide, divisor = a.astype(np.int64), b.astype(np.int64)
    return np.sign(wide) * np.sign(divisor) * (np.abs(wide) // np.abs(divisor))


def _erf(x: Array) -> Array:
    return np.array([math.erf(value) for value in x.reshape(-1)]).reshape(x.shape)


POINTWISE: dict[Opcode, Callable[..., Any]] = {
    Opcode.ADD: np.add,
    Opcode.SUB: np.subtract,
    Opcode.MUL: np.multiply,
    Opcode.DIV: _quotient,
    Opcode.SQRT: np.sqrt,
    Opcode.EXP: lambda x: np.exp(x.astype(np.float64)),
    Opcode.LOG: lambda x: np.log(x.astype(np.float64)),
    Opcode.ERF: _erf,
    Opcode.TANH: lambda x: np.tanh(x.astype(np.float64)),
    Opcode.SIGMOID: lambda x: 1 / (1 + np.exp(-x.astype(np.float64))),
    Opcode.SOFTPLUS: lambda x: np.logaddexp(x.astype(np.float64), 0),
    Opcode.MAX: np.maximum,
    Opcode.MIN: np.minimum,
    Opcode.NEG: np.negative,
    Opcode.ABS: np.abs,
    Opcode.SIGN: np.sign,
    Opcode.FLOOR: np.floor,
    Opcode.CEIL: np.ceil,
    Opcode.ROUND: np.round,
    Opcode.LESS: np.less,
    Opcode.LESS_EQUAL: np.less_equal,
    Opcode.EQUAL: np.equal,
    Opcode.NOT: np.logical_not,
    Opcode.AND: np.logical_and,
    Opcode.OR: np.logical_or,
    Opcode.XOR: np.logical_xor,
    Opcode.WHERE: np.where,
    Opcode.CAST: lambda x: x,
}


def evaluate(program: Program, step: Instruction, tensors: Sequence[Array]) -> Array:
    """What the instruction makes of the committed tensors, flat, in the domain's order."""
    nest = (*step.domain, *step.reduction)
    indices = np.indices(nest).reshape(len(nest), step.size, step.taps)
    table = {Space.TRACE: tensors, Space.CONSTANT: program.constant_values}
    flats = [table[access.space][access.tensor] for access in step.operands]
    dtype = program.tensors[step.output].element.dtype
    with np.errstate(all="ignore"):
        if step.opcode is Opcode.GATHER:
            result = _gathered(step, flats, indices)
        else:
            reads = [
                _read(flat, access, indices)
                for flat, access in zip(flats, step.operands, strict=True)
            ]
            result = _computed(step, reads, indices)
        return np.asarray(result).reshape(-1).astype(dtype)


def _gathered(step: Instruction, flats: list[Array], indices: Array) -> Array:
    stride, length = step.attributes
    places = _read(flats[1], step.operands[1], indices)[0][:, 0]
    places = np.where(places < 0, places + length, places)
    return flats[0][_positions(step.operands[0], indices)[:, 0] + stride * places]


def _computed(step: Instruction, reads: list[tuple[Array, Array]], indices: Array) -> Array:
    opcode, (first, counted) = step.opcode, reads[0]
    if opcode in POINTWISE:
        return np.asarray(POINTWISE[opcode](*(value[:, 0] for value, _ in reads)))
    if opcode is Opcode.COPY:
        fill = (step.attributes[0] % 2 ** (8 * first.itemsize)).to_bytes(first.itemsize, "little")
        copied = np.full(step.size, np.frombuffer(fill, dtype=first.dtype)[0])
        for value, held in reversed(reads):
            copied = np.where(held[:, 0], value[:, 0], copied)
        return copied
    if opcode in (Opcode.DOT, Opcode.SUM, Opcode.MEAN):
        return _total(step, reads)
    if opcode in (Opcode.REDUCE_MAX, Opcode.REDUCE_MIN):
        values = np.ma.masked_array(first, ~counted)
        return np.asarray(values.max(axis=1) if opcode is Opcode.REDUCE_MAX else values.min(axis=1))
    if opcode in (Opcode.ARGMAX, Opcode.ARGMIN):
        best = first.max(axis=1) if opcode is Opcode.ARGMAX else first.min(axis=1)
        hits = first == best[:, None]
        last = step.attributes == (1,)
        return step.taps - 1 - hits[:, ::-1].argmax(axis=1) if last else hits.argmax(axis=1)
    if opcode in (Opcode.TOPK_VALUE, Opcode.TOPK_INDEX):
        rank = indices[len(step.domain) - 1][:, 0]
        keys = first.astype(np.float64) * (-1 if step.attributes == (1,) else 1)
        rows = np.arange(step.size)
        place = np.argsort(keys, axis=1, kind="stable")[rows, rank]
        return place if opcode is Opcode.TOPK_INDEX else first[rows, place]
    raise NotImplementedError(f"{opcode!r} is not evaluated here")


def _total(step: Instruction, reads: list[tuple[Array, Array]]) -> Array:
    (first, counted), *others = reads
    wide = np.where(counted, first.astype(np.float64), 0)
    if step.opcode is Opcode.MEAN:
        return wide.sum(axis=1) / (step.attributes[0] or counted.sum(axis=1))
    if step.opcode is Opcode.SUM:
        return wide.sum(axis=1)
    total = (wide * others[0][0]).sum(axis=1)
    return total if len(others) == 1 else total + others[1][0][:, 0]


def _positions(access: Access, indices: Array) -> Array:
    weights = np.array(access.coefficients, dtype=np.int64)
    return access.offset + np.tensordot(weights, indices, axes=(0, 0))


def _read(flat: Array, access: Access, indices: Array) -> tuple[Array, Array]:
    """Values and whether all guards hold, both [output element, tap]."""
    held = np.ones(indices.shape[1:], dtype=bool)
    for guard in access.guards:
        weights = np.array(guard.coefficients, dtype=np.int64)
        place = guard.offset + np.tensordot(weights, indices, axes=(0, 0))
        held &= (place >= 0) & (place < guard.limit)
    positions = _positions(access, indices)
    assert np.all(positions[held] >= 0)
    assert np.all(positions[held] < flat.size)
    return flat[np.where(held, positions, 0)], held
