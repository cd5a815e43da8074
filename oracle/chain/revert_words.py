"""A revert's numbers as a person reads them: amounts in OPG, times as dates, and by how much.

Knows the unit of every error whose numbers have one. The numbers themselves stay as they are in
`ContractReverted.arguments`, for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from oracle.core.types import format_opg


def moment(unix_seconds: int) -> str:
    """A time as a date in UTC."""
    try:
        return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return str(unix_seconds)  # a contract's word can be beyond any calendar


def _amount(base_units: int) -> str:
    return f"{format_opg(base_units)} OPG"


def _seconds(count: int) -> str:
    return f"{count} s"


_UNITS: Final[Mapping[str, Callable[[int], str]]] = {
    "BalanceTooLow": _amount,
    "BondTooLow": _amount,
    "DepositAboveMaximum": _amount,
    "FeeAboveOffer": _amount,
    "StakeNotFree": _amount,
    "ERC20InsufficientAllowance": _amount,
    "ERC20InsufficientBalance": _amount,
    "FreeStakeTooLow": _amount,
    "TransferMismatch": _amount,
    "ValueAtRiskAboveBond": _amount,
    "ChallengeWindowOutOfBounds": _seconds,
    "ExitDelayTooShort": _seconds,
    "RevealWindowTooLong": _seconds,
    "WindowOutOfBounds": _seconds,
    "DeadlineNotPassed": moment,
    "DeadlineOutOfBounds": moment,
    "DeadlinePassed": moment,
    "DemandTooLate": moment,
    "DisputeOver": moment,
    "NotAnnouncedEarlier": moment,
    "NotFinalYet": moment,
    "PriorityNotOver": moment,
    "PriorityOver": moment,
    "RevealWindowNotOver": moment,
    "RevealWindowOver": moment,
    "SettleAtOutOfBounds": moment,
    "SignatureExpired": moment,
    "TimeOutOfBounds": moment,
    "UnbondingNotOver": moment,
    "WithdrawalAlreadyAnnounced": moment,
    "WithdrawalNotOver": moment,
}


def in_words(error_name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with their units, where the error has any."""
    unit = _UNITS.get(error_name)
    return {
        name: unit(value) if unit is not None and isinstance(value, int) else value
        for name, value in arguments.items()
    }


def by_how_much(error_name: str, arguments: Mapping[str, Any]) -> str | None:
    """What is missing and what to pass, where the arguments alone say so."""
    match error_name:
        case "DeadlineOutOfBounds":
            deadline, earliest, latest = (arguments[x] for x in ("deadline", "earliest", "latest"))
            off = (
                f"{earliest - deadline} s too early"
                if deadline < earliest
                else f"{deadline - latest} s too late"
            )
            return (
                f"the deadline is {off}: give it 1 to {max(1, latest - earliest + 1)} s "
                "(--time-to-answer), and some of it is gone until the request is mined"
            )
        case "ERC20InsufficientBalance":
            lacks = arguments["needed"] - arguments["balance"]
            return f"send {format_opg(lacks)} OPG to {arguments['sender']}"
        case "UnbondingNotOver":
            left = arguments["availableAt"] - arguments["timestamp"]
            return f"wait {left} s more, until the exit delay is over"
    return None
