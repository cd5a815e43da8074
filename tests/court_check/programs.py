"""Hand-built programs of one or a few instructions, and data with everything unpleasant in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.program.instruction import (
    Access,
    Guard,
    Instruction,
    Program,
    Space,
    TensorInfo,
)
from oracle.program.opcode import Opcode

Array = NDArray[Any]

ROWS = 3


def row_major(lengths: Sequence[int]) -> tuple[int, ...]:
    """Coefficients of a tensor read in its own order."""
    steps = [1] * len(lengths)
    for axis in range(len(lengths) - 2, -1, -1):
        steps[axis] = steps[axis + 1] * lengths[axis + 1]
    return tuple(steps)


@dataclass
class Builder:
    """Collects tensors, constants and instructions; `input` and `step` give operand handles."""

    tier: Tier = Tier.ROUNDED
    tensors: list[TensorInfo] = field(default_factory=list)
    constants: list[TensorInfo] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    steps: list[Instruction] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    data: list[Array] = field(default_factory=list)

    def input(self, *rows: Array) -> int:
        """An input tensor with one array per row."""
        self.tensors.append(_info(f"in{len(self.tensors)}", rows[0].dtype, rows[0].shape))
        self.inputs.append(len(self.tensors) - 1)
        self.data.append(np.stack([row.reshape(-1) for row in rows]))
        return len(self.tensors) - 1

    def constant(self, value: Array) -> int:
        self.constants.append(_info(f"const{len(self.constants)}", value.dtype, value.shape))
        self.values.append(np.ascontiguousarray(value).reshape(-1))
        return len(self.constants) - 1

    def step(
        self,
        opcode: Opcode,
        domain: Sequence[int],
        reduction: Sequence[int],
        operands: Sequence[Access],
        dtype: Any = np.float32,
        attributes: Sequence[int] = (),
        layout: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> int:
        name = f"{opcode.name.lower()}{len(self.steps)}"
        info = _info(name, np.dtype(dtype), tuple(shape or domain), layout)
        self.tensors.append(info)
        number = len(self.tensors) - 1
        self.steps.append(
            Instruction(
                opcode,
                number,
                tuple(domain),
                tuple(reduction),
                tuple(operands),
                tuple(attributes),
                name,
            )
        )
        return number

    def program(self) -> Program:
        return Program(
            tier=self.tier,
            leaf_bytes=256,
            source_sha256=bytes(32),
            tensors=tuple(self.tensors),
            constants=tuple(self.constants),
            constant_values=tuple(self.values),
            instructions=tuple(self.steps),
            inputs=tuple(self.inputs),
            outputs=(len(self.tensors) - 1,),
        )

    def rows(self) -> list[list[Array]]:
        count = self.data[0].shape[0] if self.data else 1
        return [[value[row].copy() for value in self.data] for row in range(count)]


def _info(name: str, dtype: Any, shape: Sequence[int], layout: Any = None) -> TensorInfo:
    element = ElementType(np.dtype(dtype).name)
    return TensorInfo(name, element, tuple(shape), tuple(layout or range(len(shape))))


def trace(tensor: int, coefficients: Sequence[int], offset: int = 0, guards: Any = ()) -> Access:
    return Access(Space.TRACE, tensor, offset, tuple(coefficients), tuple(guards))


def const(tensor: int, coefficients: Sequence[int], offset: int = 0, guards: Any = ()) -> Access:
    return Access(Space.CONSTANT, tensor, offset, tuple(coefficients), tuple(guards))


def guard(coefficients: Sequence[int], limit: int, offset: int = 0) -> Guard:
    return Guard(offset, tuple(coefficients), limit)


SPECIAL = np.array(
    [
        *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x80800000),
        *(0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7F800001),
        *(0x3F800000, 0xBF800000, 0x3F000000, 0x40200000, 0x3F800001, 0x4B000001, 0x5F000000),
        *(0xDF000000, 0x4F000000, 0xCF000000, 0x4F800000, 0x7E800000, 0x42B17218, 0xC2CFF1B5),
    ],
    dtype=np.uint32,
).view(np.float32)


def floats(rng: np.random.Generator, size: int, kind: str) -> Array:
    """float32 of a kind: normal, tied (few different values), wide, huge, subnormal, special."""
    plain = rng.standard_normal(size).astype(np.float32)
    match kind:
        case "normal":
            return plain
        case "tied":
            return (rng.integers(-3, 4, size) / 2).astype(np.float32)
        case "aligned":
            return np.full(size, 0.1, dtype=np.float32)
        case "wide":
            return np.ldexp(plain, rng.integers(-60, 60, size)).astype(np.float32)
        case "huge":
            with np.errstate(over="ignore"):
                return np.ldexp(plain, rng.integers(55, 128, size)).astype(np.float32)
        case "subnormal":
            return np.ldexp(plain, rng.integers(-150, -120, size)).astype(np.float32)
        case _:
            chosen = rng.random(size) < 0.3
            return np.where(chosen, rng.choice(SPECIAL, size), plain).astype(np.float32)


KINDS = ("normal", "tied", "aligned", "wide", "huge", "subnormal", "special")


def integers(rng: np.random.Generator, size: int, dtype: Any) -> Array:
    """Integers of a type, a third of them at its ends or near zero."""
    limits = np.iinfo(dtype)
    plain = rng.integers(limits.min, limits.max, size, dtype=dtype, endpoint=True)
    ends = np.array([limits.min, limits.max, 0, 1, limits.max - 1], dtype=dtype)
    small = rng.integers(0, 4, size).astype(dtype)
    which = rng.integers(0, 3, size)
    return np.choose(which, [plain, rng.choice(ends, size), small]).astype(dtype)


def rows_of(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> list[Array]:
    """An input of each of `ROWS` rows."""
    size = int(np.prod(shape))
    return [floats(rng, size, kind).reshape(shape) for _ in range(ROWS)]
