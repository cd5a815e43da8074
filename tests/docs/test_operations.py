"""docs/operations.md says what to do for every alert and every exit code that the program has."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import oracle
from oracle import errors

PACKAGE = Path(oracle.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "operations.md").read_text()
LOUD = {"warning", "error", "critical"}


def alerts() -> set[str]:
    """What the program logs above `info`, by the words of the line."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LOUD
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "_log"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
    return found


def exit_codes() -> set[int]:
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    return {one.exit_code for one in classes if issubclass(one, errors.OracleError)}


def section(title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/operations.md has no section {title!r}"
    return found[1]


def rows(title: str) -> set[str]:
    """The first cells of a section's table, without their backticks."""
    return set(re.findall(r"^\| `([^`]+)`", section(title), re.MULTILINE))


def test_every_alert_has_a_row_and_every_row_an_alert() -> None:
    assert rows("Alerts") == alerts()


def test_every_exit_code_has_a_row() -> None:
    assert {int(one) for one in rows("Exit codes")} == exit_codes() | {0, 2, 130}
