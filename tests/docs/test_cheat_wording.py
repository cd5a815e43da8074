"""However often the cheaper weights are described, it is as the cheat makes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import oracle
from scripts.dishonest_operator import FRACTION_BITS, KEPT_BITS

ROOT = Path(oracle.__file__).parent.parent
BITS = re.compile(r"(\w+)[ -]bits?\s+(?:\w+\s+){0,2}(?:fraction|weight|copy)|weights of (\w+) bits")


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/performance.md",
        "oracle/demo/second_act.py",
        "scripts/dishonest_operator.py",
    ],
)
def test_the_cheaper_weights_are_described_as_they_are(page: str) -> None:
    text = (ROOT / page).read_text()
    named = {one or other for one, other in BITS.findall(text)}
    assert named == {str(KEPT_BITS)}


def test_the_cheat_says_of_how_many_bits_it_keeps_them() -> None:
    text = (ROOT / "scripts" / "dishonest_operator.py").read_text()
    assert f"keep {KEPT_BITS} bits of their fractions of {FRACTION_BITS}" in text
