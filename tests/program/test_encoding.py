"""Records word for word as docs/program.md has them, and a root that every fact is bound by."""

from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from oracle.core import merkle
from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.encoding import ELEMENT_NUMBERS, encode, program_root
from oracle.program.instruction import Access, Guard, Instruction, Program, Space, TensorInfo
from oracle.program.opcode import Opcode
from tests.support.small_programs import small_program

F32 = ElementType.FLOAT32


def dense() -> Program:
    """4 inputs, a guarded dot product with a 3 x 4 constant: one instruction of everything."""
    weights = np.arange(12, dtype="<f4")
    return Program(
        tier=Tier.ROUNDED,
        leaf_bytes=16,
        source_sha256=b"\xab" * 32,
        tensors=(TensorInfo("x", F32, (1, 4), (0, 1)), TensorInfo("y", F32, (1, 3), (0, 1))),
        constants=(
            TensorInfo("b", ElementType.INT64, (3,), (0,)),
            TensorInfo("w", F32, (3, 4), (0, 1)),
        ),
        constant_values=(np.arange(3, dtype="<i8"), weights),
        instructions=(
            Instruction(
                Opcode.DOT,
                1,
                (3,),
                (4,),
                (
                    Access(Space.TRACE, 0, -1, (0, 1), (Guard(-1, (0, 1), 4),)),
                    Access(Space.CONSTANT, 1, 0, (4, 1)),
                ),
                (-2, 7),
                "dense",
            ),
        ),
        inputs=(0,),
        outputs=(1,),
    )


def test_records_are_the_specified_words() -> None:
    interface, dot = encode(dense()).records
    # 4 floats are one leaf of 16 bytes, so tensor 1 begins at leaf 1
    assert interface == struct.pack(">11I", 1, 1, 0, 1, 0, 4, 1, 1, 1, 1, 3)
    expected = [
        *(Opcode.DOT, 1, 1, 1),  # opcode, output tensor, element type, first leaf
        *(1, 3, 1, 4),  # domain and reduction
        2,
        *(0, 0, 1, 0, 4, -1, 0, 1),  # x: trace, tensor, type, leaf, elements, offset, coefficients
        *(1, -1, 0, 1, 4),  # one guard
        *(1, 1, 1, 2, 12, 0, 4, 1, 0),  # w: after the two leaves of b
        *(2, -2, 7),
    ]
    assert dot == struct.pack(f">{len(expected)}i", *expected)


def test_the_root_is_over_the_specified_words() -> None:
    program = dense()
    encoded = encode(program)
    leaves = [
        merkle.leaf_hash(b"RCRD", 0, 0, number, record)
        for number, record in enumerate(encoded.records)
    ]
    record_root = sha256(b"NODE" + leaves[0] + leaves[1]).digest()
    b, w = (values.tobytes() for values in program.constant_values)
    constants = [
        merkle.leaf_hash(b"CNST", 0, 0, 0, b[:16]),
        merkle.leaf_hash(b"CNST", 0, 0, 1, b[16:]),
        *(merkle.leaf_hash(b"CNST", 0, 1, n, w[16 * n : 16 * n + 16]) for n in range(3)),
    ]
    constant_root = merkle.root_of(merkle.build(b"".join(constants)))
    words = [word.to_bytes(32, "big") for word in (1, 2, 16, 2, 2, 5)]
    stated = b"".join([*words, record_root, constant_root, b"\xab" * 32])
    assert encoded.root == sha256(b"PRGM" + stated).digest() == program_root(program)


def test_the_element_numbers_are_those_of_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    for element, number in ELEMENT_NUMBERS.items():
        found = onnx.helper.tensor_dtype_to_np_dtype(number)
        assert found == element.dtype.newbyteorder("="), element
    assert set(ELEMENT_NUMBERS) == set(ElementType)


def test_names_are_for_people() -> None:
    program = dense()
    renamed = replace(
        program,
        instructions=tuple(replace(step, name="other") for step in program.instructions),
        tensors=tuple(replace(info, name="t" + info.name) for info in program.tensors),
    )
    assert program_root(renamed) == program_root(program)


def test_every_fact_is_bound() -> None:
    program = dense()
    step = program.instructions[0]
    x, w = step.operands
    others = [
        replace(program, tier=Tier.NATIVE),
        replace(program, leaf_bytes=32),
        replace(program, source_sha256=bytes(32)),
        replace(program, outputs=(0,)),
        replace(program, inputs=(0, 0)),
        replace(program, constant_values=(program.constant_values[0], np.zeros(12, dtype="<f4"))),
        *(
            replace(program, instructions=(other,))
            for other in (
                replace(step, opcode=Opcode.SUM),
                replace(step, domain=(1, 3), operands=(_wider(x), _wider(w))),
                replace(step, reduction=(3,)),
                replace(step, attributes=(-2,)),
                replace(step, attributes=(-2, 8)),
                replace(step, operands=(w, x)),
                replace(step, operands=(replace(x, guards=()), w)),
                replace(step, operands=(replace(x, offset=0), w)),
                replace(step, operands=(replace(x, coefficients=(1, 0)), w)),
                replace(step, operands=(replace(x, guards=(Guard(-1, (0, 1), 5),)), w)),
            )
        ),
    ]
    roots = {program_root(other) for other in others}
    assert len(roots) == len(others)
    assert program_root(program) not in roots


def _wider(access: Access) -> Access:
    guards = tuple(replace(one, coefficients=(0, *one.coefficients)) for one in access.guards)
    return replace(access, coefficients=(0, *access.coefficients), guards=guards)


def test_a_program_without_constants_has_a_root() -> None:
    encoded = encode(small_program())
    assert encoded.header.constant_root == bytes(32)
    assert encoded.header.constant_leaf_count == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domain": (4,)}, "its domain has 4 elements"),
        ({"output": 2}, "no tensor 2"),
        ({"attributes": (2**32,)}, "does not fit"),
        ({"operands": (Access(Space.TRACE, 0, 2**31, (0, 1)),)}, "does not fit a signed"),
        ({"operands": (Access(Space.TRACE, 0, 0, (0,)),)}, "1 coefficients for 2 loop axes"),
        ({"operands": (Access(Space.CONSTANT, 2, 0, (0, 1)),)}, "no constant tensor 2 of 2"),
    ],
)
def test_what_cannot_be_written_is_refused(change: dict[str, object], message: str) -> None:
    program = dense()
    step = replace(program.instructions[0], **change)  # type: ignore[arg-type]
    with pytest.raises(ProgramError, match=message):
        encode(replace(program, instructions=(step,)))


def test_constants_are_of_their_type_and_size() -> None:
    program = dense()
    with pytest.raises(ProgramError, match="constant 'w' is 11"):
        encode(replace(program, constant_values=(program.constant_values[0], np.zeros(11, "<f4"))))
    with pytest.raises(ProgramError, match="1 values for 2 constants"):
        encode(replace(program, constant_values=program.constant_values[:1]))
