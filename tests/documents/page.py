"""The fenced blocks of a Markdown page, each with its line, its heading, and how it is played.

Responsible for refusing a block of which nobody has said what it is for. Runs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from markdown_it import MarkdownIt

Kind = Literal["shell", "python", "file", "shown"]

_KINDS: Final[dict[str, Kind]] = {
    "sh": "shell",
    "bash": "shell",
    "shell": "shell",
    "python": "python",
    "text": "shown",
    "console": "shown",
    "mermaid": "shown",
}
_TITLE = re.compile(r'title="([^"]+)"')
_COMMENT = re.compile(r"<!--\s*played:\s*(.*?)\s*-->\s*\Z", re.DOTALL)
_WAYS = re.compile(
    r"""(?:not,\ because\ (?P<shown>.+)
    |in\ (?P<terminal>\w+),\ until\ "(?P<ready>[^"]+)"
    |fails\ with\ (?P<code>\d+)
    |prints\ "(?P<prints>[^"]+)"
    |until\ "(?P<until>[^"]+)")\Z""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        line: of its first line of code, from 1.
        language: what stands at the fence, if anything.
        heading: the last one above it.
        title: the file that it is written to.
        terminal: another than the page's.
        ready: what stands in the output of that terminal when the page goes on.
        code: what its last command ends with.
        prints: a text that it must print.
        until: it is repeated until it prints this text.
        reason: why it is shown only.
    """

    page: Path
    line: int
    heading: str
    kind: Kind
    text: str
    language: str = ""
    title: str | None = None
    terminal: str | None = None
    ready: str | None = None
    code: int = 0
    prints: str | None = None
    until: str | None = None
    reason: str | None = None

    @property
    def place(self) -> str:
        """Where it is, as compilers write it."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All of a page's fenced blocks. Raises ValueError where one's purpose is not said."""
    found: list[Block] = []
    heading, comment, in_heading = "", "", False
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "heading_open":
            in_heading = True
        elif token.type == "inline" and in_heading:
            heading, in_heading = token.content, False
        elif token.type == "html_block":
            comment = token.content
            continue
        elif token.type == "code_block":
            assert token.map is not None
            raise ValueError(
                f"{page}:{token.map[0] + 1}: an indented block; a fence says what a block is for"
            )
        elif token.type == "fence":
            assert token.map is not None
            found.append(
                _block(page, token.map[0] + 2, heading, token.info, token.content, comment)
            )
        comment = ""
    return found


def _block(page: Path, line: int, heading: str, info: str, text: str, comment: str) -> Block:
    language = info.split()[0] if info.split() else ""
    title = _TITLE.search(info)
    said = _COMMENT.search(comment)
    ways = _WAYS.match(" ".join(said[1].split())) if said is not None else None
    place = f"{page}:{line}"
    if said is not None and ways is None:
        raise ValueError(f"{place}: what is meant by 'played: {said[1]}'?")
    if ways is not None and ways["shown"] is not None:
        return Block(page, line, heading, "shown", text, language, reason=ways["shown"])
    kind: Kind | None = "file" if title is not None else _KINDS.get(language)
    if kind is None:
        raise ValueError(
            f"{place}: a block of {language or 'no language'!r}: give it a title to have it "
            "written, or say '<!-- played: not, because ... -->' before it"
        )
    if ways is None:
        named = title[1] if title is not None else None
        return Block(page, line, heading, kind, text, language, named)
    if kind not in ("shell", "python"):
        raise ValueError(f"{place}: only what is run is played in a way of its own")
    return Block(
        page,
        line,
        heading,
        kind,
        text,
        language,
        terminal=ways["terminal"],
        ready=ways["ready"],
        code=int(ways["code"] or 0),
        prints=ways["prints"],
        until=ways["until"],
    )
