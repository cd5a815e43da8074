"""Traces on the disk: whole, owed until windows close, within a budget, whatever is killed."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from oracle.core.schema import ElementType
from oracle.court.commitment import commit
from oracle.court.opening import verify_trace_opening
from oracle.errors import NotFound, StorageError, TraceError, TraceStoreFull
from oracle.ports.inference import CommittedTrace
from oracle.ports.traces import LeftOut, TraceHold, TraceToKeep
from oracle.program.encoding import program_root
from oracle.program.instruction import Program
from oracle.storage import trace_files, trace_index
from oracle.storage.trace_prover import TraceProver
from oracle.storage.trace_store import FileTraceStore, open_trace_store
from tests.support.small_programs import small_program, small_trace

PROGRAM = small_program(
    [(ElementType.FLOAT32, 100), (ElementType.BOOL, 7), (ElementType.INT64, 9)], leaf_bytes=64
)
ROOT = program_root(PROGRAM)
FILE = 4_096
"""What one of these small traces is charged."""
LARGE = -(-(FILE + 1) // PROGRAM.row_trace_bytes)
"""Rows of a trace that is charged two of them."""
DAY = 86_400


class StoppedClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class OneProgram:
    async def program(self, root: bytes) -> Program:
        if root != ROOT:
            raise NotFound("no such program")
        return PROGRAM

    async def file(self, root: bytes) -> bytes:
        raise NotFound("none")


def kept(seed: int, *, rows: int = 1, holder: int | None = None) -> TraceToKeep:
    trace = small_trace(PROGRAM, rows, seed)
    root = commit(PROGRAM, ROOT, trace).trace_root
    return TraceToKeep(
        request(seed if holder is None else holder), CommittedTrace(root, ROOT, trace)
    )


def request(number: int) -> bytes:
    return sha256(number.to_bytes(4, "big")).digest()


def until(one: TraceToKeep, time: float) -> TraceHold:
    return TraceHold(one.root, one.holder, time)


def sqlite_error(text: str, code: int) -> OperationalError:
    """As SQLAlchemy tells it."""
    cause = sqlite3.OperationalError(text)
    cause.sqlite_errorcode = code
    cause.sqlite_errorname = "SQLITE_FULL"
    return OperationalError("INSERT", {}, cause)


def left(one: TraceToKeep, seconds: float) -> LeftOut:
    return LeftOut(one.root, one.holder, seconds, 600)


def content(one: TraceToKeep) -> bytes:
    return b"".join(values.tobytes() for row in one.committed.trace.rows for values in row)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def store(tmp_path: Path, clock: StoppedClock) -> AsyncIterator[FileTraceStore]:
    opened = open_trace_store(tmp_path / "traces", budget_bytes=4 * FILE, clock=clock)
    yield opened
    await opened.close()


async def test_a_trace_is_its_tensors_one_after_the_other(
    store: FileTraceStore, tmp_path: Path
) -> None:
    one = kept(1, rows=3)
    await store.save([one])
    found = await store.find(one.root)
    assert found is not None
    assert (found.rows, found.program_root) == (3, ROOT)
    assert found.byte_count == len(content(one)) == 3 * PROGRAM.row_trace_bytes
    assert (tmp_path / "traces" / f"{one.root.hex()}.trace").read_bytes() == content(one)
    pieces = [await store.read(one.root, at, 100) for at in range(0, found.byte_count + 200, 100)]
    assert b"".join(pieces) == content(one)
    loaded = await store.load(one.root, PROGRAM)
    assert commit(PROGRAM, ROOT, loaded).trace_root == one.root
    with pytest.raises(ValueError, match="read-only"):
        loaded.rows[0][0][0] = 1
    assert not list((tmp_path / "traces").glob(".incoming-*"))


async def test_what_is_not_kept_is_not_found(store: FileTraceStore) -> None:
    assert await store.find(bytes(32)) is None
    with pytest.raises(NotFound):
        await store.read(bytes(32), 0, 10)
    with pytest.raises(NotFound):
        await store.load(bytes(32), PROGRAM)
    with pytest.raises(StorageError, match="32 bytes"):
        await store.read(b"../../etc/passwd", 0, 10)


async def test_a_sweep_drops_what_is_long_over_and_nothing_else(store: FileTraceStore) -> None:
    over, open_, unknown = kept(1), kept(2), kept(3)
    await store.save([over, open_, unknown])
    await store.keep_until([until(over, 500), until(open_, 2000)])
    assert await store.sweep(501) == 0
    assert (await store.usage()).held_bytes == 2 * FILE
    assert await store.find(over.root) is not None, "for those who come late"
    assert await store.sweep(500 + DAY) == 0, "a day is over after its last second"
    assert await store.sweep(501 + DAY) == 1
    assert await store.find(over.root) is None
    with pytest.raises(NotFound):
        await store.read(over.root, 0, 1)
    assert await store.read(open_.root, 0, 4) == content(open_)[:4]
    assert await store.sweep(1e12) == 1
    assert await store.find(unknown.root) is not None, "nobody said that its window closed"


async def test_a_shared_trace_waits_for_the_last_request(store: FileTraceStore) -> None:
    first, second = kept(1, holder=10), kept(1, holder=11)
    await store.save([first])
    await store.keep_until([until(first, 500)])
    await store.save([second])
    assert await store.sweep(1000 + DAY) == 0
    await store.keep_until([until(second, 700)])
    assert await store.sweep(600 + DAY) == 0
    await store.save([second])  # computed again after a reorg: its window is unknown again
    assert await store.sweep(1e9) == 0
    await store.keep_until([until(second, 700), until(kept(9), 1)])  # the last is not here
    assert await store.sweep(701 + DAY) == 1
    assert (await store.usage()).traces == 0


async def test_the_holds_of_open_windows_are_told(store: FileTraceStore) -> None:
    over, open_, unknown = kept(1), kept(2), kept(3)
    await store.save([over, open_, unknown])
    holds = [until(over, 500), until(open_, 2000)]
    await store.keep_until(holds)
    killed = TraceHold(unknown.root, unknown.holder, None)
    assert set(await store.holds()) == {*holds, killed}, "before the first sweep"
    await store.sweep(501)
    assert set(await store.holds()) == {holds[1], killed}
    with pytest.raises(ValueError, match="a time that is known"):
        await store.keep_until([killed])


async def test_what_is_owed_and_not_kept_is_on_record(tmp_path: Path, clock: StoppedClock) -> None:
    store = open_trace_store(tmp_path, budget_bytes=4 * FILE, clock=clock)
    first, second = kept(1), kept(2)
    await store.leave_out(left(first, 7.0), 500)
    await store.leave_out(left(first, 8.5), 600)  # again after a restart
    await store.leave_out(left(second, 20.0), 2000)
    usage = await store.usage()
    assert (usage.unkept, usage.traces, usage.held_bytes) == (2, 0, 0)
    assert await store.find(first.root) is None
    await store.close()
    store = open_trace_store(tmp_path, budget_bytes=4 * FILE, clock=clock)
    assert set(await store.left_out()) == {left(first, 8.5), left(second, 20.0)}
    assert set(await store.holds()) == {until(first, 600), until(second, 2000)}
    await store.close()


async def test_what_is_not_kept_is_owed_until_its_hold_ends(store: FileTraceStore) -> None:
    over, let_go, demanded = kept(1), kept(2), kept(3)
    for one in (over, let_go, demanded):
        await store.leave_out(left(one, 10.0), 500)
    with capture_logs() as said:
        await store.keep_until([until(demanded, 900), until(let_go, 399)])
    assert said == []
    assert await store.sweep(400) == 0
    assert (await store.usage()).unkept == 2
    assert set(await store.holds()) == {until(over, 500), until(demanded, 900)}
    with capture_logs() as said:
        await store.keep_until([until(let_go, 900)])
    assert [line["event"] for line in said] == ["holds of traces that are not here"]
    await store.sweep(500)
    assert (await store.usage()).unkept == 2, "its last second is not over"
    await store.sweep(501)
    assert await store.left_out() == [left(demanded, 10.0)]
    await store.keep_until([until(demanded, 500)])
    assert await store.left_out() == [], "as of the last sweep"
    await store.keep_until([until(demanded, 900)])
    await store.sweep(901)
    assert await store.holds() == []


async def test_what_is_saved_after_all_is_kept_for_those_who_were_left_out(
    store: FileTraceStore,
) -> None:
    first, second, other = kept(1, holder=10), kept(1, holder=11), kept(2)
    await store.leave_out(left(first, 10.0), 2000)
    await store.leave_out(left(second, 10.0), 3000)
    await store.leave_out(left(other, 10.0), 3000)
    await store.save([first])
    usage = await store.usage()
    assert (usage.unkept, usage.held_bytes) == (1, FILE)
    await store.keep_until([until(first, 2000)])
    assert set(await store.holds()) == {
        until(first, 2000),
        until(second, 3000),
        until(other, 3000),
    }
    assert await store.sweep(2001 + DAY) == 0, "another answer commits to it"
    assert await store.sweep(3001 + DAY) == 1
    assert await store.holds() == []


async def test_that_a_trace_is_not_kept_may_not_be_on_record_either(
    tmp_path: Path, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_trace_store(tmp_path, budget_bytes=4 * FILE, clock=clock)

    def full(*_: object) -> None:
        raise sqlite_error("database or disk is full", sqlite3.SQLITE_FULL)

    monkeypatch.setattr(trace_index, "leave_out", full)
    with pytest.raises(StorageError, match="the disk is full"):
        await store.leave_out(left(kept(1), 1.0), 500)
    await store.close()


async def test_traces_that_were_let_go_make_room_oldest_first(store: FileTraceStore) -> None:
    traces = [kept(number) for number in range(4)]
    await store.save(traces)
    assert await store.sweep(1000) == 0
    await store.keep_until(
        [
            until(traces[0], 900),
            until(traces[1], 800),
            until(traces[2], 700),
            until(traces[3], 5000),
        ]
    )
    await store.save([kept(4), kept(5)])
    left = [await store.find(one.root) is not None for one in traces]
    assert left == [True, False, False, True]
    usage = await store.usage()
    assert (usage.traces, usage.used_bytes, usage.held_bytes) == (4, 4 * FILE, 3 * FILE)
    await store.keep_until([until(traces[3], 0)])
    await store.save([kept(number) for number in (6, 7)])
    assert {n: await store.find(kept(n).root) is not None for n in (0, 3, 4, 5)} == {
        0: False,
        3: False,
        4: True,
        5: True,
    }


async def test_what_is_owed_is_never_dropped_for_room(
    store: FileTraceStore, clock: StoppedClock
) -> None:
    owed = [kept(number) for number in range(4)]
    await store.save(owed)
    await store.keep_until([until(owed[0], 1500)])
    assert store.trouble is None
    with pytest.raises(TraceStoreFull, match="are still owed"):
        await store.save([kept(7)])
    assert store.trouble is not None
    assert "no room" in store.trouble
    assert (await store.usage()).trouble == store.trouble
    for one in owed:
        assert await store.read(one.root, 0, 10_000) == content(one)
    await store.save([owed[1]])  # no more room is needed for what is here
    clock.time = 1e9
    with pytest.raises(TraceStoreFull):
        await store.save([kept(7)])  # this machine's clock says nothing of windows
    assert await store.sweep(1501) == 0
    await store.save([kept(7)])
    assert await store.find(owed[0].root) is None


async def test_that_there_was_no_room_is_said_until_there_is_room_for_that(
    store: FileTraceStore,
) -> None:
    owed, large = [kept(number) for number in range(3)], kept(7, rows=LARGE)
    await store.save(owed)
    with pytest.raises(TraceStoreFull) as refused:
        await store.save([large])
    assert refused.value.hint == (
        "raise trace_budget_bytes; a trace that is not kept is made again when it is demanded"
    )
    wanted = f"no room for {2 * FILE} bytes of traces: {3 * FILE} of {4 * FILE} are still owed"
    assert store.trouble == wanted
    await store.save([kept(8)])
    assert store.trouble == wanted, "a smaller one tells nothing of its room"
    with pytest.raises(TraceStoreFull):
        await store.save([kept(9)])
    assert store.trouble == wanted, "the one that takes more room is told"
    await store.keep_until([until(owed[0], 1500), until(owed[1], 1501)])
    await store.sweep(1501)
    assert store.trouble == wanted
    await store.keep_until([until(kept(8), 0)])
    assert store.trouble == wanted, "a sweep tells what is owed"
    await store.sweep(1501)
    assert store.trouble is None, "half of it is owed, and there is room all the same"
    await store.save([large])


async def test_what_is_saved_one_by_one_is_no_trouble_for_long(store: FileTraceStore) -> None:
    with pytest.raises(TraceStoreFull, match="no room"):
        await store.save([kept(number) for number in range(5)])
    for number in range(3):
        await store.save([kept(number)])
    await store.sweep(1500)
    assert store.trouble is None, "the largest of them fits"


async def test_what_is_larger_than_the_whole_budget_is_told_as_just_that(
    store: FileTraceStore,
) -> None:
    with pytest.raises(TraceStoreFull, match="larger than trace_budget_bytes"):
        await store.save([kept(1), kept(2, rows=4 * LARGE)])
    said = f"a trace is larger than trace_budget_bytes: {5 * FILE} of {4 * FILE}"
    assert store.trouble == said
    await store.save([kept(1)])
    await store.sweep(1e12)
    assert store.trouble == said, "no sweep mends it"


async def test_a_disk_that_takes_no_trace_is_trouble_until_it_does(
    store: FileTraceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = kept(1)
    await store.save([here])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr(trace_files, "_sync", full)
        broken.setattr(Path, "unlink", read_only)
        with pytest.raises(StorageError, match="is full"):
            await store.save([kept(2)])
    said = f"a trace could not be written: the disk of {tmp_path / 'traces'} is full"
    assert store.trouble == said
    assert (await store.usage()).trouble == said
    await store.save([here])  # nothing is written for what is here
    await store.sweep(1500)
    assert store.trouble == said
    await store.save([kept(2)])
    assert store.trouble is None
    assert await store.read(kept(2).root, 0, 10_000) == content(kept(2))


async def test_an_index_that_takes_no_trace_is_trouble_as_well(
    store: FileTraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite_error("database or disk is full", sqlite3.SQLITE_FULL)

    with monkeypatch.context() as broken:
        broken.setattr(trace_index, "add", full)
        with pytest.raises(StorageError, match="the disk is full"):
            await store.save([kept(1)])
    assert store.trouble is not None
    assert "the disk is full" in store.trouble
    await store.save([kept(1)])
    assert store.trouble is None


async def test_a_smaller_budget_refuses_nothing_that_is_here(
    tmp_path: Path, clock: StoppedClock
) -> None:
    store = open_trace_store(tmp_path, budget_bytes=4 * FILE, clock=clock)
    await store.save([kept(1), kept(2)])
    await store.close()
    store = open_trace_store(tmp_path, budget_bytes=FILE, clock=clock)
    await store.save([kept(1)])
    assert store.trouble is None
    await store.close()


async def test_all_or_none_are_saved(store: FileTraceStore) -> None:
    with pytest.raises(TraceStoreFull):
        await store.save([kept(number) for number in range(5)])
    assert (await store.usage()).traces == 0
    assert await store.find(kept(0).root) is None


async def test_one_process_writes(
    store: FileTraceStore, tmp_path: Path, clock: StoppedClock
) -> None:
    with pytest.raises(StorageError, match="in use by another process"):
        open_trace_store(tmp_path / "traces", budget_bytes=1, clock=clock)


async def test_a_cancelled_caller_leaves_whole_traces(store: FileTraceStore) -> None:
    one = kept(1)
    task = asyncio.create_task(store.save([one]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.save([kept(2)])
    assert await store.read(one.root, 0, 10_000) == content(one)


async def test_strays_are_removed_and_losses_said(tmp_path: Path, clock: StoppedClock) -> None:
    folder = tmp_path / "traces"
    store = open_trace_store(folder, budget_bytes=10 * FILE, clock=clock)
    lost, cut, whole = kept(1), kept(2), kept(3)
    await store.save([lost, cut, whole])
    await store.close()
    (folder / f"{lost.root.hex()}.trace").unlink()
    (folder / f"{cut.root.hex()}.trace").write_bytes(content(cut)[:-1])
    (folder / f"{kept(4).root.hex()}.trace").write_bytes(content(kept(4)))
    (folder / ".incoming-abc").write_bytes(b"half")
    (folder / "notes.txt").write_text("not ours")
    store = open_trace_store(folder, budget_bytes=10 * FILE, clock=clock)
    try:
        assert store.trouble is not None
        assert "2 traces that are owed are gone" in store.trouble
        with pytest.raises(StorageError, match="bytes, 1 rows of its program"):
            await store.load(cut.root, PROGRAM)
        names = {path.name for path in folder.iterdir()}
        assert f"{kept(4).root.hex()}.trace" not in names
        assert ".incoming-abc" not in names
        assert "notes.txt" in names
        await store.save([lost, cut])
        assert store.trouble is None
        assert await store.read(cut.root, 0, 10_000) == content(cut)
    finally:
        await store.close()


async def test_proofs_are_made_on_demand(store: FileTraceStore, tmp_path: Path) -> None:
    one, other = kept(1, rows=3), kept(2)
    await store.save([one, other])
    prover = TraceProver(store, OneProgram(), cache_bytes=1)
    for row, tensor, first, count in ((0, 0, 0, 7), (2, 0, 6, 1), (1, 1, 0, 1), (2, 2, 1, 1)):
        opening = await prover.open_leaves(
            one.root, row=row, tensor=tensor, first=first, count=count
        )
        raw = one.committed.trace.rows[row][tensor].tobytes()
        shown = verify_trace_opening(PROGRAM, ROOT, one.root, 3, opening)
        assert shown == raw[64 * first : 64 * (first + count)]
    with pytest.raises(TraceError, match="row 3 is out of range"):
        await prover.open_leaves(one.root, row=3, tensor=0, first=0, count=1)
    with pytest.raises(NotFound):
        await prover.open_leaves(bytes(32), row=0, tensor=0, first=0, count=1)
    path = tmp_path / "traces" / f"{other.root.hex()}.trace"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(StorageError, match="is damaged"):
        await prover.open_leaves(other.root, row=0, tensor=0, first=0, count=1)


_WRITER = """
import asyncio, sys
from pathlib import Path
from tests.storage.test_trace_store import StoppedClock, kept, open_trace_store, until

async def main():
    store = open_trace_store(Path(sys.argv[1]), budget_bytes=1 << 30, clock=StoppedClock())
    for number in range(100_000):
        one = kept(number, rows=40)
        await store.save([one])
        print("saved", number, flush=True)
        await store.keep_until([until(one, 500 if number % 2 else 5000)])
        await store.sweep(1000)

asyncio.run(main())
"""


def write_and_kill(folder: Path) -> int:
    """Starts a writer and kills it in the midst; the last trace that it said it saved."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    with process.stdout as said:
        numbers = (int(line.split()[1]) for line in said if line.startswith("saved "))
        last = next(number for number in numbers if number >= 9)
        os.kill(process.pid, signal.SIGKILL)
        last = max([last, *numbers])
    process.wait()
    return last


async def test_a_killed_process_loses_nothing_that_it_said_it_saved(
    tmp_path: Path, clock: StoppedClock
) -> None:
    folder = tmp_path / "traces"
    last = -1
    for _ in range(3):
        last = max(last, await asyncio.to_thread(write_and_kill, folder))
        store = open_trace_store(folder, budget_bytes=1 << 30, clock=clock)
        assert store.trouble is None
        for number in range(0, last + 1, 2):
            one = kept(number, rows=40)
            assert await store.read(one.root, 0, 1 << 20) == content(one), number
        files = {path.stem for path in folder.glob("*.trace")}
        assert len(files) == (await store.usage()).traces
        assert not list(folder.glob(".incoming-*"))
        await store.close()
