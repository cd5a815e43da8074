"""The generated reference of the contracts: none of what it lists goes without a word."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"function": "methods", "event": "events", "error": "errors"}


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "website")
    return import_module("interfaces")


def test_every_function_event_and_error_has_a_notice(interfaces: ModuleType) -> None:
    compiled = interfaces.compile_shown()
    for path in interfaces.SHOWN:
        name = Path(path).stem
        facts = compiled[f"contracts/src/{path}"][name]
        assert facts["userdoc"].get("notice"), f"{name} says nothing of itself"
        silent = [
            f"{entry['type']} {entry['name']}"
            for entry in facts["abi"]
            if entry["type"] in KINDS and not notice(interfaces, facts["userdoc"], entry)
        ]
        assert not silent, f"{name}: without a @notice"


def test_every_interface_is_on_the_page(interfaces: ModuleType) -> None:
    sources = ROOT / "contracts" / "src"
    found = {
        str(file.relative_to(sources))
        for folder in ("interfaces", "periphery")
        for file in (sources / folder).glob("I*.sol")
    }
    # It is never deployed and never called: it describes bytes.
    assert found - {"interfaces/IProof.sol"} <= set(interfaces.SHOWN)


def notice(interfaces: ModuleType, user: Any, entry: Any) -> str:
    said = user.get(KINDS[entry["type"]], {}).get(interfaces.signature(entry), {})
    text: str = (said[0] if isinstance(said, list) else said).get("notice", "")
    return text
