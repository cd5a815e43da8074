"""Kill -9, two processes at once, a full disk, a held lock: nothing is half-written or unclear."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection

from oracle.core.job import JobState, Trigger
from oracle.errors import SignedTwice, StorageError
from oracle.ports.jobs import JobMove, JobPatch
from oracle.storage import Storage, open_storage

from .building import SteppingClock, block, bring_to, new_id, seen

PROCESSES = Path(__file__).with_name("processes.py")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROCESSES), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


async def test_a_process_killed_before_the_commit_leaves_the_old_state(
    location: str, clock: SteppingClock
) -> None:
    storage = open_storage(location, clock)
    events = [seen(11) for _ in range(20)]
    before = await storage.jobs.ingest(block(11), events, [])
    with start("hang", location) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        child.kill()
    assert await storage.jobs.jobs(list(JobState), limit=100) == sorted(
        before, key=lambda job: job.request_id
    )
    # The lock died with its holder.
    await storage.jobs.move([JobMove(event.request_id, Trigger.ADMIT) for event in events])
    await storage.close()


async def test_two_processes_race_and_each_request_is_signed_once(
    location: str, clock: SteppingClock
) -> None:
    # There is no database yet: they race to create it, too.
    children = [start("reserve", location, digit) for digit in ("1", "2")]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    outputs = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        output, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        outputs.append(output.splitlines())
    winners = [line for output in outputs for line in output if line.startswith("won")]
    assert sorted(winners) == sorted(f"won {number}" for number in range(50))
    assert [len(output) for output in outputs] == [50, 50]
    storage = open_storage(location, clock)
    for number in range(50):
        digit = 1 if f"won {number}" in outputs[0] else 2
        await storage.jobs.reserve_signatures(
            "answer", [(number.to_bytes(32, "big"), bytes([digit]) * 32)]
        )
    await storage.close()


async def test_two_open_storages_reserve_one_digest(
    location: str, storage: Storage, clock: SteppingClock
) -> None:
    other = open_storage(location, clock)
    request_id = new_id()
    await storage.jobs.reserve_signatures("answer", [(request_id, b"\x01" * 32)])
    with pytest.raises(SignedTwice):
        await other.jobs.reserve_signatures("answer", [(request_id, b"\x02" * 32)])
    await other.close()


# ---- SQLite's own


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "oracle.db"


async def test_a_full_disk_changes_nothing_and_is_named(file: Path, clock: SteppingClock) -> None:
    storage = open_storage(file, clock)
    event = seen(11)
    before = await bring_to(storage, event, JobState.ACCEPTED)

    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await storage.database.run(lambda connection: limit(connection, 1))  # no growth at all
    large = JobMove(event.request_id, Trigger.COMPUTED, JobPatch(result=bytes(1_000_000)))
    with pytest.raises(StorageError, match="disk is full") as caught:
        await storage.jobs.move([large])
    assert caught.value.hint is not None
    with pytest.raises(StorageError, match="disk is full"):
        await storage.jobs.ingest(block(12), [seen(12, input=bytes(1_000_000))], [])
    assert await storage.jobs.job(event.request_id) == before
    assert await storage.jobs.cursor() == block(11)
    await storage.database.run(lambda connection: limit(connection, 1_000_000))
    (job,) = await storage.jobs.move([large])
    assert job.result == bytes(1_000_000)
    await storage.close()


async def test_a_database_held_by_another_is_named_and_usable_afterwards(
    file: Path, clock: SteppingClock
) -> None:
    storage = open_storage(file, clock, lock_timeout_seconds=0.2)
    event = seen(11)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked by another process") as caught:
        await storage.jobs.ingest(block(11), [event], [])
    assert caught.value.hint is not None
    assert await storage.jobs.cursor() is None  # readers do not wait
    holder.execute("ROLLBACK")
    holder.close()
    await storage.jobs.ingest(block(11), [event], [])
    await storage.close()


async def test_an_open_reader_does_not_stop_writers(file: Path, clock: SteppingClock) -> None:
    storage = open_storage(file, clock, lock_timeout_seconds=0.2)
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM jobs").fetchall()
    await storage.jobs.ingest(block(11), [seen(11)], [])
    assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    reader.close()
    await storage.close()


async def test_a_damaged_file_is_named(file: Path, clock: SteppingClock) -> None:
    storage = open_storage(file, clock)
    await storage.jobs.ingest(block(11), [seen(11) for _ in range(200)], [])
    await storage.close()
    _damage(file)
    with pytest.raises(StorageError, match="damaged"):
        open_storage(file, clock)


def _damage(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as content:
        content.seek(4096)  # leaves the header
        content.write(b"\xa5" * (size - 4096))


async def test_work_after_closing_is_refused_and_closing_again_is_not(
    file: Path, clock: SteppingClock
) -> None:
    storage = open_storage(file, clock)
    await storage.close()
    await storage.close()
    with pytest.raises(StorageError, match="closed"):
        await storage.jobs.cursor()


async def test_a_cancelled_caller_leaves_a_whole_transaction(
    file: Path, clock: SteppingClock
) -> None:
    storage = open_storage(file, clock)
    begun, may_end = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        assert may_end.wait(10)
        connection.exec_driver_sql("INSERT INTO blocks VALUES (1, x'00', 1)")

    caller = asyncio.create_task(storage.database.run(slow))
    await asyncio.to_thread(begun.wait)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    may_end.set()
    assert await storage.jobs.cursor() is not None
    await storage.close()


async def test_a_defect_in_the_work_rolls_back_and_passes_through(
    file: Path, clock: SteppingClock
) -> None:
    storage = open_storage(file, clock)

    def broken(connection: Connection) -> None:
        connection.exec_driver_sql("DELETE FROM identity")
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        await storage.database.run(broken)
    with pytest.raises(StorageError, match="no such table"):
        await storage.database.run(lambda each: each.exec_driver_sql("DELETE FROM absent"))
    await storage.close()
    await open_storage(file, clock).close()
