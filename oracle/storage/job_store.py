"""The job table, the cursor and the sign-once record: `ports.jobs.JobStore` over SQL.

Each method is one database transaction. Knows what a job may become only through its table in core.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, or_, select

from oracle.core.event import BlockRef, RequestSeen
from oracle.core.job import Job, JobState
from oracle.core.transaction import Purpose, TransactionState
from oracle.errors import SignedTwice
from oracle.ports.clock import Clock
from oracle.ports.contracts import ItemCode
from oracle.ports.jobs import DatabaseIdentity, Disputable, JobMove, Totals
from oracle.storage.conversion import block_of_row, job_of_event, job_of_row
from oracle.storage.database import Database
from oracle.storage.job_queue import take_jobs
from oracle.storage.job_rows import (
    chunks,
    due,
    load_jobs,
    move_jobs,
    moved_if_possible,
    reanchored,
    reopen_mined,
    rewound,
    save_jobs,
    stepped_back,
    under_way,
)
from oracle.storage.lease_store import require_chain
from oracle.storage.schema import bind
from oracle.storage.tables import blocks, cursors, jobs, signatures, transactions

_FINALISED = "finalised"

BLOCKS_KEPT = 512
"""How far back a reorg can be followed to the common ancestor."""


class SqlJobStore:
    """Jobs in an SQL database."""

    def __init__(self, database: Database, clock: Clock, holder: str | None = None) -> None:
        """Args: holder: the worker's name in its leases; one that only looks has none."""
        self._database = database
        self._clock = clock
        self._holder = holder
        self._takes = True

    async def bind(self, identity: DatabaseIdentity) -> None:
        await self._database.run(lambda connection: bind(connection, identity))

    # ---- the cursor

    async def cursor(self) -> BlockRef | None:
        newest = await self.recent_blocks(1)
        return newest[0] if newest else None

    async def recent_blocks(self, limit: int) -> Sequence[BlockRef]:
        query = select(blocks).order_by(blocks.c.number.desc()).limit(limit)

        def work(connection: Connection) -> list[BlockRef]:
            return [block_of_row(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    # ---- news from the chain

    async def ingest(
        self, last: BlockRef, seen: Sequence[RequestSeen], moves: Sequence[JobMove]
    ) -> Sequence[Job]:
        now = self._clock.now()

        def work(connection: Connection) -> list[Job]:
            require_chain(connection, self._holder)
            before = load_jobs(
                connection,
                [event.request_id for event in seen] + [move.request_id for move in moves],
            )
            current = dict(before)
            for event in seen:
                known = current.get(event.request_id)
                current[event.request_id] = (
                    reanchored(known, event, now) if known else job_of_event(event, now)
                )
            current |= moved_if_possible(current, moves, now)
            after = {key: job for key, job in current.items() if job is not before.get(key)}
            save_jobs(connection, before, after)
            _stand_on(connection, last)
            return list(after.values())

        return await self._database.run(work)

    async def rewind(self, ancestor: BlockRef) -> Sequence[Job]:
        now = self._clock.now()
        number = ancestor.number
        above = or_(
            jobs.c.block_number > number,
            jobs.c.accepted_block > number,
            jobs.c.answered_block > number,
            jobs.c.settled_block > number,
            jobs.c.ended_block > number,
        )

        def work(connection: Connection) -> list[Job]:
            require_chain(connection, self._holder)
            query = select(jobs).where(above).with_for_update()
            before = {
                row["request_id"]: job_of_row(row) for row in connection.execute(query).mappings()
            }
            unmined = transactions.c.mined_block_number > number
            reopen_mined(connection, unmined)
            still_sent = {
                purpose: under_way(connection, purpose)
                for purpose in (Purpose.ACCEPT, Purpose.ANSWER, Purpose.SETTLE)
            }
            after = {
                key: stepped_back(rewound(job, number, now), still_sent, now)
                for key, job in before.items()
            }
            after = {key: job for key, job in after.items() if job is not before[key]}
            save_jobs(connection, before, after)
            connection.execute(delete(blocks).where(blocks.c.number > number))
            _stand_on(connection, ancestor)
            return list(after.values())

        return await self._database.run(work)

    async def finalised(self) -> BlockRef | None:
        query = select(blocks).join(
            cursors, (cursors.c.name == _FINALISED) & (cursors.c.block_number == blocks.c.number)
        )

        def work(connection: Connection) -> BlockRef | None:
            row = connection.execute(query).mappings().one_or_none()
            return block_of_row(row) if row else None

        return await self._database.read(work)

    async def finalise(self, block: BlockRef) -> None:
        def work(connection: Connection) -> None:
            require_chain(connection, self._holder)
            connection.execute(delete(cursors).where(cursors.c.name == _FINALISED))
            connection.execute(insert(cursors), {"name": _FINALISED, "block_number": block.number})
            _stand_on(connection, block)

        await self._database.run(work)

    # ---- steps of the worker

    async def move(self, moves: Sequence[JobMove]) -> Sequence[Job]:
        now = self._clock.now()
        return await self._database.run(lambda connection: move_jobs(connection, moves, now))

    async def take(self, states: Sequence[JobState], *, limit: int, due_at: float) -> Sequence[Job]:
        def work(connection: Connection) -> list[Job]:
            return take_jobs(
                connection,
                states,
                holder=self._holder or "",
                limit=limit,
                due_at=due_at,
                anew=self._takes,
                now=self._database.now,
            )

        return await self._database.run_beside(work)

    def stop_taking(self) -> None:
        self._takes = False

    async def reserve_signatures(self, kind: str, digests: Sequence[tuple[bytes, bytes]]) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            # Nobody else writes between this look and the insert; if somebody did, the primary
            # key would refuse the second row.
            reserved = _reserved(connection, kind, [request_id for request_id, _ in digests])
            new: dict[bytes, bytes] = {}
            for request_id, digest in digests:
                earlier = reserved.get(request_id) or new.setdefault(request_id, digest)
                if earlier != digest:
                    raise SignedTwice(
                        f"refused to sign a second {kind} for request 0x{request_id.hex()}: "
                        f"0x{digest.hex()} is not 0x{earlier.hex()}, which is reserved",
                        hint="the model gave two results, or two workers share this key",
                    )
            if new:
                common = {"kind": kind, "reserved_at": now}
                rows = [{"request_id": key, "digest": new[key], **common} for key in new]
                connection.execute(insert(signatures), rows)

        await self._database.run(work)

    async def reserved_signatures(
        self, kind: str, request_ids: Sequence[bytes]
    ) -> Mapping[bytes, bytes]:
        return await self._database.run(lambda connection: _reserved(connection, kind, request_ids))

    # ---- reading

    async def job(self, request_id: bytes) -> Job | None:
        query = select(jobs).where(jobs.c.request_id == request_id)

        def work(connection: Connection) -> Job | None:
            row = connection.execute(query).mappings().one_or_none()
            return job_of_row(row) if row else None

        return await self._database.read(work)

    async def jobs_of(self, request_ids: Sequence[bytes]) -> Sequence[Job]:
        def work(connection: Connection) -> list[Job]:
            found: list[Job] = []
            for chunk in chunks(request_ids):
                query = select(jobs).where(jobs.c.request_id.in_(chunk))
                found += [job_of_row(row) for row in connection.execute(query).mappings()]
            return found

        return await self._database.read(work)

    async def standing_in(
        self, states: Sequence[JobState], request_ids: Sequence[bytes]
    ) -> Set[bytes]:
        def work(connection: Connection) -> set[bytes]:
            found: set[bytes] = set()
            for chunk in chunks(request_ids):
                query = select(jobs.c.request_id).where(
                    jobs.c.request_id.in_(chunk), jobs.c.state.in_(states)
                )
                found.update(connection.scalars(query))
            return found

        return await self._database.read(work)

    async def jobs(
        self,
        states: Sequence[JobState],
        *,
        limit: int,
        due_at: float | None = None,
        besides: Collection[bytes] = (),
    ) -> Sequence[Job]:
        picked = select(jobs.c.request_id).where(jobs.c.state.in_(states))
        if besides:
            picked = picked.where(jobs.c.model_id.not_in(besides))
        if due_at is not None:
            picked = picked.where(due(due_at))
        return await self._first(picked, limit, jobs.c.deadline)

    async def settleable(self, chain_time: int, *, limit: int, due_at: float) -> Sequence[Job]:
        picked = select(jobs.c.request_id).where(
            jobs.c.state == JobState.ANSWERED, jobs.c.settle_at <= chain_time, due(due_at)
        )
        return await self._first(picked, limit, jobs.c.settle_at)

    async def _first(
        self, picked: Select[tuple[bytes]], limit: int, by: ColumnElement[Any]
    ) -> Sequence[Job]:
        # The inner query is answered by an index alone; only the rows it picks are read.
        order = (by, jobs.c.request_id)
        picked = picked.order_by(*order).limit(limit)
        query = select(jobs).where(jobs.c.request_id.in_(picked)).order_by(*order)

        def work(connection: Connection) -> list[Job]:
            return [job_of_row(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def bound(self, through_block: int) -> int:
        query = (
            select(func.count())
            .select_from(jobs)
            .where(jobs.c.accepted_block.is_not(None), jobs.c.accepted_block <= through_block)
        )
        return await self._database.read(lambda connection: connection.scalar(query) or 0)

    async def contradicted(self) -> int | None:
        query = select(func.min(jobs.c.block_number)).where(
            jobs.c.state.in_([JobState.COMPUTED, JobState.ANSWERED]),
            jobs.c.reason == ItemCode.WRONG_STATE,
            jobs.c.attempts > 1,
        )

        def work(connection: Connection) -> int | None:
            first: int | None = connection.scalar(query)
            return first

        return await self._database.read(work)

    async def count_by_state(self) -> dict[JobState, int]:
        """How many jobs stand in each state; every state is there."""
        return await self._database.read(_count_by_state)

    async def disputable(self, now: float) -> Disputable | None:
        # As of the totals: rows that share a bond are counted there, and added here.
        query = (
            select(jobs.c.bond, func.count(), func.max(jobs.c.settle_at))
            .where(jobs.c.state.in_([JobState.ANSWERED, JobState.SETTLING]), jobs.c.settle_at > now)
            .group_by(jobs.c.bond)
        )

        def work(connection: Connection) -> Disputable | None:
            found = connection.execute(query).all()
            if not found:
                return None
            return Disputable(
                answers=sum(row[1] for row in found),
                until=max(row[2] for row in found),
                bonds=sum(row[0] * row[1] for row in found),
            )

        return await self._database.read(work)

    async def totals(self) -> Totals:
        return await self._database.read(_totals)


def _stand_on(connection: Connection, block: BlockRef) -> None:
    """Adds a block to the cursor's history, in place of one of its height; prunes the oldest, but
    not the one that is final, however far back that lies."""
    connection.execute(delete(blocks).where(blocks.c.number == block.number))
    connection.execute(
        insert(blocks),
        {"number": block.number, "hash": block.hash, "timestamp": block.timestamp},
    )
    oldest_kept = (
        select(blocks.c.number)
        .order_by(blocks.c.number.desc())
        .offset(BLOCKS_KEPT - 1)
        .limit(1)
        .scalar_subquery()
    )
    final = select(cursors.c.block_number).where(cursors.c.name == _FINALISED)
    connection.execute(
        delete(blocks).where(blocks.c.number < oldest_kept, blocks.c.number.not_in(final))
    )


def _reserved(
    connection: Connection, kind: str, request_ids: Sequence[bytes]
) -> dict[bytes, bytes]:
    """The digests on record, by request."""
    found: dict[bytes, bytes] = {}
    for chunk in chunks(request_ids):
        query = select(signatures.c.request_id, signatures.c.digest).where(
            signatures.c.kind == kind, signatures.c.request_id.in_(chunk)
        )
        found.update((row.request_id, row.digest) for row in connection.execute(query))
    return found


def _count_by_state(connection: Connection) -> dict[JobState, int]:
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    found = {row[0]: row[1] for row in connection.execute(query)}
    return {state: found.get(state, 0) for state in JobState}


def _totals(connection: Connection) -> Totals:
    # Amounts outgrow the databases' integers. Rows that share a fee or a price are counted there,
    # and the products are added here, exactly.
    fees = select(jobs.c.fee_earned, func.count()).group_by(jobs.c.fee_earned)
    gas = (
        select(transactions.c.mined_gas_price, func.sum(transactions.c.mined_gas_used))
        .where(transactions.c.mined_gas_price.is_not(None))
        .group_by(transactions.c.mined_gas_price)
    )
    states = select(transactions.c.state, func.count()).group_by(transactions.c.state)
    count = {row[0]: row[1] for row in connection.execute(states)}
    return Totals(
        jobs=_count_by_state(connection),
        fees_earned=sum(fee * number for fee, number in connection.execute(fees)),
        gas_spent_wei=sum(price * int(used) for price, used in connection.execute(gas)),
        transactions=sum(count.values()),
        reverted=count.get(TransactionState.REVERTED, 0),
    )
