"""The models this machine holds: plain files by their SHA-256, programs by their root.

Responsible for where each kind lies, a program's manifest beside it, and for never giving one out
under another's name.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from oracle.core.types import Tier
from oracle.errors import ModelFileError, ProgramError
from oracle.inference.content_store import ContentStore
from oracle.program.compile import load_program
from oracle.program.encoding import program_root
from oracle.program.manifest import ProgramManifest, manifest_beside


def root_of(file: bytes) -> bytes:
    """The root of a program file, 32 bytes. Raises `ProgramError` where it is none."""
    return program_root(load_program(file))


class ModelLibrary:
    """Two content stores in one folder, safe to share between processes."""

    def __init__(self, root: Path | str) -> None:
        self._files = ContentStore(root)
        self._programs = ContentStore(Path(root) / "programs", digest=root_of)

    def has(self, digest: bytes, tier: Tier) -> bool:
        """Whether a model of this tier and name is stored; its content is checked when read.

        The tier says which kind of name it is: anybody may register one kind as the other.
        """
        return self._of(tier).has(digest)

    def damage(self, digest: bytes, tier: Tier) -> str | None:
        """Why a stored model is no good, with where it lies; None where it is, or is not here."""
        return self._of(tier).damage(digest)

    def read_model(self, digest: bytes, tier: Tier) -> bytes:
        """The file of a model of this tier. Raises `ModelFileError`."""
        return self._of(tier).read(digest)

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

    def manifest(self, root: bytes) -> ProgramManifest | None:
        """What was written beside a program, if anything. Raises `ProgramError` where damaged."""
        file = manifest_beside(self.program_path(root))
        if not file.is_file():
            return None
        found = ProgramManifest.from_json(file.read_bytes())
        if found.root != root:
            raise ProgramError(f"{file} is the manifest of another program: 0x{found.root.hex()}")
        return found

    def add_manifest(self, manifest: ProgramManifest) -> None:
        """Writes it beside its program, whole or not at all.

        One with a certificate is not lost to one without. Raises `ModelFileError`.
        """
        file = manifest_beside(self.program_path(manifest.root))
        if manifest.certificate is None and file.is_file():
            return
        try:
            descriptor, beside = tempfile.mkstemp(dir=file.parent, prefix=".incoming-")
            try:
                with os.fdopen(descriptor, "w") as opened:
                    opened.write(manifest.to_json())
                    os.fchmod(opened.fileno(), 0o644)
                os.replace(beside, file)
            finally:
                Path(beside).unlink(missing_ok=True)
        except OSError as error:
            raise ModelFileError(f"{file} cannot be written: {error.strerror}") from error

    def _of(self, tier: Tier) -> ContentStore:
        return self._files if tier is Tier.UNPROVEN else self._programs
