"""One queue for several workers: each takes jobs of its own, and those of a worker that died.

A job that is taken bears its worker's name, and is that worker's for as long as the worker has the
lease of its key: no claim is prolonged job by job. Knows nothing of what is done with a job.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from oracle.core.job import Job, JobState
from oracle.storage.conversion import job_of_row
from oracle.storage.job_rows import chunks, due
from oracle.storage.lease_store import count_workers, live_workers
from oracle.storage.tables import jobs, leases


def take_jobs(
    connection: Connection,
    states: Sequence[JobState],
    *,
    holder: str,
    limit: int,
    due_at: float,
    anew: bool,
    now: ColumnElement[float],
) -> list[Job]:
    """Takes this worker's share of the jobs that are due, earliest deadline first.

    Rows that another is at in this moment are passed over, so that nobody waits for anybody.
    """
    lives = select(leases.c.holder).where(*live_workers(now))
    free = or_(jobs.c.taken_by.is_(None), jobs.c.taken_by.not_in(lives))
    own = jobs.c.taken_by == holder
    mine_to_take = (
        jobs.c.state.in_(states),
        due(due_at),
        or_(own, free) if anew else own,
    )
    waiting = connection.execute(
        select(func.count()).select_from(jobs).where(*mine_to_take)
    ).scalar_one()
    if not waiting:
        return []
    share = -(-waiting // max(1, count_workers(connection, now)))
    order = (jobs.c.deadline, jobs.c.request_id)
    picked = connection.execute(
        select(jobs.c.request_id, jobs.c.taken_by)
        .where(*mine_to_take)
        .order_by(*order)
        .limit(min(limit, share))
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    taken: list[Job] = []
    for chunk in chunks([row.request_id for row in picked if row.taken_by != holder]):
        connection.execute(update(jobs).where(jobs.c.request_id.in_(chunk)).values(taken_by=holder))
    for chunk in chunks([row.request_id for row in picked]):
        query = select(jobs).where(jobs.c.request_id.in_(chunk)).order_by(*order)
        taken += [job_of_row(row) for row in connection.execute(query).mappings()]
    return taken
