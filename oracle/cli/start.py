"""The `oracle` command's first lines: what an interrupt does while libraries are imported.

That takes a second, in which Python answers Ctrl-C with a traceback of whatever is imported just
then. So this module imports next to nothing, and knows no verb.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Runs the command line; an interrupt ends it at once, but for what a verb has begun."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody ignores it
        signal.signal(signal.SIGINT, _end)
    from oracle.cli.main import main as run

    run()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, an interrupt is an exception again: what a verb has begun, it ends in order."""
    ours = signal.getsignal(signal.SIGINT) is _end
    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, _end)


def _end(_number: int, _frame: object) -> NoReturn:
    os._exit(INTERRUPTED)
