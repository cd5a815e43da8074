"""Plays a page's blocks in order, in terminals, and says which line of it does not hold.

Responsible for the reader's part: what is typed where, what is waited for, and that every terminal
is left at the end. What the words before a block mean, says `tests.documents`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.documents.page import Block, blocks
from tests.documents.terminal import Terminal

FIRST = "page"
_MARK = "PLAYED_FROM"
_PAUSE_SECONDS = 0.2
_END_SECONDS = 60
_LAST_LINES = 40


@dataclass(slots=True)
class Played:
    """What came of a page.

    Attributes:
        output: all that its first terminal printed.
        terminals: what each printed, by name.
        blocks: those that were run or written.
        seconds: how long each took, by its place.
    """

    output: str = ""
    terminals: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def play(
    page: Path,
    folder: Path,
    *,
    replace: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    before: Mapping[str, Callable[[], None]] | None = None,
    only: Collection[str] | None = None,
    seconds: float = 120.0,
) -> Played:
    """Plays a page in a folder. Raises AssertionError by file and line.

    Args:
        replace: texts of the page for which others are typed, such as ports that must be free.
        environment: variables besides this process's; ORACLE_* of this process are left out.
        before: what is done when the page comes to a heading, by its text, or to a block, by how
            it begins.
        only: the headings below which blocks are played; by default, all.
        seconds: time limit of a block.
    """
    found = [one for one in blocks(page) if only is None or one.heading in only]
    unknown = set(only or ()) - {one.heading for one in found}
    unknown |= {key for key in before or () if not any(_begins(one, key) for one in found)}
    assert not unknown, f"{page.name} has no block below {unknown}"
    pending = dict(before or {})
    for old in replace or {}:
        assert any(old in one.text for one in found), f"{page.name} has no {old!r} to replace"
    scratch = folder / ".played"
    scratch.mkdir(parents=True)
    variables = {**_variables(environment or {}), _MARK: str(scratch)}
    played = Played()
    with ExitStack() as stack:
        stack.callback(_end_marked, str(scratch))
        terminals: dict[str, Terminal] = {}

        def terminal(name: str) -> Terminal:
            if name not in terminals:
                terminals[name] = Terminal(name, folder, scratch, variables)
                stack.callback(terminals[name].close)
            return terminals[name]

        for block in found:
            for key in [one for one in pending if _begins(block, one)]:
                pending.pop(key)()
            if block.kind == "shown":
                continue
            text = block.text
            for old, new in (replace or {}).items():
                text = text.replace(old, new)
            played.blocks.append(block)
            began = time.monotonic()
            _play(block, text, terminal, seconds)
            played.seconds[block.place] = time.monotonic() - began
    played.terminals = {name: one.output for name, one in terminals.items()}
    played.output = played.terminals.get(FIRST, "")
    return played


def _begins(block: Block, key: str) -> bool:
    """Whether the page has come to what is called so: a heading, or the block itself."""
    return block.heading == key or block.text.startswith(key)


def _play(block: Block, text: str, terminal: Callable[[str], Terminal], seconds: float) -> None:
    if block.kind == "file":
        assert block.title is not None
        target = terminal(FIRST).where / block.title
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return
    at = terminal(block.terminal or FIRST)
    if block.kind == "python":
        text = f"python - <<'PLAYED'\n{text}PLAYED\n"
    if block.ready is not None:
        at.type(block.page.name, block.line, text)
        _wait_for(at, block, block.ready, seconds)
        return
    give_up_at = time.monotonic() + seconds
    while True:
        printed = len(at.output)
        at.type(block.page.name, block.line, text)
        try:
            code = at.finish(max(1.0, give_up_at - time.monotonic()))
        except TimeoutError as error:
            raise AssertionError(_told(at, block, str(error))) from None
        fresh = at.output[printed:]
        if block.until is None or block.until in fresh:
            break
        if time.monotonic() > give_up_at:
            raise AssertionError(_told(at, block, f"never printed {block.until!r}"))
        time.sleep(_PAUSE_SECONDS)
    if code != block.code:
        why = at.failure() or f"{block.place}: ended with {code}, not {block.code}"
        raise AssertionError(_told(at, block, why))
    if block.prints is not None and block.prints not in fresh:
        raise AssertionError(_told(at, block, f"did not print {block.prints!r}"))


def _wait_for(at: Terminal, block: Block, text: str, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    while text not in at.output:
        if at.finished and text not in at.output:
            raise AssertionError(_told(at, block, f"ended without {text!r}: {at.failure()}"))
        if time.monotonic() > give_up_at:
            raise AssertionError(_told(at, block, f"no {text!r} after {seconds:.0f} s"))
        time.sleep(_PAUSE_SECONDS)


def _end_marked(mark: str) -> None:
    """Ends what the page has left running in sessions of its own, and waits until it is gone."""
    left: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_MARK) == mark:
                process.kill()
                left.append(process)
    give_up_at = time.monotonic() + _END_SECONDS
    while any(_alive(one) for one in left):
        assert time.monotonic() < give_up_at, f"still running: {left}"
        time.sleep(_PAUSE_SECONDS)


def _alive(process: psutil.Process) -> bool:
    """A zombie is dead: whoever inherited it has not asked for its exit status yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _told(at: Terminal, block: Block, why: str) -> str:
    lines = "\n".join(at.output.splitlines()[-_LAST_LINES:])
    return f"{block.place} ({block.heading}): {why}\nterminal {at.name!r} printed last:\n{lines}"


def _variables(more: Mapping[str, str]) -> dict[str, str]:
    """This process's, with its programs first on the PATH, and none of its settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ORACLE_") or name == "ORACLE_ANVIL"
    }
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"
    kept["PYTHONUNBUFFERED"] = "1"
    return {**kept, **more}
