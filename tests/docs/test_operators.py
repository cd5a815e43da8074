"""The operators that docs/program.md says are compiled: those that the compiler has rules for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import oracle.program.compile  # noqa: F401 - its import registers the rules
from oracle.program.normalise.rule import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "program.md").read_text()


@pytest.mark.parametrize(
    ("heading", "domain"),
    [
        ("Of ONNX itself:", ""),
        ("Of `ai.onnx.ml`:", "ai.onnx.ml."),
        ("Of onnxruntime's `com.microsoft`:", "com.microsoft."),
    ],
)
def test_the_list_is_what_the_compiler_has(heading: str, domain: str) -> None:
    listed = PAGE.split(heading + "\n")[1].split(".\n", 1)[0]
    known = {one.removeprefix(domain) for one in RULES if one.startswith(domain)}
    assert re.split(r",\s+", listed.strip()) == sorted(one for one in known if "." not in one)
