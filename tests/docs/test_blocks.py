"""Every block of code in the documents is played, or says why it is only shown.

What is typed is played as it stands (`PLAYED` says by which test), or is marked as not played, with
a reason. What is only shown is held to what is tested all the same: settings are settings, Python
and Solidity stand in a file that a test runs or a compiler builds (or the reason names the test
that does the same), units are those in ops/, and a test or a script that is named is there
(`test_commands` looks at the words of our own commands).
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from oracle.settings import Settings
from tests.documents import Block, blocks

ROOT = Path(__file__).parent.parent.parent
PLAYED = {
    "CONTRIBUTING.md": "tests/documents/test_pages.py",
    "README.md # as a newcomer": "tests/documents/test_readme.py",
    "README.md # as a dApp developer": "tests/dapp/test_pages.py",
    "README.md # as a watcher": "tests/documents/test_readme.py",
    "README.md # as a node operator": "tests/documents/test_readme.py",
    "docs/cast-only.md": "tests/dapp/test_pages.py",
    "docs/certificate.md": "tests/documents/test_pages.py",
    "docs/dapp-guide.md": "tests/dapp/test_pages.py",
    "docs/explorer.md": "tests/documents/test_pages.py",
    "docs/monitoring.md": "tests/documents/test_pages.py",
    "docs/operators-guide.md": "tests/documents/test_operators_guide.py",
    "docs/operators-page.md": "tests/documents/test_operators_page.py",
    "docs/testing-failures.md": "tests/documents/test_pages.py",
    "docs/verify.md": "tests/documents/test_pages.py",
    "docs/views.md": "tests/documents/test_views.py",
    "docs/watching.md": "tests/documents/test_pages.py",
    "docs/your-own-model.md": "tests/dapp/test_pages.py",
}
"""The test of each page that is played, or of each part of one."""

PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *(ROOT / "models" / "README.md", ROOT / "contracts" / "README.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
]

_SOURCES = {
    "python": ("tests/**/*.py", "examples/*.py"),
    "solidity": ("contracts/**/*.sol",),
    "ini": ("ops/systemd/*.service",),
    "yaml": ("ops/**/*.yml",),
}
_TEST = re.compile(r"(?<!is a piece of )\btests/\w+/test_\w+\.py")
_PATH = re.compile(r"(?<![\w/.-])(?:tests|models|scripts|examples|ops|contracts)/[\w./-]*\w")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def part(block: Block) -> str:
    """A part of a page, as `PLAYED` has it."""
    return f"{name(block.page)} # {block.heading}"


@cache
def sources(language: str) -> str:
    files = [one for pattern in _SOURCES[language] for one in ROOT.glob(pattern)]
    return "\n".join(plain(one.read_text()) for one in files)


def plain(text: str) -> str:
    """Without what a page may lay out in its own way."""
    return " ".join(text.split())


def fault(block: Block) -> str | None:
    """What is wrong with a block that is only shown, or None."""
    said = f"{block.reason or ''}\n{block.text}"
    missing = [one for one in _PATH.findall(said) if not (ROOT / one).exists()]
    if missing:
        return f"not there: {', '.join(missing)}"
    tested = _TEST.search(block.reason or "")
    if block.language == "toml" and not tested:
        unknown = set(tomllib.loads(block.text)) - set(Settings.model_fields)
        return f"no settings: {', '.join(sorted(unknown))}" if unknown else None
    if block.language in _SOURCES and not tested:
        pieces = block.text.splitlines() if block.language == "ini" else [block.text]
        for piece in pieces:
            if plain(piece) not in sources(block.language):
                return f"in no file of {', '.join(_SOURCES[block.language])}: {piece.strip()}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_block_is_played_or_is_a_piece_of_what_is_tested(page: Path) -> None:
    for block in blocks(page):
        if block.kind == "shown":
            assert fault(block) is None, f"{name(page)}:{block.line}"
        else:
            played = PLAYED.keys() & {name(page), part(block)}
            assert played, f"{name(page)}:{block.line} is played by no test of `PLAYED`"


@pytest.mark.parametrize("played", PLAYED)
def test_played_pages_are_played(played: str) -> None:
    page, _, heading = played.partition(" # ")
    found = [one for one in blocks(ROOT / page) if heading in ("", one.heading)]
    assert [one for one in found if one.kind != "shown"]
    test = (ROOT / PLAYED[played]).read_text()
    assert "play(" in test
    assert Path(page).stem in test
    assert heading in test


def test_what_is_typed_is_seldom_only_shown() -> None:
    typed = [one for page in PAGES for one in blocks(page) if one.language in ("sh", "bash")]
    assert len(typed) > 80
    assert sum(one.kind == "shown" for one in typed) < len(typed) / 4


@pytest.mark.parametrize(
    ("language", "text", "why"),
    [
        ("toml", "no_such_setting = 1", "no settings: no_such_setting"),
        ("python", "nowhere(1)\n" * 3, "in no file of"),
        ("sh", "pytest tests/no/such_file.py", "not there: tests/no/such_file.py"),
    ],
)
def test_what_is_not_is_found(language: str, text: str, why: str) -> None:
    found = fault(Block(ROOT / "README.md", 1, "", "shown", text, language, reason="it is not"))
    assert found is not None
    assert why in found


def test_a_test_that_a_reason_names_must_be_there() -> None:
    block = Block(ROOT / "README.md", 1, "", "shown", "", "sh", reason="tests/gone.py runs it")
    assert fault(block) == "not there: tests/gone.py"
