"""The compiled coder writes and reads exactly what eth_abi does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.chain import abi
from oracle.chain.coder import UnreadableData, coder, tuple_coder
from oracle.core.types import address

WORD = 32


def leaf(kind: str, values: st.SearchStrategy[Any]) -> tuple[dict[str, Any], Any]:
    return {"type": kind}, values


LEAVES = [
    leaf("uint8", st.integers(0, 2**8 - 1)),
    leaf("uint40", st.integers(0, 2**40 - 1)),
    leaf("uint256", st.integers(0, 2**256 - 1)),
    leaf("int64", st.integers(-(2**63), 2**63 - 1)),
    leaf("int256", st.integers(-(2**255), 2**255 - 1)),
    leaf("bool", st.booleans()),
    leaf("address", st.binary(min_size=20, max_size=20).map(lambda raw: address(f"0x{raw.hex()}"))),
    leaf("bytes32", st.binary(min_size=32, max_size=32)),
    leaf("bytes4", st.binary(min_size=4, max_size=4)),
    leaf("bytes", st.binary(max_size=100)),
    leaf("string", st.text("aé漢🙂\x00", max_size=20)),
]


@st.composite
def typed_values(draw: st.DrawFn, depth: int = 2) -> tuple[dict[str, Any], Any]:
    """A parameter and a value for it."""
    form = draw(st.sampled_from(["leaf", "tuple", "array"] if depth else ["leaf"]))
    if form == "leaf":
        parameter, values = draw(st.sampled_from(LEAVES))
        return parameter, draw(values)
    if form == "tuple":
        members = draw(st.lists(typed_values(depth=depth - 1), min_size=1, max_size=4))
        parameters = [parameter for parameter, _ in members]
        return {"type": "tuple", "components": parameters}, tuple(value for _, value in members)
    parameter, values = draw(st.sampled_from(LEAVES))
    if draw(st.booleans()):
        inner = {"type": "tuple[]", "components": [parameter, {"type": "bytes"}]}
        return inner, tuple((draw(values), draw(st.binary(max_size=40))) for _ in range(2))
    rows = draw(st.lists(values, max_size=3))
    return {**parameter, "type": parameter["type"] + "[]"}, tuple(rows)


def plain(value: Any) -> Any:
    """eth_abi's addresses have no checksum."""
    if isinstance(value, tuple | list):
        return tuple(plain(part) for part in value)
    return value.lower() if isinstance(value, str) and value.startswith("0x") else value


@settings(max_examples=300)
@given(st.lists(typed_values(), max_size=5))
def test_equal_to_eth_abi(members: list[tuple[dict[str, Any], Any]]) -> None:
    parameters = [parameter for parameter, _ in members]
    values = tuple(value for _, value in members)
    types = [collapse_if_tuple(parameter) for parameter in parameters]
    ours = tuple_coder(parameters)
    encoded = ours.encode(values)
    assert encoded == encode(types, values)
    assert ours.decode(encoded, 0) == values
    assert plain(decode(types, encoded)) == plain(values)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    for event in abi.load("InferenceOracle").events.values():
        try:
            values = event.unindexed.decode(noise, 0)
        except UnreadableData:
            continue
        assert event.unindexed.decode(event.unindexed.encode(values), 0) == values


def test_a_huge_length_costs_nothing() -> None:
    words = coder({"type": "uint256[]"})
    with pytest.raises(UnreadableData):
        words.decode((2**200).to_bytes(WORD, "big"), 0)
    with pytest.raises(UnreadableData):
        words.decode((60).to_bytes(WORD, "big") + bytes(64), 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("int8", 128),
        ("uint8", 1.0),
        ("uint8", "1"),
        ("bool", 1),
        ("address", "0x12"),
        ("address", b"\x11" * 20),
        ("bytes32", b"\x11" * 31),
        ("bytes4", "0x11111111"),
        ("bytes", "text"),
        ("string", b"bytes"),
    ],
)
def test_values_that_do_not_fit_are_refused(kind: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        coder({"type": kind}).encode(value)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("uint8", b"\x01" * WORD),
        ("bool", b"\x00" * 31 + b"\x02"),
        ("address", b"\x01" * WORD),
        ("bytes4", b"\x01" * WORD),
    ],
)
def test_dirty_words_are_refused(kind: str, word: bytes) -> None:
    with pytest.raises(UnreadableData):
        tuple_coder([{"type": kind}]).decode(word, 0)


def test_numpy_integers_are_taken() -> None:
    number = coder({"type": "uint64"})
    assert number.encode(np.int64(7)) == number.encode(7)


def test_unknown_types_are_refused() -> None:
    for kind in ("uint8[3]", "fixed128x18", "function"):
        with pytest.raises(ValueError, match="not supported"):
            coder({"type": kind})
