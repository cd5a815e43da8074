"""Proofs as the bytes that `FraudVerifier` takes: the kind, and the ABI encoding of its struct.

The types come from `abi/IProof.json`. Knows nothing of what a proof shows.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, TypeAlias

from oracle.chain import abi
from oracle.court.opening import Opening, RecordOpening
from oracle.court.proof import (
    ElementProof,
    EmptyProof,
    FraudKind,
    Place,
    Proof,
)

_Words: TypeAlias = tuple[Any, ...]
_NO_LEAVES: _Words = (0, b"", ())


def encode_proof(proof: Proof) -> bytes:
    """The bytes of a proof, for `proveFraud` and `judge`."""
    head: _Words = (astuple(proof.header), astuple(proof.trace), _record(proof.record))
    if isinstance(proof, ElementProof):
        operands = [(opening.operand, _leaves(opening.leaves)) for opening in proof.operands]
        words: _Words = (*head, proof.row, proof.position, _leaves(proof.output), operands)
        return _kind(FraudKind.ELEMENT) + _encoded("element", words)
    if isinstance(proof, EmptyProof):
        return _kind(FraudKind.EMPTY) + _encoded("empty", head)
    leaves = _NO_LEAVES if proof.leaves is None else _leaves(proof.leaves)
    words = (*head, proof.message, proof.row, proof.tensor, proof.position, leaves)
    return _kind(proof.kind) + _encoded("message", words)


def encode_place(place: Place) -> bytes:
    """The bytes that name the leaves somebody wants to see, for `demandReveal`."""
    words = (
        astuple(place.header),
        _record(place.record),
        place.input,
        place.rows,
        place.row,
        place.first,
        place.count,
    )
    return _encoded("place", words)


def _encoded(function: str, words: _Words) -> bytes:
    return abi.load("IProof").functions[function].inputs.encode((words,))


def _kind(kind: FraudKind) -> bytes:
    return int(kind).to_bytes(32, "big")


def _record(opening: RecordOpening) -> _Words:
    return opening.number, opening.data, opening.path


def _leaves(opening: Opening) -> _Words:
    return opening.first, opening.data, opening.path
