"""What a revert says: a custom error by name, its arguments and, where known, what to do next.

Responsible for telling a revert from other refusals of a node. Knows every contract's errors and no
contract's address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from oracle.chain import abi
from oracle.chain.coder import UnreadableData, coder
from oracle.chain.revert_words import by_how_much, in_words
from oracle.chain.rpc import RpcRefusal
from oracle.core.request import RequestState
from oracle.errors import ContractReverted

HINTS: Final[Mapping[str, str]] = {
    "BalanceTooLow": "deposit OPG into the account at the oracle first",
    "AcceptNotSigned": "the gateway is not to be believed: ask another operator",
    "AlreadyPosted": "look the request up, or ask again: it is another one then",
    "AnswerNotSigned": "the gateway is not to be believed: ask another operator",
    "BondTooLow": "raise the bond: it is at least the model's minimum and 20 times the fee",
    "CallerMissing": "an eth_call needs `from`: the address that could post the receipt",
    "CallbackGasTooHigh": "lower the callback's gas limit",
    "CommitmentMismatch": "bring the operator, result hash and trace root of the posted answer",
    "DeadlineNotPassed": "wait until the deadline is over",
    "DeadlinePassed": "the request can no longer be accepted or answered; it can be expired",
    "DemandTooLate": "the answer's last second would come before the time to reveal and to use it",
    "DemandUnknown": "it was met, timed out or refunded; see the court's events of the request",
    "DepositAboveMaximum": "offer a larger deposit: others have demanded in the meantime",
    "DisputeNotOver": "a deposit returns when the answer is voided or final",
    "ERC20InsufficientAllowance": "approve the contract to spend OPG first",
    "ERC20InsufficientBalance": "the account holds too little OPG",
    "EndpointTooLong": "announce a shorter URL",
    "FeeAboveOffer": "ask another operator: posting this receipt would cost more than its offer",
    "FreeStakeTooLow": "bond more OPG, or wait until requests in flight are settled",
    "ModelNotLive": "register the model, or choose one that is not deprecated",
    "NoGateways": "ask an operator that has some, or send a request",
    "NotEnoughGasForCallback": "send the transaction with a higher gas limit",
    "NotFinalYet": "wait until the answer is final",
    "NotInDispute": "the request is over: what was pending can be refunded",
    "NotRegistrar": "only the account that registered the model may deprecate it",
    "NotRequester": "only the account that pays for the request may cancel it",
    "NotViolated": "the element may come from an honest run; prove another",
    "NothingAtStake": "the request's bond is not to be slashed now, or was",
    "OperatorExists": "this account is an operator already; change its keys instead",
    "OperatorUnknown": "register the operator first",
    "PriorityNotOver": "wait until nobody can claim the share before its holder",
    "RevealTooLarge": "demand fewer leaves at once",
    "RevealWindowMissing": "give operators time to show a trace: --reveal-window",
    "RevealWindowNotOver": "the operator still has time to reveal",
    "RevealWindowOver": "the demand can only time out now",
    "SignatureExpired": "sign a new acceptance",
    "SignatureInvalid": "sign with the key that is registered, for this chain and this oracle",
    "StakeNotFree": "nothing would back the answer now: ask another operator",
    "ValueAtRiskAboveBond": "raise the bond to the value at risk, or say that less is at risk",
    "WindowOutOfBounds": "choose a challenge window between the two bounds given",
    "WrongState": "look the request up: it has moved on, or its terms are not those of the id",
}

_STATE_NAMES = {state.value: state.name.title().replace("_", "") for state in RequestState}
"""As the contract spells them."""

_STATES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "WrongState": ("expected", "actual"),
    "NotInDispute": ("state",),
    "DisputeNotOver": ("state",),
    "NothingAtStake": ("state",),
    "AlreadyPosted": ("state",),
}
"""Which arguments of an error are states of a request."""

_VERDICT_NAMES: Final[Mapping[int, str]] = {0: "Undefined", 1: "Within", 2: "Violated"}

_PANICS: Final[Mapping[int, str]] = {
    0x01: "a failed assertion",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "a value that is no member of an enum",
    0x31: "pop of an empty array",
    0x32: "index out of bounds",
    0x41: "too much memory",
    0x51: "a call of an uninitialised function",
}

# The two errors that Solidity itself declares.
_ERROR = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_STRING = coder({"type": "string"})
_NUMBER = coder({"type": "uint256"})

_REVERT_WORDS = re.compile(
    r"revert|out of ?gas|invalid opcode|stack (over|under)flow", re.IGNORECASE
)
_HEX = re.compile(r"0x[0-9a-fA-F]*")


def decode_revert(revert_data: bytes) -> ContractReverted:
    """The error that a revert's data stand for; named "unknown" where no ABI has it."""
    selector = revert_data[:4]
    try:
        if selector == _ERROR:
            return ContractReverted("Error", {"reason": _STRING.decode(revert_data[36:], 0)})
        if selector == _PANIC:
            code = _NUMBER.decode(revert_data, 4)
            meaning = _PANICS.get(code, "unknown")
            return ContractReverted("Panic", {"code": code, "meaning": meaning})
        declared = abi.errors_by_selector().get(selector)
        if declared is not None:
            arguments = _readable(declared.name, declared.decode(revert_data))
            return ContractReverted(
                declared.name,
                arguments,
                shown=in_words(declared.name, arguments),
                hint=by_how_much(declared.name, arguments) or HINTS.get(declared.name),
            )
    except UnreadableData:
        pass
    return ContractReverted("unknown", {"data": revert_data} if revert_data else {})


def revert_of(refusal: RpcRefusal) -> ContractReverted | None:
    """The revert that a node's refusal reports, or None where it reports something else."""
    revert_data = _revert_data(refusal.error_data)
    if revert_data:
        return decode_revert(revert_data)
    if refusal.code == 3 or _REVERT_WORDS.search(refusal.reason):
        return ContractReverted("unknown", {"reason": refusal.reason})
    return None


def _revert_data(error_data: object) -> bytes | None:
    """Nodes send the data as hex, as words that end in hex, or within an object."""
    if isinstance(error_data, dict):
        nested = (_revert_data(error_data.get(key)) for key in ("data", "result", "originalError"))
        return next((found for found in nested if found), None)
    if not isinstance(error_data, str):
        return None
    for found in _HEX.findall(error_data):
        if len(found) >= 10 and len(found) % 2 == 0:
            return bytes.fromhex(found[2:])
    return None


def _readable(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Names the states of a request, and the verdict of a NotViolated."""
    if name == "NotViolated":
        return {"verdict": _VERDICT_NAMES.get(arguments["verdict"], arguments["verdict"])}
    places = _STATES_OF.get(name, ())
    return {
        key: _STATE_NAMES.get(value, value) if key in places else value
        for key, value in arguments.items()
    }
