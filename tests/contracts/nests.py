"""Random programs of one instruction: a loop nest over small tables, with guards of every kind.

Knows how accesses are made that stay in their tensors (or, seldom, do not); not what is computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.number import FORMATS
from oracle.program.instruction import (
    Access,
    Guard,
    Instruction,
    Program,
    Space,
    TensorInfo,
    Trace,
)
from oracle.program.opcode import Opcode
from tests.contracts.elements import element

F32: Final = ElementType.FLOAT32
I64: Final = ElementType.INT64
REDUCTIONS: Final = (
    Opcode.DOT, Opcode.SUM, Opcode.MEAN, Opcode.REDUCE_MAX, Opcode.REDUCE_MIN, Opcode.ARGMAX,
    Opcode.ARGMIN, Opcode.TOPK_INDEX, Opcode.TOPK_VALUE, Opcode.INTEGER_DOT,
)  # fmt: skip
OPCODES: Final = (*REDUCTIONS, Opcode.COPY, Opcode.GATHER, Opcode.ADD, Opcode.WHERE)
RANKED: Final = (Opcode.TOPK_INDEX, Opcode.TOPK_VALUE)
KINDS: Final = {
    Opcode.DOT: (F32,),
    Opcode.MEAN: (F32,),
    Opcode.INTEGER_DOT: (ElementType.UINT8, ElementType.INT8),
    Opcode.SUM: (F32, F32, ElementType.INT16, I64),
    Opcode.ADD: (F32, F32, ElementType.INT16, I64),
}
ANY_KIND: Final = (F32, F32, ElementType.FLOAT64, ElementType.INT8, ElementType.UINT16, I64)
OUTSIDE: Final = 0.06
"""How often an access leaves its tensor, somewhere."""

FLAGS: Final = 2
INDICES: Final = 3
"""Constants: the first two are tables of the operands' type, then there are bools and indices."""


@dataclass(frozen=True)
class Nest:
    """The loops of an instruction, and the tables that its operands may lie in."""

    source: Random
    kind: ElementType
    sizes: dict[tuple[Space, int], int]
    domain: tuple[int, ...]
    reduction: tuple[int, ...]

    @property
    def axes(self) -> tuple[int, ...]:
        return (*self.domain, *self.reduction)

    def access(self, *, guards: bool = True, outside: bool = False) -> Access:
        """Somewhere in a table of the trace or of the constants."""
        source = self.source
        space, tensor = source.choice(list(self.sizes))
        size = self.sizes[space, tensor]
        steps = [self._step() for _ in self.axes]
        low, high = reach(steps, self.axes)
        while high - low >= size:
            # Nearer steps along the axis that goes farthest, until it fits.
            far = max(range(len(steps)), key=lambda axis: abs(steps[axis]) * self.axes[axis])
            steps[far] = int(steps[far] / 2)
            low, high = reach(steps, self.axes)
        offset = source.randrange(-low, size - high)
        if outside and source.random() < OUTSIDE:
            offset += source.choice((-1, 1)) * source.randrange(1, size + 1)
        count = source.choice((0, 0, 1, 2)) if guards else 0
        return Access(
            space, tensor, offset, tuple(steps), tuple(self._guard() for _ in range(count))
        )

    def fixed(self, constant: int, size: int) -> Access:
        """Somewhere in a constant, moving along the last domain axis."""
        steps = [0] * len(self.axes)
        length = 1
        if self.domain:
            length = self.domain[-1]
            steps[len(self.domain) - 1] = 1
        offset = self.source.randrange(size - length + 1)
        return Access(Space.CONSTANT, constant, offset, tuple(steps))

    def _step(self) -> int:
        few = (0, 1, 1, 2, 3, 4, 9, -1, -1, -2, -5)
        return self.source.choice((*few, self.source.randrange(-40, 41)))

    def _guard(self) -> Guard:
        """One that most indices pass, or some, or none; of no reduction axis, of one, or more."""
        source = self.source
        steps = [source.choice((0, 0, 1, -1, 2)) for _ in self.domain] + [0] * len(self.reduction)
        asked = min(source.choice((0, 1, 1, 1, 1, 2)), len(self.reduction))
        for axis in source.sample(range(len(self.domain), len(self.axes)), asked):
            steps[axis] = source.choice((1, 1, -1, 2, -2, 3))
        low, high = reach(steps, self.axes)
        width = high - low + 1
        limit = source.choice((width, width, width - 1, width // 2 + 1, 1, 0, -1))
        offset = -low - source.choice((0, 0, 0, 1, -1, width // 3))
        return Guard(offset, tuple(steps), limit)


def reach(steps: Sequence[int], axes: Sequence[int]) -> tuple[int, int]:
    """The least and the greatest that a map without offset gives."""
    ends = [step * (length - 1) for step, length in zip(steps, axes, strict=True)]
    return sum(min(end, 0) for end in ends), sum(max(end, 0) for end in ends)


def random_program(source: Random, opcode: Opcode) -> Program:
    """Two tensors of the trace are inputs, the third is the output."""
    kind = source.choice(KINDS.get(opcode, ANY_KIND))
    sizes = {
        (Space.TRACE, 0): source.choice((1, 40, 700)),
        (Space.TRACE, 1): 300,
        (Space.CONSTANT, 0): 500,
        (Space.CONSTANT, 1): source.choice((1, 2, 90)),
    }
    domain = _lengths(source, 6)
    if opcode in RANKED:
        domain = (*domain, source.choice((1, 3, 8)))
    nest = Nest(source, kind, sizes, domain, _lengths(source, 9))
    operands, attributes, output = _operands(nest, opcode)
    constants = (
        _info("c0", kind, 500),
        _info("c1", kind, sizes[Space.CONSTANT, 1]),
        _info("flags", ElementType.BOOL, 9),
        _info("indices", I64, 60),
    )
    tensors = (
        _info("t0", kind, sizes[Space.TRACE, 0]),
        _info("t1", kind, 300),
        _info("t2", output, math.prod(domain)),
    )
    indices = np.array([source.randrange(-12, 12) for _ in range(60)], np.int64)
    return Program(
        tier=source.choice((Tier.ROUNDED, Tier.NATIVE)),
        leaf_bytes=source.choice((32, 64, 256)),
        source_sha256=bytes(32),
        tensors=tensors,
        constants=constants,
        constant_values=(*(_values(source, info) for info in constants[:3]), indices),
        instructions=(
            Instruction(opcode, 2, domain, nest.reduction, operands, attributes, opcode.name),
        ),
        inputs=(0, 1),
        outputs=(2,),
    )


def random_trace(source: Random, program: Program) -> Trace:
    """A row with zeros as its output."""
    *inputs, output = program.tensors
    zeros = np.zeros(output.size, output.element.dtype)
    return Trace(((*(_values(source, info) for info in inputs), zeros),))


def _lengths(source: Random, most: int) -> tuple[int, ...]:
    """Of up to three axes, many of them short."""
    rank = source.choice((0, 1, 2, 3, 3))
    return tuple(source.choice((1, 2, 3, source.randint(1, most))) for _ in range(rank))


def _operands(
    nest: Nest, opcode: Opcode
) -> tuple[tuple[Access, ...], tuple[int, ...], ElementType]:
    """Operands, attributes and the type of the output."""
    source, kind = nest.source, nest.kind
    match opcode:
        case Opcode.DOT:
            summand = [nest.access(guards=False, outside=True)] if source.random() < 0.5 else []
            return (nest.access(outside=True), nest.access(outside=True), *summand), (), kind
        case Opcode.INTEGER_DOT:
            zeros = (nest.access(guards=False), nest.access(guards=False))
            factors = (nest.access(outside=True), nest.access(outside=True))
            return (*factors, *zeros), (), ElementType.INT32
        case Opcode.MEAN:
            divisor = source.choice((0, 0, 7, math.prod(nest.reduction)))
            return (nest.access(outside=True),), (divisor,), kind
        case Opcode.COPY:
            fill = (source.choice((0, -1, 2**31 - 1)),) if source.random() < 0.6 else ()
            count = source.choice((1, 2, 3, 5))
            return tuple(nest.access(outside=True) for _ in range(count)), fill, kind
        case Opcode.GATHER:
            attributes = (source.choice((1, 2, -1, 7)), source.choice((5, 10, 12)))
            return (nest.access(outside=True), nest.fixed(INDICES, 60)), attributes, kind
        case Opcode.WHERE:
            pair = (nest.access(guards=False, outside=True), nest.access(outside=True))
            return (nest.fixed(FLAGS, 9), *pair), (), kind
        case Opcode.ADD:
            return (nest.access(guards=False), nest.access(outside=True)), (), kind
        case Opcode.ARGMAX | Opcode.ARGMIN | Opcode.TOPK_INDEX:
            return (nest.access(outside=True),), (source.randrange(2),), I64
        case Opcode.TOPK_VALUE:
            return (nest.access(outside=True),), (source.randrange(2),), kind
        case _:
            return (nest.access(outside=True),), (), kind


def _info(name: str, kind: ElementType, size: int) -> TensorInfo:
    return TensorInfo(name, kind, (size,), (0,))


def _values(source: Random, info: TensorInfo) -> Any:
    """Mostly finite; often so few values that many are equal."""
    pool = [element(source, info.element) for _ in range(60)]
    if info.element.is_float and source.random() < 0.85:
        pool = [bits for bits in pool if FORMATS[info.element].is_finite(bits)] or [0]
    if source.random() < 0.4:
        pool = pool[:4]
    bits = [source.choice(pool) for _ in range(info.size)]
    return np.array(bits, f"<u{info.element.item_size}").view(info.element.dtype)
