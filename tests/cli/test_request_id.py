"""What verbs say of the start of an id that nobody here knows; `test_repair` has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Oracle

START = "0x79f9a182"


@pytest.mark.parametrize(
    "words",
    [
        ["show", START],
        ["show", START + "…"],
        ["verify", START],
        ["receipt", START, "--save", "r.json"],
        ["cancel", START],
        ["reclaim", START],
        ["notice", START],
    ],
)
def test_an_unknown_start_of_an_id_is_told_how_many_digits_it_lacks(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "oracle.toml").touch()
    said = Oracle(tmp_path).fails(3, *words)
    assert "is 0x and 64 hex digits: it has 8" in said
    assert "oracle job show" in said
    assert "32 bytes" not in said
    assert [one.name for one in tmp_path.iterdir()] == ["oracle.toml"]


@pytest.mark.parametrize("given", ["", " "])
@pytest.mark.parametrize(
    "words", [["show"], ["verify"], ["receipt", "--save", "r.json"], ["cancel"], ["reclaim"]]
)
def test_an_unset_variable_is_an_empty_id(words: list[str], given: str, tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").touch()
    said = Oracle(tmp_path).fails(3, words[0], given, *words[1:])
    assert "an empty request id" in said
    assert "try: give 0x and 64 hex digits, or a saved receipt's file" in said


@pytest.mark.parametrize("verb", ["cancel", "reclaim", "notice", "show"])
def test_what_is_no_hex_is_no_id(verb: str, tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").touch()
    assert "is not a request id" in Oracle(tmp_path).fails(3, verb, "0xdigits")
