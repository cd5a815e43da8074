"""How verbs speak: tables and lines for people, one JSON object for scripts, errors with a hint.

With `--json` only the object goes to standard output; everything else goes to standard error.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oracle.cli.spoken import by_name
from oracle.errors import OracleError

_WIDTH_UNWATCHED = 10_000
"""A table in a pipe or a file has every row on one line, as wide as it is: ids are searched for."""

_out = Console(
    highlight=False,
    emoji=False,
    soft_wrap=True,
    width=None if sys.stdout.isatty() else _WIDTH_UNWATCHED,
)
_err = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


class Output:
    """Where a verb's result goes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, data: Mapping[str, Any], text: str | None = None) -> None:
        """Prints the result: as JSON, or as `text` (name-value lines where there is none)."""
        if self.as_json:
            _out.print(json.dumps(jsonable(data), indent=2, allow_nan=False), markup=False)
        elif text is not None:
            _out.print(text, markup=False)
        else:
            for line in _lines(data):
                _out.print(line, markup=False)

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], **extra: Any
    ) -> None:
        """Prints rows as a table, or as JSON objects by column under the title."""
        if self.as_json:
            objects = [dict(zip(columns, row, strict=True)) for row in rows]
            self.result({title.lower().replace(" ", "_"): objects, **extra})
            return
        table = Table(title=title, title_justify="left")
        for name in columns:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(str(jsonable(value)) for value in row))
        _out.print(table)
        for name, value in extra.items():
            _out.print(f"{name.replace('_', ' ')}: {jsonable(value)}", markup=False)

    def say(self, text: str) -> None:
        """A line about progress, for people; never on standard output when scripts read it."""
        (_err if self.as_json else _out).print(text, markup=False)

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner while something takes its time; nothing where nobody watches.

        What is given sets another text beside it.
        """
        if _err.is_terminal:
            with _err.status(Text(text)) as shown:
                yield lambda now: shown.update(Text(now))
        else:
            yield lambda _now: None


def _lines(data: Mapping[str, Any], indent: int = 0) -> Iterator[str]:
    """Name-value lines; what is nested stands indented below its name."""
    told = [by_name(str(name), value) for name, value in data.items()]
    width = max((len(name) for name, _ in told), default=0)
    margin = " " * indent
    for name, value in told:
        label = f"{margin}{name:<{width}}  "
        if isinstance(value, Mapping) and value:
            yield label.rstrip()
            yield from _lines(value, indent + 2)
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            yield label.rstrip()
            for item in value:
                yield from _lines(item, indent + 2)
        elif isinstance(value, list | tuple):
            yield label + ", ".join(str(jsonable(item)) for item in value)
        else:
            yield label + str(jsonable(value))


def jsonable(value: Any) -> Any:
    """Bytes as 0x-hex, containers recursively, the rest as it is.

    JSON has no NaN and no infinity: they are the strings "NaN", "Infinity" and "-Infinity".
    """
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def fail(error: OracleError) -> NoReturn:
    """Prints what is wrong and what to do, and ends with the error's exit code."""
    _err.print(f"error: {error.message}", markup=False)
    if hint := error.cli_hint or error.hint:
        _err.print(f"  try: {hint}", markup=False)
    raise typer.Exit(error.exit_code)
