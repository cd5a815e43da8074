"""Proofs as they stand in a transaction that convicted, read back for people.

The contract has judged them; this only takes them apart. Knows nothing of what they show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from oracle.chain import abi
from oracle.chain.coder import UnreadableData
from oracle.court.proof import FraudKind
from oracle.errors import InputError
from oracle.program.encoding import ProgramHeader

_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class ShownLeaves:
    """Leaves from the tensor's leaf `first` on."""

    first: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ShownElement:
    """One element with its record, and the leaves that its operands were read from."""

    header: ProgramHeader
    rows: int
    instruction: int
    record: bytes
    row: int
    position: int
    output: ShownLeaves
    operands: tuple[tuple[int, ShownLeaves], ...]


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """An input or a result that is not what the trace begins or ends with."""

    kind: FraudKind
    header: ProgramHeader
    rows: int
    message: bytes
    row: int
    tensor: int
    position: int
    leaves: ShownLeaves


@dataclass(frozen=True, slots=True)
class ShownEmpty:
    """An empty result of a trace that has outputs."""

    header: ProgramHeader
    rows: int


Shown = ShownElement | ShownMessage | ShownEmpty


def proof_of_call(calldata: bytes) -> Shown | None:
    """The proof in a call of `proveFraud`; None where another contract made the call.

    Raises:
        InputError: a call of it with something else inside, which would not have convicted.
    """
    function = abi.load("DisputeManager").functions["proveFraud"]
    if calldata[:4] != function.selector:
        return None
    try:
        arguments = function.inputs.decode(calldata, 4)
        return _decoded(arguments[4])
    except (UnreadableData, ValueError, IndexError, TypeError) as error:
        raise InputError(f"the transaction holds no proof that can be read: {error}") from error


def _decoded(proof: bytes) -> Shown:
    kind = FraudKind(int.from_bytes(proof[:_WORD], "big"))
    if kind is FraudKind.ELEMENT:
        header, trace, record, row, position, output, operands = _words("element", proof)
        return ShownElement(
            header=ProgramHeader(*header),
            rows=trace[0],
            instruction=record[0] - 1,
            record=record[1],
            row=row,
            position=position,
            output=_leaves(output),
            operands=tuple((number, _leaves(leaves)) for number, leaves in operands),
        )
    if kind is FraudKind.EMPTY:
        header, trace, _record = _words("empty", proof)
        return ShownEmpty(ProgramHeader(*header), trace[0])
    header, trace, _record, message, row, tensor, position, leaves = _words("message", proof)
    head = ProgramHeader(*header)
    return ShownMessage(kind, head, trace[0], message, row, tensor, position, _leaves(leaves))


def _words(function: str, proof: bytes) -> tuple[Any, ...]:
    found: tuple[Any, ...] = abi.load("IProof").functions[function].inputs.decode(proof, _WORD)[0]
    return found


def _leaves(words: tuple[Any, ...]) -> ShownLeaves:
    return ShownLeaves(words[0], words[1])
