"""A batch costs a handful of statements however large it is, and finding work reads an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine, event

from oracle.core.job import JobState, Trigger
from oracle.ports.jobs import JobMove
from oracle.storage import Storage, open_storage

from .building import SteppingClock, block, computed, prepared, seen


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL statements that are executed meanwhile."""
    executed: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        executed.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_batch_is_a_handful_of_statements(storage: Storage) -> None:
    events = [seen(11) for _ in range(300)]
    ids = [each.request_id for each in events[:100]]
    accepted = [JobMove(key, Trigger.ACCEPTED_BY_US, {"accepted": True}) for key in ids]
    started = perf_counter()
    with statements() as executed:
        await storage.jobs.ingest(block(11), events, accepted)
    assert len(executed) <= 7, executed
    with statements() as executed:
        await storage.jobs.move(
            [JobMove(each.request_id, Trigger.COMPUTED, computed(each)) for each in events[:100]]
        )
    assert len(executed) <= 4, executed
    with statements() as executed:
        await storage.jobs.reserve_signatures("answer", [(key, key) for key in ids])
    assert len(executed) <= 4, executed
    with statements() as executed:
        moves = [JobMove(key, Trigger.ANSWER_SENT) for key in ids]
        await prepared(storage, 1, request_ids=ids, moves=moves)
    assert len(executed) <= 12, executed
    # Some tens of milliseconds; the bound only catches a fall back to a statement per job.
    assert perf_counter() - started < 5.0


def plan_of(connection: Connection, query: str) -> str:
    values = ("seen", "admitted", 5.0, 10, 0, 0, 0)
    rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + query, values[: query.count("?")])
    return "\n".join(row[3] for row in rows)


async def test_finding_work_reads_only_the_rows_it_returns(
    tmp_path: Path, clock: SteppingClock
) -> None:
    storage = open_storage(tmp_path / "oracle.db", clock)
    with statements() as executed:
        await storage.jobs.jobs([JobState.SEEN, JobState.ADMITTED], limit=10, due_at=5.0)
    (query,) = [each for each in executed if each.startswith("SELECT")]
    plan = await storage.database.read(lambda connection: plan_of(connection, query))
    assert "USING COVERING INDEX ix_jobs_queue (state=?)" in plan, plan
    assert "SCAN jobs\n" not in plan, plan
    await storage.close()


async def test_finding_what_is_final_reads_only_the_rows_it_returns(
    tmp_path: Path, clock: SteppingClock
) -> None:
    storage = open_storage(tmp_path / "oracle.db", clock)
    with statements() as executed:
        await storage.jobs.settleable(5, limit=10, due_at=5.0)
    (query,) = [each for each in executed if each.startswith("SELECT")]
    plan = await storage.database.read(lambda connection: plan_of(connection, query))
    picking = "USING COVERING INDEX ix_jobs_settleable (state=? AND settle_at<?)"
    assert picking in plan, plan
    assert "SCAN jobs\n" not in plan, plan
    await storage.close()


async def test_totals_read_indexes_only(tmp_path: Path, clock: SteppingClock) -> None:
    storage = open_storage(tmp_path / "oracle.db", clock)
    with statements() as executed:
        await storage.jobs.totals()
    queries = [each for each in executed if each.startswith("SELECT")]
    assert len(queries) == 4
    for query in queries:
        plan = await storage.database.read(partial(plan_of, query=query))
        assert "USING COVERING INDEX" in plan, plan
    await storage.close()
