"""A data directory is one node's, whatever becomes of the one that had it."""

from __future__ import annotations

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
