"""Every command of ours that the documents show is one that the program has, with those options.

Played pages (tests/documents) show that commands work; this holds all the others to the command
line as it is, inline ones among them. Values are not looked at: they are often placeholders.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from markdown_it import MarkdownIt

from oracle.cli.main import app
from oracle.cli.verbs import VERBS, load
from tests.docs.test_blocks import PAGES, ROOT

_INLINE = re.compile(r"`(oracle(?: [^`]+)?)`")
_LINE = re.compile(r"^(?:\$ )?(oracle [^\n]*)$", re.MULTILINE)
_SCRIPT = re.compile(r"\bscripts/[a-z][a-z-]*\b")
_GLOBAL = typer.main.get_command(app)


def shown(text: str) -> Iterator[str]:
    """Commands in inline code, and lines of blocks."""
    for found in _INLINE.finditer(re.sub(r"\s*\n\s*", " ", text)):
        yield found[1]
    for token in MarkdownIt().parse(text):
        if token.type in ("fence", "code_block"):
            for found in _LINE.finditer(token.content):
                yield found[1]


def words(command: str) -> list[str]:
    """Its words up to a comment, a pipe or what stands for more."""
    try:
        split = shlex.split(command, comments=True)
    except ValueError:
        split = command.split()
    ends = ("|", "&&", ">", "&", ";", "…", "...", "/")
    stop = next((i for i, word in enumerate(split) if word in ends), len(split))
    return [word.rstrip(",;:.") for word in split[1:stop]]


def fault(command: str) -> str | None:
    """What the program would not understand of a command, or None."""
    rest, at = words(command), _GLOBAL
    options = _options(at)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0).split("=")[0]
        if name not in options:
            return f"no option {name} in front of verbs"
        if options[name] and rest:
            rest.pop(0)
    if not rest:
        return None
    if rest[0] not in VERBS:
        return f"no verb {rest[0]}"
    at = load(rest.pop(0))
    while rest and hasattr(at, "commands"):
        if rest[0].startswith("-"):
            break
        # `job list|show` names several.
        names = rest.pop(0).split("|")
        unknown = [name for name in names if name not in at.commands]
        if unknown:
            return f"no verb {' '.join(unknown)} of {at.name}"
        at = at.commands[names[0]]
    options = _options(at)
    for word in rest:
        name = word.strip("[]").split("=")[0]
        if re.fullmatch(r"-{1,2}[a-z][a-z0-9-]*", name) and name not in options:
            return f"no option {name}"
    return None


def _options(command: Any) -> dict[str, bool]:
    """Names of options, and whether each takes a value."""
    found = {"--help": False, "-h": False}
    for one in command.params:
        for name in (*one.opts, *one.secondary_opts):
            found[name] = not getattr(one, "is_flag", False)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_ours(page: Path) -> None:
    text = page.read_text()
    wrong = {one: why for one in shown(text) if (why := fault(one)) is not None}
    assert not wrong
    missing = {one for one in _SCRIPT.findall(text) if not (ROOT / one).exists()}
    assert not missing


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("oracle nothing", "no verb nothing"),
        ("oracle job burn 0x…", "no verb burn of job"),
        ("oracle request model --no-such", "no option --no-such"),
        ("oracle --nowhere 3 settings", "no option --nowhere in front of verbs"),
    ],
)
def test_what_is_not_ours_is_found(command: str, why: str) -> None:
    assert fault(command) == why


def test_enough_is_looked_at() -> None:
    assert sum(len(list(shown(page.read_text()))) for page in PAGES) > 140
