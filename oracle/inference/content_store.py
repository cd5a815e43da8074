"""Files by their digest: what is read is what was hashed, or an error.

Responsible for `<root>/<digest>.onnx`, written whole or not at all, and checked on every read. It
does not know what the files mean, and never deletes one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from oracle.errors import ModelFileError
from oracle.inference.model_file import DEFAULT_MAX_BYTES, read_bounded


def sha256(data: bytes) -> bytes:
    """The digest by which plain model files are stored: 32 bytes."""
    return hashlib.sha256(data).digest()


def _damaged(path: Path, how: str) -> ModelFileError:
    return ModelFileError(
        f"the file {path} is damaged: {how}",
        hint="oracle model fetch MODEL, or oracle model add FILE, puts a whole one there",
    )


class ContentStore:
    """A folder of files, safe to share between processes: content never changes a name.

    `digest` gives a content's 32-byte name, and may raise `ModelFileError` for content it refuses.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        digest: Callable[[bytes], bytes] = sha256,
    ) -> None:
        self._root = Path(root)
        self._max_bytes = max_bytes
        self._digest = digest
        self._looked_at: dict[bytes, tuple[tuple[int, int, int], str | None]] = {}

    def path(self, digest: bytes) -> Path:
        """Where the file lies, or would lie. Raises `ModelFileError` for a hash of wrong length."""
        if len(digest) != 32:
            raise ModelFileError(f"a digest is 32 bytes, not {len(digest)}")
        return self._root / f"{digest.hex()}.onnx"

    def has(self, digest: bytes) -> bool:
        """Whether a file with this name is stored; its content is checked when it is read."""
        return self.path(digest).is_file()

    def read(self, digest: bytes) -> bytes:
        """The content with this hash.

        Raises `ModelFileError` where it is missing, or where the stored bytes have another hash.
        """
        path = self.path(digest)
        if not path.exists():
            raise ModelFileError(
                f"the file with the hash 0x{digest.hex()} is not on this machine",
                hint="oracle model fetch MODEL, or oracle model add FILE",
            )
        data = read_bounded(path, self._max_bytes)
        try:
            found = self._digest(data)
        except ModelFileError as error:
            raise _damaged(path, error.message) from error
        if found != digest:
            raise _damaged(path, f"its content hashes to 0x{found.hex()}")
        return data

    def damage(self, digest: bytes) -> str | None:
        """Why the stored file is no good; None where it is, or where there is none.

        Its content is looked at once for each time that the file is written.
        """
        path = self.path(digest)
        try:
            stat = path.stat()
        except OSError:
            return None
        written = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        known = self._looked_at.get(digest)
        if known is None or known[0] != written:
            try:
                self.read(digest)
                known = (written, None)
            except ModelFileError as error:
                known = (written, error.message)
            self._looked_at[digest] = known
        return known[1]

    def add(self, data: bytes) -> bytes:
        """Store content durably and return its digest; a damaged copy is replaced.

        Raises `ModelFileError` for empty or oversize content, and where the disk refuses.
        """
        if not 0 < len(data) <= self._max_bytes:
            raise ModelFileError(f"{len(data)} bytes; a model is 1 to {self._max_bytes} bytes")
        digest = self._digest(data)
        if not self._holds(digest):
            try:
                self._write(self.path(digest), data)
            except OSError as error:
                raise ModelFileError(
                    f"the model cannot be stored in {self._root}: {error.strerror}",
                    hint="check the folder's permissions and the free space",
                ) from error
        return digest

    def digests(self) -> list[bytes]:
        """The names of all that is stored, sorted; nothing is read."""
        files = self._root.glob("?" * 64 + ".onnx")
        return sorted(bytes.fromhex(file.stem) for file in files)

    def _holds(self, digest: bytes) -> bool:
        try:
            self.read(digest)
        except ModelFileError:
            return False
        return True

    def _write(self, target: Path, data: bytes) -> None:
        """Write beside the target, flush to disk, then rename: no reader sees half a file."""
        self._root.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._root, prefix=".incoming-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
