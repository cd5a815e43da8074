"""The sign of life: whole, or written over where the disk has no room for another, or an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oracle.core.types import Address
from oracle.errors import StorageError
from oracle.ports.health import Heartbeat
from oracle.storage.heartbeat import HeartbeatFile

BEAT = Heartbeat(
    7, Address("0x5FbDB2315678afecb367f032d93F642f64180aa3"), 1.0, 2.0, 3, 3, False, {},
    endpoints=[], settings_waiting=["answer_batch"],
)  # fmt: skip
TROUBLED = replace(BEAT, beat_at=4.0, trouble={"watch": "the disk is full; nothing was written"})


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = HeartbeatFile(tmp_path / "new" / "node.json")
    assert file.read() is None
    for beat in (TROUBLED, BEAT):
        file.write(beat)
        assert file.read() == beat
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["node.json"]


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_without_room_for_another_the_old_one_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = HeartbeatFile(tmp_path / "node.json")
    file.write(TROUBLED)
    monkeypatch.setattr(Path, "write_bytes", no_room)
    file.write(BEAT)
    assert file.read() == BEAT
    file.write(TROUBLED)
    assert file.read() == TROUBLED


def test_where_it_cannot_be_written_at_all_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.raises(StorageError, match="cannot be written") as caught:
        HeartbeatFile(tmp_path / "node.json").write(BEAT)
    assert caught.value.hint is not None
