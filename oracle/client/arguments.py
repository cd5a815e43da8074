"""What a caller gives the client, looked at once: its type, and whether a contract can hold it.

Python would say "unsupported operand" somewhere below, or take 25 base units for 25 OPG. Knows no
chain and no model: whether terms are any good is for the oracle to say.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from oracle.chain.deployment import Deployment
from oracle.chain.keystore import LocalSigner
from oracle.core.receipt import Receipt
from oracle.core.types import MOST_OPG_BASE_UNITS, Address, address, format_opg
from oracle.errors import InputError

LEAST_MEANT: Final = 10**9
"""Base units. What is less and not 0 is no price and no risk that anybody has: a billionth of an
OPG, and far more likely a number of OPG that was not multiplied by 10^18."""


def amount(given: object, name: str, *, any_size: bool = False) -> int:
    """Base units of OPG.

    Args:
        any_size: for what moves a remainder, which may be next to nothing.

    Raises:
        InputError: no whole number, one that no contract can hold, or next to nothing.
    """
    value = _whole(given, name, "base units, an int", 'opg("1") is 1 OPG')
    if not 0 <= value <= MOST_OPG_BASE_UNITS:
        raise InputError(
            f"{name} of {value} base units is not what a contract can hold",
            hint=f"0 to {MOST_OPG_BASE_UNITS} base units",
        )
    if 0 < value < LEAST_MEANT and not any_size:
        raise InputError(
            f"{name} of {value} base units is next to nothing: {format_opg(value)} OPG",
            hint=f'amounts are base units: opg("{value}") is {value} OPG',
            cli_hint=f"give 0, or at least {format_opg(LEAST_MEANT)} OPG",
        )
    return value


def seconds(given: object, name: str) -> int:
    """Whole seconds; how many there may be is said where they are used."""
    return _whole(given, name, "whole seconds, an int", f"{name}=60 is a minute")


def gas(given: object, name: str) -> int:
    """Units of gas."""
    return _whole(given, name, "units of gas, an int", f"{name}=150_000 is usual")


def account(given: object, name: str) -> Address:
    """An address, with its checksum."""
    if not isinstance(given, str):
        raise InputError(
            f"{name} is {_shown(given)}, and not an address",
            hint="an address is a str: 0x and 40 hex digits",
        )
    return address(given)


def reference(given: object) -> bytes | str:
    """What names a model."""
    if not isinstance(given, bytes | str):
        raise InputError(
            f"{_shown(given)} names no model",
            hint="a model is named by its name, or by its id: a str or 32 bytes",
        )
    return given


def arrays(given: Any) -> Any:
    """The inputs' container; what is in it is looked at where it is encoded."""
    if not isinstance(given, Mapping | Sequence) or isinstance(given, str | bytes | bytearray):
        raise InputError(
            f"the inputs are {_shown(given)}, and neither a mapping nor a sequence of arrays",
            hint='give arrays by the names of the inputs, like {"pixels": array}, or [array] in '
            "their order",
        )
    return given


def duration(given: object, name: str) -> float:
    """Seconds, in parts too, on this machine's clock."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputError(
            f"{name} is seconds, a number, and not {_shown(given)}", hint=f"{name}=60 is a minute"
        )
    return given


def deployment(given: object) -> Deployment:
    """The addresses, read where they are in a file. Raises ConfigurationError, too."""
    if isinstance(given, Deployment):
        return given
    if not isinstance(given, str | Path):
        raise InputError(
            f"the deployment is {_shown(given)}", hint="give the path of its file, deployment.json"
        )
    return Deployment.load(Path(given))


def signer(given: object) -> None:
    """What signs transactions, or None."""
    if given is not None and not isinstance(given, LocalSigner):
        raise InputError(
            f"the signer is a {type(given).__name__}, and not a LocalSigner",
            hint='LocalSigner.from_keystore(Path("keys/me.json"), password) makes one',
        )


def receipt(given: object) -> None:
    """What somebody signed."""
    if not isinstance(given, Receipt):
        raise InputError(
            f"{_shown(given)} is no receipt",
            hint="`await oracle.receipt(request.id)` gives one",
        )


def _whole(given: object, name: str, unit: str, example: str) -> int:
    """Any integer's value, NumPy's too. Raises InputError for what is none, True and False."""
    try:
        if isinstance(given, bool):
            raise TypeError
        return operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name} is {unit}, and not {_shown(given)}", hint=example) from None


def _shown(given: object) -> str:
    """A value as Python writes it, if that is short, and its type."""
    text = repr(given)
    kind = type(given).__name__
    return f"{text} ({kind})" if len(text) <= 40 else f"a {kind}"
