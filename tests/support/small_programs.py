"""Programs and traces for tests of commitments: of any size, and right in form only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.program.instruction import Access, Instruction, Program, Space, TensorInfo, Trace
from oracle.program.opcode import Opcode

Spec = tuple[ElementType, int]


def small_program(
    tensors: Sequence[Spec] = ((ElementType.FLOAT32, 3), (ElementType.FLOAT32, 3)),
    constants: Sequence[Spec] = (),
    *,
    leaf_bytes: int = 256,
) -> Program:
    """The first tensor is the input; each other one is a COPY of it (which nobody judges here)."""
    infos = tuple(_info(f"t{n}", *spec) for n, spec in enumerate(tensors))
    fixed = tuple(_info(f"c{n}", *spec) for n, spec in enumerate(constants))
    generator = np.random.default_rng(5)
    values = tuple(_values(generator, info) for info in fixed)
    steps = tuple(
        Instruction(
            Opcode.COPY, number, (info.size,), (), (Access(Space.TRACE, 0, 0, (1,)),), (0,), "copy"
        )
        for number, info in enumerate(infos)
        if number
    )
    return Program(
        tier=Tier.EXACT,
        leaf_bytes=leaf_bytes,
        source_sha256=bytes(range(32)),
        tensors=infos,
        constants=fixed,
        constant_values=values,
        instructions=steps,
        inputs=(0,),
        outputs=(len(infos) - 1,),
    )


def small_trace(program: Program, rows: int = 1, seed: int = 0) -> Trace:
    """Random bits in every tensor."""
    generator = np.random.default_rng(seed)
    return Trace(
        tuple(tuple(_values(generator, info) for info in program.tensors) for _ in range(rows))
    )


def _info(name: str, element: ElementType, size: int) -> TensorInfo:
    return TensorInfo(name, element, (1, size), (0, 1))


def _values(generator: np.random.Generator, info: TensorInfo) -> np.ndarray:  # type: ignore[type-arg]
    raw = generator.integers(0, 256, info.byte_count, dtype=np.uint8)
    if info.element is ElementType.BOOL:
        raw &= 1
    return raw.view(info.element.dtype)
