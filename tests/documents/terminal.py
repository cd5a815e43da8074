"""One bash in which blocks are typed one after the other, as a person types them.

Responsible for naming the line of the page that failed. Knows nothing of Markdown.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

_START = r"""
set -E -o pipefail
_caught() {
  _ended=$1
  [ "$2" = "$_script" ] && printf '%s\n' "$_page:$3: $4 (ended with $1)" >"$_failed"
  return "$1"
}
"""
# Sourced with so many empty lines before it that bash's line numbers are the page's. The trap is
# on one line: bash counts the lines of a trap, too.
_TYPED = r"""
: >"$_failed"; _ended=0 _page={page} _script={script}
trap '_caught "$?" "${{BASH_SOURCE[0]}}" "$LINENO" "$BASH_COMMAND" || return "$?" 2>/dev/null' ERR
source "$_script" </dev/null; _ended=$?
trap - ERR
printf '%s\n' "$_ended" >&{done}
"""
_POLL_SECONDS = 0.1
_ENDING_SECONDS = 90.0


class Terminal:
    """A shell with what it has printed, in a session of its own.

    Args:
        folder: where it starts, and where its output and the typed blocks are kept.
    """

    def __init__(
        self, name: str, folder: Path, scratch: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._scratch = scratch
        self._typed = 0
        self._failed = scratch / f"{name}.failed"
        self.log = scratch / f"{name}.log"
        self._done, ended = os.pipe()
        with self.log.open("wb") as log:
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                bufsize=0,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**environment, "_failed": str(self._failed)},
                pass_fds=(ended,),
                start_new_session=True,
                # A process that was started in the background hears no Ctrl-C, nor do its children.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        self._ended = ended
        self._say(_START)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def where(self) -> Path:
        """The folder in which the shell stands."""
        return Path(f"/proc/{self._shell.pid}/cwd").readlink()

    def type(self, page: str, line: int, text: str) -> None:
        """Starts a block, whose first line is this one of the page."""
        self._typed += 1
        script = self._scratch / f"{self.name}-{self._typed}.sh"
        script.write_text("\n" * (line - 1) + text)
        self._say(_TYPED.format(page=page, script=script, done=self._ended))

    def finish(self, seconds: float) -> int:
        """Waits for the block; what its last command, or the first that failed, ended with."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            if select.select([self._done], [], [], _POLL_SECONDS)[0]:
                return int(os.read(self._done, 16).split()[0])
            if self._shell.poll() is not None:
                return self._shell.returncode
        raise TimeoutError(f"not done after {seconds:.0f} s")

    @property
    def finished(self) -> bool:
        """Whether the block has ended."""
        ready = bool(select.select([self._done], [], [], 0)[0])
        return ready or self._shell.poll() is not None

    def failure(self) -> str:
        """Which line of the page failed, if one did."""
        return self._failed.read_text().strip() if self._failed.exists() else ""

    def close(self) -> None:
        """Ctrl-C for whatever runs here, then the end of the shell."""
        if self._shell.poll() is None:
            # The shell waits for the program in front of it and ends when its own input does.
            _interrupt(self._shell.pid)
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            self._shell.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill(self._shell.pid)
            self._shell.wait()
            os.close(self._done)
            os.close(self._ended)

    def _say(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())


def _interrupt(session: int) -> None:
    """Ctrl-C, to the children of a shell only: it would forget its last lines itself."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(session)], capture_output=True, text=True, check=False
    )
    for pid in found.stdout.split():
        try:
            os.kill(int(pid), signal.SIGINT)
        except ProcessLookupError:
            continue


def _kill(session: int) -> None:
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return
