"""Jobs inside a transaction that someone else opened: load, insert, move along the table, save.

Both stores move jobs with it, so that a job's move and what causes it are one commit. A batch costs
a handful of statements, however many jobs it has. Knows nothing of threads or commits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, bindparam, insert, or_, select, update

from oracle.core.event import RequestSeen
from oracle.core.job import LONGEST_PAUSE_SECONDS, Job, JobState, Trigger, advance, can_advance
from oracle.core.receipt import Answer
from oracle.core.serving import UNDONE
from oracle.core.transaction import Purpose, TransactionState
from oracle.errors import IllegalTransition, NotFound
from oracle.ports.jobs import JobMove
from oracle.storage.conversion import (
    changed,
    fixed_columns,
    job_of_row,
    mined_columns,
    moving_columns,
)
from oracle.storage.tables import attempts, jobs, transaction_requests, transactions

Item = TypeVar("Item")

_CHUNK = 500
"""Values in one IN list; databases limit the parameters of a statement."""


def chunks(items: Collection[Item]) -> Iterator[Sequence[Item]]:
    """The distinct items, in order, in pieces that fit one IN list."""
    distinct = list(dict.fromkeys(items))
    for start in range(0, len(distinct), _CHUNK):
        yield distinct[start : start + _CHUNK]


def due(at: float) -> ColumnElement[bool]:
    """Whether a job is not put off. Further ahead than any step puts one, the clock went back."""
    not_before = jobs.c.not_before
    return or_(not_before <= at, not_before > at + LONGEST_PAUSE_SECONDS)


def load_jobs(connection: Connection, request_ids: Collection[bytes]) -> dict[bytes, Job]:
    """Those of these jobs that there are, locked against other writers."""
    found: dict[bytes, Job] = {}
    for chunk in chunks(request_ids):
        query = select(jobs).where(jobs.c.request_id.in_(chunk)).with_for_update()
        for row in connection.execute(query).mappings():
            found[row["request_id"]] = job_of_row(row)
    return found


def save_jobs(
    connection: Connection, before: Mapping[bytes, Job], after: Mapping[bytes, Job]
) -> None:
    """Inserts the jobs that are not in `before`; of the others, writes the columns that differ."""
    new = [
        fixed_columns(job) | moving_columns(job)
        for request_id, job in after.items()
        if request_id not in before
    ]
    if new:
        connection.execute(insert(jobs), new)
    updates: defaultdict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for request_id, job in after.items():
        if request_id in before:
            columns = changed(moving_columns(before[request_id]), moving_columns(job))
            if columns:
                updates[frozenset(columns)].append({"key": request_id, **columns})
    for rows in updates.values():
        connection.execute(update(jobs).where(jobs.c.request_id == bindparam("key")), rows)


def move_jobs(connection: Connection, moves: Sequence[JobMove], now: float) -> list[Job]:
    """Moves jobs in the given order; a job may move more than once.

    Raises:
        NotFound: no such job.
        IllegalTransition: a job is not where the move starts.
    """
    before = load_jobs(connection, [move.request_id for move in moves])
    after: dict[bytes, Job] = {}
    for move in moves:
        job = after.get(move.request_id) or before.get(move.request_id)
        if job is None:
            raise NotFound(f"there is no job 0x{move.request_id.hex()}")
        after[move.request_id] = _moved(job, move, now)
    save_jobs(connection, before, after)
    return list(after.values())


def moved_if_possible(
    jobs_by_id: Mapping[bytes, Job], moves: Iterable[JobMove], now: float
) -> dict[bytes, Job]:
    """The jobs that moved, after all moves that name a job here and an edge of its table."""
    after: dict[bytes, Job] = {}
    for move in moves:
        job = after.get(move.request_id) or jobs_by_id.get(move.request_id)
        if job is not None and can_advance(job.state, move.trigger):
            after[move.request_id] = _moved(job, move, now)
    return after


def _moved(job: Job, move: JobMove, now: float) -> Job:
    try:
        state = advance(job.state, _undoing(job, move.trigger))
    except IllegalTransition as error:
        raise IllegalTransition(f"0x{job.request_id.hex()}: {error.message}") from None
    # Who computed it posts it, unless that fails: then it is anybody's again.
    taken_by = job.taken_by if move.trigger is Trigger.COMPUTED else None
    posted = move.posted
    if posted is not None and job.answer is None:
        # Given from a database that is lost: what is on the chain is enough to settle it. What is
        # saved here is never changed for a log's sake, as it is what was signed.
        answer = Answer.of(
            job.request_id, job.request, posted.operator, posted.result, posted.trace_root
        )
        job = replace(job, answer=answer)
    return replace(job, **move.patch, state=state, updated_at=now, taken_by=taken_by)


def _undoing(job: Job, trigger: Trigger) -> Trigger:
    """The trigger; an answer that was not made here is computed here before it is sent again."""
    if trigger is Trigger.ANSWER_FAILED and job.answered_elsewhere:
        return Trigger.ANSWER_VANISHED
    return trigger


# ---- reorgs


def under_way(connection: Connection, purpose: Purpose) -> set[bytes]:
    """The requests that open transactions of a purpose serve."""
    query = (
        select(transaction_requests.c.request_id)
        .join(transactions, transactions.c.id == transaction_requests.c.transaction_id)
        .where(transactions.c.state == TransactionState.OPEN, transactions.c.purpose == purpose)
    )
    return set(connection.scalars(query))


def reopen_mined(connection: Connection, which: ColumnElement[bool]) -> None:
    """Opens mined transactions again. Not every node puts them back into its pool, so they count
    as not sent."""
    hashes = select(transactions.c.mined_attempt_hash).where(which)
    connection.execute(
        update(attempts).where(attempts.c.hash.in_(hashes)).values(last_sent_at=None)
    )
    connection.execute(update(transactions).where(which).values(mined_columns(None)))


def reanchored(job: Job, event: RequestSeen, now: float) -> Job:
    """The job at the place where its request is mined now; the same object if nothing changes."""
    position = event.position
    place = (position.block_number, position.block_hash, position.log_index)
    if job.state is JobState.ORPHANED:
        job = _forgetting_the_chain(job, advance(job.state, Trigger.RESEEN), now)
    elif place == (job.block_number, job.block_hash, job.log_index):
        return job
    return replace(
        job,
        block_number=position.block_number,
        block_hash=position.block_hash,
        log_index=position.log_index,
        updated_at=now,
    )


def rewound(job: Job, ancestor_number: int, now: float) -> Job:
    """The job without what happened to it above a block; the same object if nothing did."""
    if job.block_number > ancestor_number:
        if not can_advance(job.state, Trigger.ORPHANED):
            return job
        return _forgetting_the_chain(job, advance(job.state, Trigger.ORPHANED), now)
    rewound_job = job
    if job.ended_block is not None and job.ended_block > ancestor_number:
        rewound_job = replace(_reopened(rewound_job, Trigger.END_UNMINED, now), ended_block=None)
    if job.settled_block is not None and job.settled_block > ancestor_number:
        rewound_job = replace(
            _reopened(rewound_job, Trigger.SETTLE_UNMINED, now), settled_block=None, fee_earned=0
        )
    if job.answered_block is not None and job.answered_block > ancestor_number:
        rewound_job = replace(
            _without_a_logs_result(_reopened(rewound_job, Trigger.ANSWER_UNMINED, now)),
            answered_block=None,
            settle_at=None,
        )
    if job.accepted_block is not None and job.accepted_block > ancestor_number:
        rewound_job = replace(
            _reopened(rewound_job, Trigger.ACCEPT_UNMINED, now),
            accepted=False,
            accepted_block=None,
        )
    return rewound_job


_WAITING = {state: (purpose, trigger) for purpose, (state, trigger) in UNDONE.items()}


def stepped_back(job: Job, under_way: Mapping[Purpose, Collection[bytes]], now: float) -> Job:
    """The job a step back, where it waits for a transaction that a reorg undid and we never sent.

    Anybody may send a signed answer or a settlement; their transactions are not ours to repeat.
    """
    if job.state not in _WAITING:
        return job
    purpose, trigger = _WAITING[job.state]
    if job.request_id in under_way[purpose]:
        return job
    return replace(job, state=advance(job.state, _undoing(job, trigger)), updated_at=now)


def _reopened(job: Job, trigger: Trigger, now: float) -> Job:
    state = advance(job.state, trigger) if can_advance(job.state, trigger) else job.state
    return replace(job, state=state, reason=None, attempts=0, not_before=0.0, updated_at=now)


def _without_a_logs_result(job: Job) -> Job:
    """What was posted stays on record, so that nothing else is signed beside it. The result is
    computed here before it is: a log that is gone proves nothing, and its trace may not be here."""
    return replace(job, result=None) if job.answered_elsewhere else job


def _forgetting_the_chain(job: Job, state: JobState, now: float) -> Job:
    """The job with what it has computed and signed, but with nothing that the chain said."""
    return replace(
        _without_a_logs_result(job),
        state=state,
        reason=None,
        accepted=False,
        settle_at=None,
        accepted_block=None,
        answered_block=None,
        settled_block=None,
        ended_block=None,
        fee_earned=0,
        attempts=0,
        not_before=0.0,
        updated_at=now,
    )
