"""The contracts' ABIs and bytecode, read from the generated files that the wheel ships.

Every selector, topic and layout in Python comes from here. Knows nothing of addresses or endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector

from oracle.chain.coder import Coder, UnreadableData, tuple_coder
from oracle.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FunctionAbi:
    """One function: how its calldata is written and its results are read."""

    name: str
    selector: bytes
    inputs: Coder
    outputs: Coder

    def encode(self, *arguments: object) -> bytes:
        """Calldata of a call with these arguments."""
        return self.selector + self.inputs.encode(arguments)

    def decode(self, returned: bytes) -> tuple[Any, ...]:
        """The results of a call. Raises UnreadableData."""
        results: tuple[Any, ...] = self.outputs.decode(returned, 0)
        return results


@dataclass(frozen=True, slots=True)
class EventAbi:
    """One event: how its topics (after the first) and its data are read, by position."""

    name: str
    topic: bytes
    indexed: Coder
    unindexed: Coder
    topic_count: int

    def decode(self, topics: bytes, log_data: bytes) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Indexed and other arguments, each in the order of the declaration.

        Args:
            topics: all topics but the first, joined.

        Raises:
            UnreadableData: not a log of this event.
        """
        if len(topics) != 32 * (self.topic_count - 1):
            raise UnreadableData(f"{self.name} has {self.topic_count} topics")
        return self.indexed.decode(topics, 0), self.unindexed.decode(log_data, 0)


@dataclass(frozen=True, slots=True)
class ErrorAbi:
    """One custom error."""

    name: str
    selector: bytes
    names: tuple[str, ...]
    inputs: Coder

    def decode(self, revert_data: bytes) -> dict[str, Any]:
        """Arguments by name. Raises UnreadableData."""
        return dict(zip(self.names, self.inputs.decode(revert_data, 4), strict=True))


@dataclass(frozen=True, slots=True)
class ContractAbi:
    """All of one contract. `bytecode` creates it; constructor arguments are appended to it."""

    name: str
    functions: Mapping[str, FunctionAbi]
    events: Mapping[str, EventAbi]
    errors: Mapping[str, ErrorAbi]
    constructor: Coder
    bytecode: bytes

    def creation_code(self, *arguments: object) -> bytes:
        """What a deploying transaction carries."""
        return self.bytecode + self.constructor.encode(arguments)


@cache
def load(contract_name: str) -> ContractAbi:
    """The ABI of one contract.

    Raises:
        ConfigurationError: no such file.
    """
    file = _folder() / f"{contract_name}.json"
    if not file.is_file():
        raise ConfigurationError(
            f"there is no ABI of {contract_name}", hint="run scripts/abi in a checkout"
        )
    document = json.loads(file.read_text())
    entries: list[Mapping[str, Any]] = document["abi"]
    constructors = [entry for entry in entries if entry["type"] == "constructor"]
    return ContractAbi(
        name=contract_name,
        functions=_by_name(entries, "function", _function),
        events=_by_name(entries, "event", _event),
        errors=_by_name(entries, "error", _error),
        constructor=tuple_coder(constructors[0]["inputs"] if constructors else ()),
        bytecode=bytes.fromhex(document.get("bytecode", "").removeprefix("0x")),
    )


@cache
def errors_by_selector() -> Mapping[bytes, ErrorAbi]:
    """Every custom error of every contract."""
    names = sorted(
        file.name.removesuffix(".json")
        for file in _folder().iterdir()
        if file.name.endswith(".json")
    )
    return {error.selector: error for name in names for error in load(name).errors.values()}


def _folder() -> Traversable:
    """`oracle/abi` in a wheel, `abi` next to the package in a checkout."""
    shipped = files("oracle") / "abi"
    return shipped if shipped.is_dir() else Path(__file__).resolve().parents[2] / "abi"


def _by_name(
    entries: list[Mapping[str, Any]], kind: str, build: Callable[[Mapping[str, Any]], T]
) -> dict[str, T]:
    chosen = [entry for entry in entries if entry["type"] == kind]
    table = {entry["name"]: build(entry) for entry in chosen}
    if len(table) != len(chosen):
        raise ConfigurationError(f"an ABI has two entries of one name among its {kind}s")
    return table


def _function(entry: Mapping[str, Any]) -> FunctionAbi:
    return FunctionAbi(
        name=entry["name"],
        selector=function_abi_to_4byte_selector(entry),  # type: ignore[arg-type]
        inputs=tuple_coder(entry["inputs"]),
        outputs=tuple_coder(entry["outputs"]),
    )


def _event(entry: Mapping[str, Any]) -> EventAbi:
    indexed = [part for part in entry["inputs"] if part["indexed"]]
    return EventAbi(
        name=entry["name"],
        topic=event_abi_to_log_topic(entry),  # type: ignore[arg-type]
        indexed=tuple_coder(indexed),
        unindexed=tuple_coder([part for part in entry["inputs"] if not part["indexed"]]),
        topic_count=1 + len(indexed),
    )


def _error(entry: Mapping[str, Any]) -> ErrorAbi:
    return ErrorAbi(
        name=entry["name"],
        selector=function_abi_to_4byte_selector({**entry, "type": "function"}),  # type: ignore[arg-type]
        names=tuple(
            part["name"] or f"argument{index}" for index, part in enumerate(entry["inputs"])
        ),
        inputs=tuple_coder(entry["inputs"]),
    )
