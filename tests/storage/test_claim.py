"""A data directory is one node's, whatever becomes of the one that had it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oracle.errors import StorageError
from oracle.storage.claim import claimed

HOLDS = """
import sys, time
from pathlib import Path
from oracle.storage.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_by_directory_and_process_number(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(data_dir)], stdout=subprocess.PIPE
    ) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == b"held\n"
            with pytest.raises(StorageError) as refused, claimed(data_dir):
                pass
            assert str(data_dir) in refused.value.message
            assert f"process {first.pid}" in refused.value.message
            assert refused.value.hint is not None
            assert "node stop" in refused.value.hint
        finally:
            first.kill()
    with claimed(data_dir):
        pass


def test_a_process_refuses_itself_too_and_a_file_is_no_directory(tmp_path: Path) -> None:
    with claimed(tmp_path), pytest.raises(StorageError, match="already"), claimed(tmp_path):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be used"), claimed(tmp_path / "file"):
        pass


def test_a_claim_names_the_one_before_it_and_a_copy_of_its_file_names_nobody(
    tmp_path: Path,
) -> None:
    with claimed(tmp_path / "first") as one:
        assert one.former is None
        assert f"/{os.getpid()}/" in one.holder
    with claimed(tmp_path / "first") as two:
        assert two.former == one.holder
        assert two.holder != one.holder
        shutil.copytree(tmp_path / "first", tmp_path / "copy")
    with claimed(tmp_path / "copy") as copied:
        assert copied.former is None, "the one that it names may well live"
    with claimed(tmp_path / "first") as three:
        assert three.former == two.holder


def test_what_fails_with_nothing_to_keep_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    data_dir = tmp_path / "of" / "a" / "node"
    with pytest.raises(KeyError), claimed(data_dir):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError):
        _fails_with_something_to_keep(data_dir)
    assert {one.name for one in data_dir.iterdir()} == {"node.lock", "node.sqlite"}
    data_dir = tmp_path / "made by somebody"
    data_dir.mkdir()
    with pytest.raises(KeyError), claimed(data_dir):
        raise KeyError
    assert data_dir.exists()


def _fails_with_something_to_keep(data_dir: Path) -> None:
    with claimed(data_dir):
        (data_dir / "node.sqlite").touch()
        raise KeyError


def test_a_folder_that_goes_while_it_is_claimed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the first process fails between our opening of the file and our claim to it."""
    data_dir = tmp_path / "data"
    lock_as_ever = fcntl.flock
    gone = []

    def flock(descriptor: int, operation: int) -> None:
        if not gone:
            gone.append(data_dir)
            shutil.rmtree(data_dir)
        lock_as_ever(descriptor, operation)

    monkeypatch.setattr("oracle.storage.claim.fcntl.flock", flock)
    with claimed(data_dir), pytest.raises(StorageError, match="already"), claimed(data_dir):
        pass
    assert gone
