"""The committed table names the tests that there are, no more and no fewer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.failures import FIFTEEN

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "failures.md"


def marked() -> Iterator[tuple[int, str, str]]:
    """Number, file and name of every test with the mark."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = file.read_text()
        if "@failure(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            # A mark may be a parameter's, too.
            for mark in (inner for one in node.decorator_list for inner in ast.walk(one)):
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "failure":
                    number = ast.literal_eval(mark.args[0])
                    yield number, file.relative_to(ROOT).as_posix(), node.name


def listed() -> Iterator[tuple[int, str, str]]:
    number = 0
    for line in PAGE.read_text().splitlines():
        if heading := re.match(r"## (\d+)\.", line):
            number = int(heading[1])
        elif row := re.search(r"\| \[`(\w+)`\]\(\.\./([\w/.]+)\) \|", line):
            yield number, row[2], row[1]


def test_the_table_has_the_tests_that_there_are() -> None:
    assert sorted(set(listed())) == sorted(set(marked())), "run scripts/failure-table"


def test_the_table_has_all_fifteen() -> None:
    headings = re.findall(r"^## (\d+)\. ", PAGE.read_text(), re.MULTILINE)
    assert [int(one) for one in headings] == list(FIFTEEN) == list(range(1, 16))
