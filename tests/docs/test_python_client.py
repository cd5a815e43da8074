"""The generated reference of the Python client: nothing that `oracle.client` exports is missing."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from oracle import client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(ROOT / "website")
    text: str = import_module("python_client").page()
    return text


def test_every_exported_name_is_on_the_page(page: str) -> None:
    for name in set(client.__all__) - {"Address"}:
        assert re.search(rf"^#+ {name}$|`{name}`", page, re.MULTILINE), name


def test_every_verb_of_the_client_has_its_signature_and_its_arguments(page: str) -> None:
    for name, member in inspect.getmembers(client.OracleClient):
        if not name.startswith("_"):
            assert f"\n### OracleClient.{name}\n" in page
            assert inspect.getdoc(member), f"OracleClient.{name} says nothing of itself"
    asked = page.partition("### OracleClient.request\n")[2].partition("\n### ")[0]
    assert "async request(\n    model: bytes | str,\n    inputs: Inputs,\n    *,\n" in asked
    assert "    fee: int | None = None,\n" in asked
    for name in ("fee", "value_at_risk", "time_to_answer", "window"):
        assert f"| `{name}` | " in asked
    assert "| `TensorError` | the inputs do not fit" in asked


def test_the_site_lists_it() -> None:
    assert "reference/python-client.md" in (ROOT / "website" / "mkdocs.yml").read_text()
