"""Model files by their SHA-256: what is read is what was hashed, or an error.

Responsible for `<root>/<sha256>.onnx`, written whole or not at all, and checked on every read. It
does not know what the files mean, and never deletes one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from oracle.errors import ModelFileError
from oracle.inference.model_file import DEFAULT_MAX_BYTES, read_bounded


class ContentStore:
    """A folder of model files, safe to share between processes: content never changes a name."""

    def __init__(self, root: Path | str, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._root = Path(root)
        self._max_bytes = max_bytes

    def path(self, sha256: bytes) -> Path:
        """Where the file lies, or would lie. Raises `ModelFileError` for a hash of wrong length."""
        if len(sha256) != 32:
            raise ModelFileError(f"a SHA-256 is 32 bytes, not {len(sha256)}")
        return self._root / f"{sha256.hex()}.onnx"

    def has(self, sha256: bytes) -> bool:
        """Whether a file with this name is stored; its content is checked when it is read."""
        return self.path(sha256).is_file()

    def read(self, sha256: bytes) -> bytes:
        """The content with this hash.

        Raises `ModelFileError` where it is missing, or where the stored bytes have another hash.
        """
        path = self.path(sha256)
        if not path.exists():
            raise ModelFileError(
                f"model {sha256.hex()} is not stored here", hint="import its ONNX file first"
            )
        data = read_bounded(path, self._max_bytes)
        found = hashlib.sha256(data).digest()
        if found != sha256:
            raise ModelFileError(
                f"the stored model {sha256.hex()} is damaged: its content hashes to {found.hex()}",
                hint=f"delete {path} and import the ONNX file again",
            )
        return data

    def add(self, data: bytes) -> bytes:
        """Store content durably and return its SHA-256; a damaged copy is replaced.

        Raises `ModelFileError` for empty or oversize content, and where the disk refuses.
        """
        if not 0 < len(data) <= self._max_bytes:
            raise ModelFileError(f"{len(data)} bytes; a model is 1 to {self._max_bytes} bytes")
        sha256 = hashlib.sha256(data).digest()
        if not self._holds(sha256):
            try:
                self._write(self.path(sha256), data)
            except OSError as error:
                raise ModelFileError(
                    f"the model cannot be stored in {self._root}: {error.strerror}",
                    hint="check the folder's permissions and the free space",
                ) from error
        return sha256

    def add_file(self, path: Path | str) -> bytes:
        """Store a file's content durably and return its SHA-256. Raises `ModelFileError`."""
        return self.add(read_bounded(Path(path), self._max_bytes))

    def _holds(self, sha256: bytes) -> bool:
        try:
            self.read(sha256)
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
