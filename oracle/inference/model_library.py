"""The models this machine holds: plain files by their SHA-256, programs by their root.

Responsible for where each kind lies, and for never giving one out under another's name.
"""

from __future__ import annotations

from pathlib import Path

from oracle.inference.content_store import ContentStore
from oracle.program.compile import load_program
from oracle.program.encoding import program_root


def root_of(file: bytes) -> bytes:
    """The root of a program file, 32 bytes. Raises `ProgramError` where it is none."""
    return program_root(load_program(file))


class ModelLibrary:
    """Two content stores in one folder, safe to share between processes."""

    def __init__(self, root: Path | str) -> None:
        self._files = ContentStore(root)
        self._programs = ContentStore(Path(root) / "programs", digest=root_of)

    def has(self, digest: bytes) -> bool:
        """Whether a file or program of this name is stored; its content is checked when read."""
        return self._files.has(digest) or self._programs.has(digest)

    def read(self, sha256: bytes) -> bytes:
        """The plain model file with this SHA-256. Raises `ModelFileError`."""
        return self._files.read(sha256)

    def read_program(self, root: bytes) -> bytes:
        """The program file with this root. Raises `ModelFileError`."""
        return self._programs.read(root)

    def programs(self) -> list[bytes]:
        """The roots of all programs, sorted."""
        return self._programs.digests()

    def program_path(self, root: bytes) -> Path:
        """Where the program file lies, or would lie."""
        return self._programs.path(root)

    def add(self, data: bytes) -> bytes:
        """Keeps a plain model file; its SHA-256. Raises `ModelFileError`."""
        return self._files.add(data)

    def add_program(self, data: bytes) -> bytes:
        """Keeps a program file; its root. Raises `ProgramError` where it is none."""
        return self._programs.add(data)
