"""The program as bytes: records, constants' leaves, the header, and the root over all of it.

`docs/program.md` (Encoding) is the specification; a contract reads what is written here. Refuses
what does not fit its words, and knows nothing of ONNX files, of runs, or of what a step computes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

import numpy as np

from oracle.core import merkle
from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.instruction import Access, Guard, Instruction, Program, Space, TensorInfo

FORMAT_VERSION: Final = 1
LEAF_UNIT_BYTES: Final = 8
"""The widest element: none lies in two leaves."""

ELEMENT_NUMBERS: Final[Mapping[ElementType, int]] = {
    ElementType.FLOAT32: 1,
    ElementType.UINT8: 2,
    ElementType.INT8: 3,
    ElementType.UINT16: 4,
    ElementType.INT16: 5,
    ElementType.INT32: 6,
    ElementType.INT64: 7,
    ElementType.BOOL: 9,
    ElementType.FLOAT64: 11,
    ElementType.UINT32: 12,
    ElementType.UINT64: 13,
}
"""`TensorProto.DataType`."""

_LARGEST_UNSIGNED: Final = 2**32 - 1
_SMALLEST_SIGNED: Final = -(2**31)
_LARGEST_SIGNED: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ProgramHeader:
    """The words that the program root is the hash of."""

    tier: int
    leaf_bytes: int
    record_count: int
    row_leaf_count: int
    constant_leaf_count: int
    record_root: bytes
    constant_root: bytes
    source_sha256: bytes

    def encode(self) -> bytes:
        """Nine 32-byte words; the first is the version of this format."""
        numbers = (
            FORMAT_VERSION,
            self.tier,
            self.leaf_bytes,
            self.record_count,
            self.row_leaf_count,
            self.constant_leaf_count,
        )
        words = [number.to_bytes(32, "big") for number in numbers]
        return b"".join((*words, self.record_root, self.constant_root, self.source_sha256))

    @property
    def root(self) -> bytes:
        """The program root."""
        return sha256(b"PRGM" + self.encode()).digest()


@dataclass(frozen=True)
class EncodedProgram:
    """A program's records with their tree, and the tree over its constants."""

    records: tuple[bytes, ...]
    record_levels: merkle.Levels
    constant_levels: merkle.Levels
    header: ProgramHeader

    @cached_property
    def root(self) -> bytes:
        """The program root."""
        return self.header.root


def encode(program: Program) -> EncodedProgram:
    """The program as the court reads it.

    Raises:
        ProgramError: a number that does not fit its word, or a program that does not hang together.
    """
    _check(program)
    records = (_interface(program), *(_record(program, step) for step in program.instructions))
    record_levels = merkle.build(
        b"".join(
            merkle.leaf_hash(merkle.RECORD, 0, 0, number, record)
            for number, record in enumerate(records)
        )
    )
    constant_levels = merkle.build(
        b"".join(
            merkle.leaf_hashes(
                merkle.CONSTANT, 0, number, constant_data(program, number), program.leaf_bytes
            )
            for number in range(len(program.constants))
        )
    )
    header = ProgramHeader(
        tier=int(program.tier),
        leaf_bytes=program.leaf_bytes,
        record_count=len(records),
        row_leaf_count=program.row_leaf_count,
        constant_leaf_count=program.constant_leaf_count,
        record_root=merkle.root_of(record_levels),
        constant_root=merkle.root_of(constant_levels),
        source_sha256=program.source_sha256,
    )
    return EncodedProgram(records, record_levels, constant_levels, header)


def program_root(program: Program) -> bytes:
    """The root alone. Raises ProgramError as `encode` does."""
    return encode(program).root


def constant_data(program: Program, number: int) -> memoryview:
    """A constant's bytes in committed order, not copied."""
    values = program.constant_values[number]
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data


def _interface(program: Program) -> bytes:
    words: list[int] = [program.max_rows]
    for numbers in (program.inputs, program.outputs):
        words.append(len(numbers))
        for number in numbers:
            words += _place(program, Space.TRACE, number, with_count=True)
    return _pack("the interface", words)


def _record(program: Program, step: Instruction) -> bytes:
    axes = len(step.domain) + len(step.reduction)
    name = step.name or step.opcode.name
    words = [int(step.opcode), *_place(program, Space.TRACE, step.output, with_count=False)]
    words += [len(step.domain), *step.domain, len(step.reduction), *step.reduction]
    words.append(len(step.operands))
    for operand in step.operands:
        words.append(int(operand.space))
        words += _place(program, operand.space, operand.tensor, with_count=True)
        words += [*_affine(operand, axes, name), len(operand.guards)]
        for guard in operand.guards:
            words += [*_affine(guard, axes, name), _signed(guard.limit, name)]
    words += [len(step.attributes), *step.attributes]
    return _pack(name, words)


def _place(program: Program, space: Space, tensor: int, *, with_count: bool) -> list[int]:
    """Where a tensor lies: number, element type, first leaf and, for operands, element count."""
    table, first_leaves = (
        (program.tensors, program.first_leaves)
        if space is Space.TRACE
        else (program.constants, program.constant_first_leaves)
    )
    if not 0 <= tensor < len(table):
        raise ProgramError(f"there is no {space.name.lower()} tensor {tensor} of {len(table)}")
    info = table[tensor]
    words = [tensor, ELEMENT_NUMBERS[info.element], first_leaves[tensor]]
    return [*words, info.size] if with_count else words


def _affine(map_: Access | Guard, axes: int, name: str) -> list[int]:
    if len(map_.coefficients) != axes:
        raise ProgramError(f"{name}: {len(map_.coefficients)} coefficients for {axes} loop axes")
    return [_signed(number, name) for number in (map_.offset, *map_.coefficients)]


def _signed(number: int, name: str) -> int:
    if not _SMALLEST_SIGNED <= number <= _LARGEST_SIGNED:
        raise ProgramError(f"{name}: {number} does not fit a signed 32-bit word")
    return number


def _pack(name: str, words: Iterable[int]) -> bytes:
    numbers = [int(word) for word in words]
    for number in numbers:
        if not _SMALLEST_SIGNED <= number <= _LARGEST_UNSIGNED:
            raise ProgramError(f"{name}: {number} does not fit a 32-bit word")
    return struct.pack(f">{len(numbers)}I", *(number & _LARGEST_UNSIGNED for number in numbers))


def _check(program: Program) -> None:
    if program.leaf_bytes < 1 or program.leaf_bytes % LEAF_UNIT_BYTES:
        raise ProgramError(
            f"leaves of {program.leaf_bytes} bytes, not of a multiple of {LEAF_UNIT_BYTES}"
        )
    if program.max_rows < 1:
        raise ProgramError(f"a program of at most {program.max_rows} rows")
    if len(program.source_sha256) != merkle.DIGEST_BYTES:
        raise ProgramError("the SHA-256 of the source is not 32 bytes")
    if len(program.constant_values) != len(program.constants):
        raise ProgramError(
            f"{len(program.constant_values)} values for {len(program.constants)} constants"
        )
    for info, values in zip(program.constants, program.constant_values, strict=True):
        if values.dtype != info.element.dtype or values.size != info.size:
            raise ProgramError(
                f"constant {info.name!r} is {values.size} of {values.dtype}, "
                f"not {info.size} of {info.element.value}"
            )
    for step in program.instructions:
        if not 0 <= step.output < len(program.tensors):
            raise ProgramError(f"{step.name or step.opcode.name}: no tensor {step.output}")
        _check_output(step, program.tensors[step.output])


def _check_output(step: Instruction, info: TensorInfo) -> None:
    if step.size != info.size:
        raise ProgramError(
            f"{step.name or step.opcode.name}: its domain has {step.size} elements, "
            f"tensor {info.name!r} has {info.size}"
        )
