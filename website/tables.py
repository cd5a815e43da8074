"""Markdown tables of texts that may hold what a table's syntax uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    return " ".join(str(text).replace("|", "\\|").replace("<", "&lt;").split())


def code(text: object) -> str:
    """Inline code for a table; nothing for nothing."""
    shown = " ".join(str(text).replace("|", "\\|").split())
    return f"`{shown}`" if shown else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
