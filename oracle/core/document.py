"""JSON documents read strictly: every name taken exactly once, every value of its one form.

Responsible for refusals that name the place. Knows nothing of what a document is about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from oracle.core.types import Address, address
from oracle.errors import InputError

_LARGEST_NUMBER: Final = 2**256


class Reader:
    """One JSON object, each of whose names is to be taken exactly once."""

    def __init__(self, where: str, path: str, document: object) -> None:
        if not isinstance(document, dict):
            raise InputError(f"{path or where} is not a JSON object")
        self._where = where
        self._prefix = f"{path}." if path else ""
        self._left: dict[str, Any] = dict(document)

    @classmethod
    def of(cls, text: str, where: str) -> Reader:
        """Reads a document, which messages call `where`. Raises InputError."""
        try:
            return cls(where, "", json.loads(text, object_pairs_hook=_unique))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is not JSON: {error}") from None

    def taken(self, name: str) -> Any:
        """The value as it is."""
        if name not in self._left:
            raise InputError(f"{self._where} lacks {self._prefix}{name}")
        return self._left.pop(name)

    def end(self) -> None:
        """Raises InputError where names are left that nobody has taken."""
        if self._left:
            unknown = ", ".join(self._prefix + name for name in sorted(self._left))
            raise InputError(f"{self._where} has what does not belong there: {unknown}")

    def part(self, name: str) -> Reader:
        """A nested object."""
        return Reader(self._where, self._prefix + name, self.taken(name))

    def number(self, name: str) -> int:
        """A number from 0 that fits a word of the chain."""
        value = self.taken(name)
        if type(value) is not int or not 0 <= value < _LARGEST_NUMBER:
            raise InputError(f"{self._prefix}{name} is {_short(value)}, not a number")
        return value

    def numbers(self, *names: str) -> dict[str, Any]:
        """Several of them, by name."""
        return {name: self.number(name) for name in names}

    def boolean(self, name: str) -> bool:
        value = self.taken(name)
        if type(value) is not bool:
            raise InputError(f"{self._prefix}{name} is {_short(value)}, not true or false")
        return value

    def text(self, name: str) -> str:
        value = self.taken(name)
        if not isinstance(value, str):
            raise InputError(f"{self._prefix}{name} is {_short(value)}, not text")
        return value

    def data(self, name: str, length: int | None = None) -> bytes:
        """0x and hex digits, of so many bytes if a length is given."""
        return self._bytes(self._prefix + name, self.taken(name), length)

    def list_of_bytes(self, name: str) -> tuple[bytes, ...]:
        values = self.taken(name)
        if not isinstance(values, list):
            raise InputError(f"{self._prefix}{name} is not a list")
        return tuple(
            self._bytes(f"{self._prefix}{name}[{number}]", value, 32)
            for number, value in enumerate(values)
        )

    def _bytes(self, where: str, value: object, length: int | None) -> bytes:
        try:
            if isinstance(value, str) and value.startswith("0x"):
                raw = bytes.fromhex(value[2:])
                if len(value) == 2 + 2 * len(raw) and length in (None, len(raw)):
                    return raw
        except ValueError:
            pass
        wanted = "0x and hex digits" if length is None else f"0x and {2 * length} hex digits"
        raise InputError(f"{where} is {_short(value)}, not {wanted}")

    def address(self, name: str) -> Address:
        value = self.text(name)
        try:
            return address(value)
        except InputError as error:
            raise InputError(f"{self._prefix}{name}: {error.message}", hint=error.hint) from None

    def addresses(self, *names: str) -> dict[str, Any]:
        return {name: self.address(name) for name in names}

    def address_or_none(self, name: str) -> Address | None:
        if self._left.get(name, "") is None:
            return self.taken(name)  # type: ignore[no-any-return]
        return self.address(name)


def written(part: Any) -> dict[str, object]:
    """A flat dataclass by its fields' names, bytes as hex."""
    values: Mapping[str, Any] = {one.name: getattr(part, one.name) for one in fields(part)}
    return {
        name: hexadecimal(value)
        if isinstance(value, bytes)
        else int(value)
        if name == "tier"
        else value
        for name, value in values.items()
    }


def hexadecimal(value: bytes) -> str:
    return "0x" + value.hex()


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name appears twice")
    return document
