"""What the store gives back is what was hashed, or an error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from oracle.errors import ModelFileError, ProgramError
from oracle.inference.content_store import ContentStore

DATA = b"any bytes"
HASH = hashlib.sha256(DATA).digest()


def test_content_comes_back_by_its_hash(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "new" / "models")
    assert not store.has(HASH)
    assert store.add(DATA) == HASH
    assert store.has(HASH)
    assert store.read(HASH) == DATA
    assert store.path(HASH).name == f"{HASH.hex()}.onnx"
    assert [path.name for path in (tmp_path / "new" / "models").iterdir()] == [f"{HASH.hex()}.onnx"]


def test_adding_twice_does_not_write_twice(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    store.add(DATA)
    before = store.path(HASH).stat()
    store.add(DATA)
    assert store.path(HASH).stat().st_ino == before.st_ino


def test_damage_is_seen_and_repaired_by_adding_again(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    store.add(DATA)
    store.path(HASH).chmod(0o644)
    store.path(HASH).write_bytes(DATA[:-1])
    with pytest.raises(ModelFileError, match="damaged") as caught:
        store.read(HASH)
    assert caught.value.hint
    store.add(DATA)
    assert store.read(HASH) == DATA


def test_damage_is_found_once_for_each_time_the_file_is_written(tmp_path: Path) -> None:
    reads: list[bytes] = []

    def digest(data: bytes) -> bytes:
        reads.append(data)
        if data == b"no program":
            raise ProgramError("the file is not a program")
        return hashlib.sha256(data).digest()

    store = ContentStore(tmp_path, digest=digest)
    assert store.damage(HASH) is None, "there is none"
    store.add(DATA)
    reads.clear()
    assert [store.damage(HASH), store.damage(HASH)] == [None, None]
    assert len(reads) == 1
    for spoilt, why in ((DATA[:-1], "its content hashes to 0x"), (b"no program", "not a program")):
        store.path(HASH).chmod(0o644)
        store.path(HASH).write_bytes(spoilt)
        found = store.damage(HASH)
        assert found is not None
        assert found.startswith(f"the file {store.path(HASH)} is damaged: ")
        assert why in found
        with pytest.raises(ModelFileError, match="is damaged") as caught:
            store.read(HASH)
        assert caught.value.hint
    store.add(DATA)
    assert store.damage(HASH) is None


def test_missing_content_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=f"0x{HASH.hex()} is not on this machine") as caught:
        ContentStore(tmp_path).read(HASH)
    assert caught.value.hint


def test_bad_hashes_and_sizes_are_refused(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, max_bytes=4)
    with pytest.raises(ModelFileError, match="32 bytes"):
        store.has(b"short")
    for content in (b"", b"12345"):
        with pytest.raises(ModelFileError, match="1 to 4 bytes"):
            store.add(content)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelFileError, match="cannot be stored") as caught:
        ContentStore(tmp_path / "file").add(DATA)
    assert caught.value.hint


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        ContentStore(tmp_path).add(DATA)
    assert list(tmp_path.iterdir()) == []
