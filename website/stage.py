"""Puts the site's sources together: docs/ with its links mended, and pages made from the code.

A link to a file of the repository outside docs/ becomes its name, after a look whether the file is
there: the site is for reading without the repository. Links within it are the builder's to check.
Knows nothing of the builder.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from pathlib import Path

import command_line
import failures
import figures
import interfaces
import options
import python_client

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
STAGE = ROOT / ".build" / "website"

_CONFIGURATION = Path(__file__).parent / "mkdocs.yml"

_GENERATED = {
    "reference/command-line.md": command_line.page,
    "reference/python-client.md": python_client.page,
    "reference/settings.md": options.page,
    "reference/contracts.md": interfaces.page,
    "reference/errors.md": failures.page,
    "reference/figures.md": figures.page,
}
_MOVED = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
_MERMAID = ROOT / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
_NAVIGATION_OF_DECISIONS = "  - Decisions: []\n"


class DeadLink(Exception):
    """A page names a file that the repository does not have, or nothing leads to a page."""


def stage() -> Path:
    """Fills the stage anew; returns the builder's configuration file there."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for source in sorted(DOCS.rglob("*")):
        place = STAGE / "docs" / source.relative_to(DOCS)
        if source.is_dir():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            place.write_text(with_links(source.read_text(), f"docs/{source.relative_to(DOCS)}"))
        else:
            shutil.copyfile(source, place)
    for name, page in _GENERATED.items():
        _write(name, page())
    for name, moved in _MOVED.items():
        _write(moved, with_links((ROOT / name).read_text(), name, moved))
    (STAGE / "docs" / "assets").mkdir(exist_ok=True)
    shutil.copyfile(_MERMAID, STAGE / "docs" / "assets" / "mermaid.js")
    _require_navigation()
    configuration = STAGE / "mkdocs.yml"
    configuration.write_text(_configuration())
    return configuration


def with_links(text: str, source: str, moved: str | None = None) -> str:
    """A page's text with its links as the site has them.

    Args:
        source: where the page is in the repository.
        moved: where it is in the site; by default, where it is in docs/.

    Raises:
        DeadLink: it links to a file that is not there.
    """
    here = posixpath.dirname(moved or source.removeprefix("docs/"))

    def mended(link: re.Match[str]) -> str:
        name, target = link.groups()
        path, _, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return link.group()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if place.removeprefix("docs/") in _GENERATED:
            return link.group()
        if not (ROOT / place).exists():
            raise DeadLink(f"{source} links to {target}, and there is no {place}")
        inside = _MOVED.get(place)
        if inside is None and place.startswith("docs/") and (ROOT / place).is_file():
            inside = place.removeprefix("docs/")
        if inside is None:
            return name if place in name or name.startswith("`") else f"{name} (`{place}`)"
        back = posixpath.relpath(inside, here or ".")
        return f"[{name}]({back}{'#' if anchor else ''}{anchor})"

    return _LINK.sub(mended, text)


def _require_navigation() -> None:
    """Raises DeadLink where a page can be reached by its address only."""
    listed = set(re.findall(r"[\w./-]+\.md", _CONFIGURATION.read_text()))
    pages = {str(one.relative_to(STAGE / "docs")) for one in (STAGE / "docs").rglob("*.md")}
    lost = {one for one in pages - listed if not one.startswith("decisions/")}
    if lost:
        raise DeadLink(f"not in the navigation of website/mkdocs.yml: {', '.join(sorted(lost))}")


def _configuration() -> str:
    text = _CONFIGURATION.read_text()
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    listed = "".join(f"      - decisions/{one.name}\n" for one in decisions)
    assert _NAVIGATION_OF_DECISIONS in text
    return text.replace(_NAVIGATION_OF_DECISIONS, f"  - Decisions:\n{listed}")


def _write(name: str, text: str) -> None:
    place = STAGE / "docs" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


if __name__ == "__main__":
    try:
        print(stage())
    except DeadLink as error:
        sys.exit(f"site: {error}")
