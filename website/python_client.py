"""The reference of the Python client, from what `oracle.client` exports: signatures, docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from tables import cell, code, table

from oracle import client
from oracle.errors import OracleError

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):[ \t]*", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}([\w, .]+):\s+((?:.+)(?:\n {5,}.+)*)", re.MULTILINE)
_TITLES = {"Args": "argument", "Attributes": "attribute", "Raises": "raises"}


def page() -> str:
    """Every exported name: the client first, then what goes in and what comes out."""
    found = {name: getattr(client, name) for name in client.__all__}
    errors = [name for name, one in found.items() if _is_error(one)]
    functions = [name for name, one in found.items() if inspect.isfunction(one)]
    types = [name for name, one in found.items() if inspect.isclass(one) and not _is_error(one)]
    types.sort(key=lambda name: (name != "OracleClient", name))
    parts = [
        "# Python client\n",
        "What `oracle.client` exports; nothing else is for others to import. How it is used: "
        "[the guide](../dapp-guide.md#ask-from-python). Ids are 32 bytes, or 0x and 64 hex digits; "
        "amounts are base units, as `opg` makes them; addresses are text.\n",
        "## Functions\n",
    ]
    for name in functions:
        parts += _function(name, found[name], 3)
    for name in types:
        parts += _class(name, found[name])
    parts += [
        "## Errors\n",
        f"{', '.join(code(name) for name in errors)}: what each means is in "
        "[errors and exit codes](errors.md). Each has `message`, which says what is wrong, and "
        "`hint`, which says what to do.\n",
    ]
    return "\n".join(parts)


def _is_error(found: Any) -> bool:
    return inspect.isclass(found) and issubclass(found, OracleError)


def _class(name: str, found: Any) -> Iterator[str]:
    yield f"## {name}\n"
    yield from _documented(found)
    if is_dataclass(found):
        fields = ", ".join(f"{one}: {kind}" for one, kind in found.__annotations__.items())
        yield f"```text\n{name}({fields})\n```\n"
    for one, member in _members(found):
        if isinstance(member, property):
            kind = member.fget.__annotations__.get("return", "") if member.fget else ""
            yield f"### {name}.{one}\n"
            yield f"```text\n{one}: {kind}\n```\n"
            yield from _documented(member)
        else:
            yield from _function(f"{name}.{one}", member, 3)


def _members(found: Any) -> Iterator[tuple[str, Any]]:
    """What a class of ours offers, in the order in which it is written, its base's last."""
    seen = set()
    for kind in found.__mro__:
        if not kind.__module__.startswith("oracle."):
            continue
        for name, raw in vars(kind).items():
            member = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
            offered = inspect.isfunction(member) or isinstance(member, property)
            if offered and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, member


def _function(name: str, function: Any, level: int) -> Iterator[str]:
    inner = inspect.unwrap(function)
    signature = inspect.signature(inner)
    given = []
    keyword_only = False
    for one in signature.parameters.values():
        if one.name in ("self", "cls"):
            continue
        if one.kind is one.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            given.append("*")
        default = "" if one.default is one.empty else f" = {one.default!r}"
        given.append(f"{one.name}: {one.annotation}{default}")
    kind = "async " if inspect.iscoroutinefunction(inner) else ""
    if inspect.isasyncgenfunction(inner):
        kind = "async with "
    short = name.rpartition(".")[2]
    listed = "".join(f"\n    {one}," for one in given)
    yield f"{'#' * level} {name}\n"
    arguments = f"{listed}\n" if listed else ""
    yield f"```text\n{kind}{short}({arguments}) -> {signature.return_annotation}\n```\n"
    yield from _documented(function)


def _documented(found: Any) -> Iterator[str]:
    """A docstring: its text, and its sections as tables."""
    text = inspect.getdoc(found) or ""
    pieces = _SECTION.split(text)
    if pieces[0].strip():
        yield pieces[0].strip().replace("<", "&lt;") + "\n"
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        head, further = body.partition("\n\n")[::2]
        entries = _ENTRY.findall(head)
        if entries:
            rows = [[code(one), cell(words)] for one, words in entries]
            yield table([_TITLES.get(title, title.lower()), "meaning"], rows)
        elif head.strip():
            yield f"{title}: {cell(head)}\n"
        if further.strip():
            yield further.strip() + "\n"
