"""The ABI's encoding, compiled once per type into plain functions on bytes.

A contract's parameters never change, so their layout is worked out when the ABI is loaded and not
at every call; the tests hold the result equal to eth_abi's, which takes ten times as long. Strict:
a value that does not fit, or data with dirty padding or a length beyond its end, is refused. Knows
the types that this project's contracts use (no fixed-size arrays) and no contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from oracle.chain.word_coder import (
    ADDRESS,
    BOOL,
    WORD,
    Coder,
    Encode,
    UnfitValue,
    UnreadableData,
    fixed_bytes,
    signed,
    unsigned,
)

Parameter: TypeAlias = Mapping[str, Any]
"""One parameter as the ABI's JSON describes it."""

__all__ = ["Coder", "UnfitValue", "UnreadableData", "coder", "tuple_coder"]


def coder(parameter: Parameter) -> Coder:
    """The coder of one parameter.

    Raises:
        ValueError: the type is none of those supported.
    """
    kind: str = parameter["type"]
    if kind.endswith("[]"):
        return _array(coder({**parameter, "type": kind[:-2]}))
    if kind == "tuple":
        return tuple_coder(parameter["components"])
    if kind == "bytes":
        return Coder(_encode_bytes, _decode_bytes, 0)
    if kind == "string":
        return Coder(_encode_string, _decode_string, 0)
    if kind == "address":
        return ADDRESS
    if kind == "bool":
        return BOOL
    if match := re.fullmatch(r"uint(\d+)", kind):
        return unsigned(int(match[1]))
    if match := re.fullmatch(r"int(\d+)", kind):
        return signed(int(match[1]))
    if match := re.fullmatch(r"bytes(\d+)", kind):
        return fixed_bytes(int(match[1]))
    raise ValueError(f"ABI type {kind!r} is not supported")


def tuple_coder(parameters: Sequence[Parameter]) -> Coder:
    """The coder of a tuple, of a function's arguments, or of its results."""
    members = tuple(coder(parameter) for parameter in parameters)
    names = tuple(str(parameter.get("name", "")) for parameter in parameters)
    made = _static_tuple if all(member.size for member in members) else _dynamic_tuple
    return made(members, names)


# ---- bytes, strings and arrays


def _length(data: bytes, at: int) -> int:
    """A length or offset at a place; never beyond the data."""
    word = data[at : at + WORD]
    number = int.from_bytes(word, "big")
    if len(word) != WORD or number > len(data):
        raise UnreadableData("a length or offset points beyond the end")
    return number


def _encode_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"expected bytes, got {type(value).__name__}")
    return len(value).to_bytes(WORD, "big") + value + bytes(-len(value) % WORD)


def _decode_bytes(data: bytes, at: int) -> bytes:
    length = _length(data, at)
    start = at + WORD
    value = data[start : start + length]
    if len(value) != length:
        raise UnreadableData("bytes end before their length")
    if any(data[start + length : start + length + (-length % WORD)]):
        raise UnreadableData("dirty padding after bytes")
    return value


def _encode_string(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {type(value).__name__}")
    return _encode_bytes(value.encode())


def _decode_string(data: bytes, at: int) -> str:
    # Solidity does not check UTF-8, so whoever wrote the string decides: it must not stop a reader.
    return _decode_bytes(data, at).decode(errors="replace")


def _array(member: Coder) -> Coder:
    def encode(values: Any) -> bytes:
        return len(values).to_bytes(WORD, "big") + _join([member] * len(values), values)

    def decode(data: bytes, at: int) -> tuple[Any, ...]:
        count = _length(data, at)
        base = at + WORD
        step = member.size or WORD
        if base + count * step > len(data):
            raise UnreadableData("an array ends before its length")
        if member.size:
            return tuple(member.decode(data, base + index * step) for index in range(count))
        return tuple(
            member.decode(data, base + _length(data, base + index * step)) for index in range(count)
        )

    return Coder(encode, decode, 0)


# ---- tuples


def _static_tuple(members: Sequence[Coder], names: Sequence[str]) -> Coder:
    encoders = tuple(member.encode for member in members)
    size = sum(member.size for member in members)
    places = _places(members)

    def encode(values: Any) -> bytes:
        if len(values) != len(encoders):
            raise ValueError(f"expected {len(encoders)} values, got {len(values)}")
        try:
            return b"".join([encode(value) for encode, value in zip(encoders, values, strict=True)])
        except UnfitValue as unfit:
            raise _named(unfit, names, encoders, values) from None

    def decode(data: bytes, at: int) -> tuple[Any, ...]:
        if at + size > len(data):
            raise UnreadableData(f"{len(data) - at} bytes where {size} are needed")
        return tuple([member.decode(data, at + place) for member, place in places])

    return Coder(encode, decode, size)


def _dynamic_tuple(members: Sequence[Coder], names: Sequence[str]) -> Coder:
    head = sum(member.size or WORD for member in members)
    places = _places(members)

    def encode(values: Any) -> bytes:
        if len(values) != len(members):
            raise ValueError(f"expected {len(members)} values, got {len(values)}")
        try:
            return _join(members, values)
        except UnfitValue as unfit:
            raise _named(unfit, names, [member.encode for member in members], values) from None

    def decode(data: bytes, at: int) -> tuple[Any, ...]:
        if at + head > len(data):
            raise UnreadableData(f"{len(data) - at} bytes where {head} are needed")
        return tuple(
            [
                member.decode(data, at + place if member.size else at + _length(data, at + place))
                for member, place in places
            ]
        )

    return Coder(encode, decode, 0)


def _named(
    unfit: UnfitValue, names: Sequence[str], encoders: Sequence[Encode], values: Sequence[Any]
) -> UnfitValue:
    """The same, with the name of the innermost parameter; looked for only once it is needed."""
    if unfit.parameter:
        return unfit
    for name, encode, value in zip(names, encoders, values, strict=True):
        try:
            encode(value)
        except UnfitValue:
            return UnfitValue(unfit.reason, name)
    return unfit


def _places(members: Sequence[Coder]) -> tuple[tuple[Coder, int], ...]:
    """Each member with the place of its head."""
    places = []
    at = 0
    for member in members:
        places.append((member, at))
        at += member.size or WORD
    return tuple(places)


def _join(members: Sequence[Coder], values: Sequence[Any]) -> bytes:
    """Heads, then tails: static members in place, dynamic ones by offset."""
    heads: list[bytes] = []
    tails: list[bytes] = []
    end = sum(member.size or WORD for member in members)
    for member, value in zip(members, values, strict=True):
        encoded = member.encode(value)
        if member.size:
            heads.append(encoded)
        else:
            heads.append(end.to_bytes(WORD, "big"))
            tails.append(encoded)
            end += len(encoded)
    return b"".join(heads + tails)
