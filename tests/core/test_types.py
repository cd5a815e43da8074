"""Amounts and addresses: exact both ways, refused where they are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.types import address, bytes32, format_opg, opg
from oracle.errors import InputError


@given(st.integers(min_value=0, max_value=2**96 - 1))
def test_amounts_survive_writing_and_reading(base_units: int) -> None:
    assert opg(format_opg(base_units)) == base_units


@pytest.mark.parametrize(
    ("text", "base_units"),
    [
        ("1", 10**18),
        ("0.5", 5 * 10**17),
        (".5", 5 * 10**17),
        ("2.", 2 * 10**18),
        (" 3 ", 3 * 10**18),
    ],
)
def test_amounts_people_write(text: str, base_units: int) -> None:
    assert opg(text) == base_units


@pytest.mark.parametrize("text", ["", "-1", "1e18", "1,5", "0x10", "1.2.3", "0." + "1" * 19, "²"])
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        opg(text)


def test_negative_amounts_are_written_with_a_sign() -> None:
    assert format_opg(-15 * 10**17) == "-1.5"


def test_addresses_are_checksummed() -> None:
    lower = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    assert address(lower) == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    with pytest.raises(InputError, match="not an address"):
        address("0x1234")


def test_ids_are_32_bytes() -> None:
    assert bytes32("0x" + "ab" * 32) == b"\xab" * 32
    for text in ("0x12", "zz" * 32, "ab" * 33):
        with pytest.raises(InputError, match="request id"):
            bytes32(text, what="request id")
    assert bytes32(b"\xab" * 32) == b"\xab" * 32
    with pytest.raises(InputError, match="'0x1234' is not an id"):
        bytes32(b"\x12\x34", what="id")
