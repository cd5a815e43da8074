"""Programs written by hand, instruction by instruction, and honest runs of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.check_evaluate import evaluate
from oracle.program.instruction import Access, Guard, Instruction, Program, Space, TensorInfo
from oracle.program.opcode import Opcode

FLOAT = ElementType.FLOAT32


class Builder:
    """Collects tensors and instructions; every method returns a handle (space, number)."""

    def __init__(self, tier: Tier = Tier.NATIVE) -> None:
        self.tier = tier
        self.tensors: list[TensorInfo] = []
        self.constants: list[TensorInfo] = []
        self.values: list[NDArray[Any]] = []
        self.steps: list[Instruction] = []
        self.inputs: list[int] = []

    def input(self, *shape: int, element: ElementType = FLOAT) -> tuple[Space, int]:
        self.inputs.append(len(self.tensors))
        return self._tensor(shape, element)

    def constant(self, array: Any) -> tuple[Space, int]:
        values = np.ascontiguousarray(array)
        if values.dtype == np.float64:
            values = values.astype(np.float32)
        element = ElementType(values.dtype.name)
        layout = tuple(range(values.ndim))
        name = f"c{len(self.constants)}"
        self.constants.append(TensorInfo(name, element, values.shape, layout))
        self.values.append(values.reshape(-1))
        return Space.CONSTANT, len(self.constants) - 1

    def shape(self, handle: tuple[Space, int]) -> tuple[int, ...]:
        table = self.tensors if handle[0] is Space.TRACE else self.constants
        return table[handle[1]].shape

    def access(
        self,
        handle: tuple[Space, int],
        coefficients: Sequence[int],
        offset: int = 0,
        guards: Sequence[Guard] = (),
    ) -> Access:
        return Access(*handle, offset, tuple(coefficients), tuple(guards))

    def step(
        self,
        opcode: Opcode,
        domain: Sequence[int],
        operands: Sequence[Access],
        reduction: Sequence[int] = (),
        attributes: Sequence[int] = (),
        element: ElementType = FLOAT,
    ) -> tuple[Space, int]:
        handle = self._tensor(tuple(domain), element)
        self.steps.append(
            Instruction(
                opcode,
                handle[1],
                tuple(domain),
                tuple(reduction),
                tuple(operands),
                tuple(attributes),
                f"{opcode.name.lower()}{len(self.steps)}",
            )
        )
        return handle

    def pointwise(
        self,
        opcode: Opcode,
        *handles: tuple[Space, int],
        attributes: Sequence[int] = (),
        element: ElementType = FLOAT,
    ) -> tuple[Space, int]:
        """Elementwise, with numpy's broadcasting."""
        domain = np.broadcast_shapes(*(self.shape(handle) for handle in handles))
        operands = [self.access(handle, self._broadcast(handle, domain)) for handle in handles]
        return self.step(opcode, domain, operands, attributes=attributes, element=element)

    def reduce(
        self, opcode: Opcode, handle: tuple[Space, int], attributes: Sequence[int] = ()
    ) -> tuple[Space, int]:
        """Over the last axis, which is kept with length 1."""
        shape = self.shape(handle)
        strides = _strides(shape)
        access = self.access(handle, (*strides[:-1], 0, strides[-1]))
        return self.step(opcode, (*shape[:-1], 1), [access], (shape[-1],), attributes)

    def dense(
        self, handle: tuple[Space, int], weights: Any, addend: Any = None
    ) -> tuple[Space, int]:
        """weights [out, in] times the last axis."""
        shape = self.shape(handle)
        count, taps = np.shape(weights)
        domain = (*shape[:-1], count)
        strides = _strides(shape)
        operands = [
            self.access(handle, (*strides[:-1], 0, strides[-1])),
            self.access(self.constant(weights), (*(0,) * len(shape[:-1]), taps, 1)),
        ]
        if addend is not None:
            operands.append(self.access(self.constant(addend), (*(0,) * len(shape[:-1]), 1, 0)))
        return self.step(Opcode.DOT, domain, operands, (taps,))

    def convolve(
        self, handle: tuple[Space, int], weights: Any, padding: int = 1, stride: int = 1
    ) -> tuple[Space, int]:
        """handle [channels, y, x], weights [out, channels, ky, kx]."""
        channels, height, width = self.shape(handle)
        out, _, ky, kx = np.shape(weights)
        rows = (height + 2 * padding - ky) // stride + 1
        columns = (width + 2 * padding - kx) // stride + 1
        guards = (
            Guard(-padding, (0, stride, 0, 0, 1, 0), height),
            Guard(-padding, (0, 0, stride, 0, 0, 1), width),
        )
        plane = height * width
        operands = [
            self.access(
                handle,
                (0, stride * width, stride, plane, width, 1),
                -padding * (width + 1),
                guards,
            ),
            self.access(self.constant(weights), (channels * ky * kx, 0, 0, ky * kx, kx, 1)),
        ]
        return self.step(Opcode.DOT, (out, rows, columns), operands, (channels, ky, kx))

    def pool(self, handle: tuple[Space, int], size: int = 2) -> tuple[Space, int]:
        channels, height, width = self.shape(handle)
        access = self.access(handle, (height * width, size * width, size, width, 1))
        domain = (channels, height // size, width // size)
        return self.step(Opcode.REDUCE_MAX, domain, [access], (size, size))

    def relu(self, handle: tuple[Space, int]) -> tuple[Space, int]:
        return self.pointwise(Opcode.MAX, handle, self.constant(np.float32(0)))

    def flatten(self, handle: tuple[Space, int]) -> tuple[Space, int]:
        size = math.prod(self.shape(handle))
        return self.step(Opcode.COPY, (size,), [self.access(handle, (1,))], attributes=(0,))

    def program(self, *outputs: tuple[Space, int]) -> Program:
        return Program(
            tier=self.tier,
            leaf_bytes=1024,
            source_sha256=bytes(32),
            tensors=tuple(self.tensors),
            constants=tuple(self.constants),
            constant_values=tuple(self.values),
            instructions=tuple(self.steps),
            inputs=tuple(self.inputs),
            outputs=tuple(number for _, number in outputs),
        )

    def _tensor(self, shape: tuple[int, ...], element: ElementType) -> tuple[Space, int]:
        layout = tuple(range(len(shape)))
        self.tensors.append(TensorInfo(f"t{len(self.tensors)}", element, shape, layout))
        return Space.TRACE, len(self.tensors) - 1

    def _broadcast(self, handle: tuple[Space, int], domain: tuple[int, ...]) -> tuple[int, ...]:
        shape = self.shape(handle)
        strides = [
            stride if length > 1 else 0
            for stride, length in zip(_strides(shape), shape, strict=True)
        ]
        return (*(0,) * (len(domain) - len(shape)), *strides)


def honest(program: Program, *inputs: Any) -> tuple[NDArray[Any], ...]:
    """The reference interpreter's run."""
    flat = [
        program.tensors[tensor].flatten(np.asarray(values))
        for tensor, values in zip(program.inputs, inputs, strict=True)
    ]
    return evaluate(program, None, [flat]).rows[0]


def _strides(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
