"""Reverts by name, however a node wraps them."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from oracle.chain import abi
from oracle.chain.revert import HINTS, decode_revert, revert_of
from oracle.chain.rpc import RpcRefusal
from oracle.errors import ContractReverted

ERROR = abi.load("InferenceOracle").errors["BondTooLow"]
DATA = ERROR.selector + ERROR.inputs.encode((10**18, 20 * 10**18))


def test_custom_error() -> None:
    reverted = decode_revert(DATA)
    assert reverted.name == "BondTooLow"
    assert reverted.arguments == {"bond": 10**18, "minimum": 20 * 10**18}
    assert str(reverted) == "the contract refused: BondTooLow(bond=1 OPG, minimum=20 OPG)"
    assert reverted.hint == HINTS["BondTooLow"]


@pytest.mark.parametrize(
    ("deadline", "said"), [(70, "31 s too early: give it 1 to 100 s"), (230, "30 s too late")]
)
def test_a_deadline_out_of_bounds_says_by_how_much_and_what_to_pass(
    deadline: int, said: str
) -> None:
    error = abi.load("InferenceOracle").errors["DeadlineOutOfBounds"]
    reverted = decode_revert(error.selector + error.inputs.encode((deadline, 101, 200)))
    assert reverted.arguments["deadline"] == deadline
    assert "earliest=1970-01-01 00:01:41 UTC" in reverted.message
    assert reverted.hint is not None
    assert said in reverted.hint
    assert "--time-to-answer" in reverted.hint


def test_solidity_errors() -> None:
    text = decode_revert(bytes.fromhex("08c379a0") + encode(["string"], ["no such luck"]))
    assert (text.name, text.arguments) == ("Error", {"reason": "no such luck"})
    panic = decode_revert(bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]))
    assert panic.name == "Panic"
    assert panic.arguments == {"code": 0x11, "meaning": "arithmetic overflow"}


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x02\x03\x04", DATA[:20]])
def test_what_no_abi_has_is_unknown(data: bytes) -> None:
    reverted = decode_revert(data)
    assert reverted.name == "unknown"
    assert reverted.arguments == ({"data": data} if data else {})


@pytest.mark.parametrize(
    "error_data",
    [
        "0x" + DATA.hex(),
        "Reverted 0x" + DATA.hex(),
        {"data": "0x" + DATA.hex()},
        {"originalError": {"code": 3, "data": "0x" + DATA.hex()}},
    ],
)
def test_data_is_found(error_data: object) -> None:
    reverted = revert_of(RpcRefusal("eth_call", -32000, "execution reverted", error_data))
    assert reverted is not None
    assert reverted.name == "BondTooLow"


def test_other_refusals_are_no_reverts() -> None:
    assert revert_of(RpcRefusal("eth_call", -32601, "method not found", None)) is None
    bare = revert_of(RpcRefusal("eth_call", 3, "execution reverted", None))
    assert isinstance(bare, ContractReverted)
    assert bare.name == "unknown"


def test_hints_are_of_errors_that_exist() -> None:
    names = {error.name for error in abi.errors_by_selector().values()}
    assert set(HINTS) <= names


def test_every_error_can_be_shown() -> None:
    for error in abi.errors_by_selector().values():
        zeros = error.selector + bytes(32 * 8)
        assert decode_revert(zeros).name == error.name
