"""Who leads what, and until when: `ports.leases.LeaseStore` over SQL, by the database's own clock.

A lease is taken and prolonged by compare-and-set on its row, beside all other writers, so that a
slow transaction elsewhere takes nobody's lease. Knows nothing of what is led.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from oracle.errors import LeaseLost
from oracle.ports.leases import CHAIN_LEASE, WORKER_LEASE_PREFIX, Lease
from oracle.storage.database import Database
from oracle.storage.tables import leases


class SqlLeaseStore:
    """Leases in an SQL database, for one worker."""

    def __init__(self, database: Database, holder: str, former: str | None = None) -> None:
        """Args: former: who held them in this worker's place and is known to have ended."""
        self._database = database
        self._own = [holder] if former is None else [holder, former]
        self._holder = holder

    @property
    def holder(self) -> str:
        return self._holder

    async def hold(self, names: Sequence[str], seconds: float) -> Mapping[str, str]:
        """Takes or prolongs leases in this order, up to the first that another holds."""

        def work(connection: Connection) -> dict[str, str]:
            holders: dict[str, str] = {}
            for name in names:
                holders[name] = self._hold(connection, name, seconds)
                if holders[name] != self._holder:
                    break
            return holders

        return await self._database.run_beside(work)

    def _hold(self, connection: Connection, name: str, seconds: float) -> str:
        now = self._database.now
        values = {"holder": self._holder, "expires_at": now + seconds}
        free = or_(leases.c.holder.in_(self._own), leases.c.expires_at <= now)
        taken = update(leases).where(leases.c.name == name, free).values(values)
        if connection.execute(taken).rowcount == 1:
            return self._holder
        query = select(leases.c.holder).where(leases.c.name == name)
        holder: str | None = connection.scalar(query)
        if holder is None:
            try:
                with connection.begin_nested():
                    connection.execute(insert(leases).values(name=name, **values))
                return self._holder
            except IntegrityError:  # another was quicker
                holder = connection.scalar(query)
        return holder or "another worker"

    async def release(self, names: Sequence[str]) -> None:
        """Lets go of leases, those of them that are this worker's."""
        statement = delete(leases).where(leases.c.name.in_(names), leases.c.holder == self._holder)
        await self._database.run_beside(lambda connection: connection.execute(statement))

    async def live(self) -> list[Lease]:
        """All leases whose life is not over."""
        left = (leases.c.expires_at - self._database.now).label("left")
        query = (
            select(leases.c.name, leases.c.holder, left)
            .where(alive(self._database.now))
            .order_by(leases.c.name)
        )
        return await self._database.read(
            lambda connection: [Lease(*row) for row in connection.execute(query)]
        )


def alive(now: ColumnElement[float]) -> ColumnElement[bool]:
    return leases.c.expires_at > now


def live_workers(now: ColumnElement[float]) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `leases`: those of sending keys, whose holders are the workers that live."""
    return alive(now), leases.c.name.startswith(WORKER_LEASE_PREFIX, autoescape=True)


def count_workers(connection: Connection, now: ColumnElement[float]) -> int:
    query = select(func.count(leases.c.holder.distinct())).where(*live_workers(now))
    count: int = connection.execute(query).scalar_one()
    return count


def require_chain(connection: Connection, holder: str | None) -> None:
    """Ends the transaction where another worker has come to lead the chain.

    The row stays locked until the commit, so that nobody comes to lead meanwhile. A holder whose
    lease is over, and was taken by nobody, may go on.

    Raises:
        LeaseLost: another leads.
    """
    if holder is None:
        return
    query = select(leases.c.holder).where(leases.c.name == CHAIN_LEASE).with_for_update(read=True)
    leader = connection.scalar(query)
    if leader != holder:
        raise LeaseLost(f"the chain is read by {leader or 'nobody'} by now: nothing was written")
