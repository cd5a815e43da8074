"""A worker stops before its lease is over, says for whom it stands by, and retires in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from oracle.core.transaction import Attempt, Fees, SendOutcome
from oracle.errors import ConfigurationError, LeaseLost, StorageError
from oracle.ports.leases import CHAIN_LEASE, Lease
from oracle.service.fleet import Fleet
from oracle.service.lead import GuardedGateway, GuardedSigner, Lead, afresh, worker_lease
from tests.service.fakes import SIGNER, STRANGER, Gateway, Jobs, Transactions

KEY = worker_lease(31337, SIGNER.address)
OTHER_KEY = worker_lease(31337, STRANGER)
LIFE = 10.0


class Leases:
    """One table for several workers; `now` is the database's clock and that of all workers."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, float]] = {}
        self.now = 0.0
        self.broken = False
        self.silent = False

    def of(self, holder: str) -> View:
        return View(self, holder)


class View:
    def __init__(self, table: Leases, holder: str) -> None:
        self._table = table
        self.holder = holder

    async def hold(self, names: Sequence[str], seconds: float) -> Mapping[str, str]:
        await self._check()
        found = {}
        for name in names:
            holder, until = self._table.rows.get(name, ("", 0.0))
            if holder in ("", self.holder) or until <= self._table.now:
                holder = self.holder
                self._table.rows[name] = (holder, self._table.now + seconds)
            found[name] = holder
            if holder != self.holder:
                break
        return found

    async def release(self, names: Sequence[str]) -> None:
        await self._check()
        for name in names:
            if self._table.rows.get(name, ("", 0.0))[0] == self.holder:
                del self._table.rows[name]

    async def live(self) -> Sequence[Lease]:
        await self._check()
        now = self._table.now
        return [
            Lease(n, h, until - now) for n, (h, until) in self._table.rows.items() if until > now
        ]

    async def _check(self) -> None:
        if self._table.silent:
            await asyncio.Event().wait()
        if self._table.broken:
            raise StorageError("the database cannot be reached")


def lead(table: Leases, holder: str, key: str = KEY, life: float = LIFE) -> Lead:
    return Lead(
        table.of(holder),
        lambda: [key],
        life_seconds=life,
        refresh_seconds=1.0,
        clock=lambda: table.now,
    )


async def test_one_worker_leads_everything_and_the_next_stands_by_for_it() -> None:
    table = Leases()
    first, second = lead(table, "first"), lead(table, "second")
    await first.refresh()
    await second.refresh()
    assert (first.key.held, first.chain.held, first.alone) == (True, True, True)
    assert (second.key.held, second.chain.held, second.alone) == (False, False, False)
    assert first.standing == "leading"
    assert second.standing == "standing by for first"
    with pytest.raises(LeaseLost):
        second.key.require()


async def test_another_key_works_beside_the_leader() -> None:
    table = Leases()
    first, second = lead(table, "first"), lead(table, "second", OTHER_KEY)
    await first.refresh()
    await second.refresh()
    await first.refresh()
    assert second.key.held
    assert not second.chain.held
    assert second.standing == "working; first leads"
    assert not first.alone


async def test_a_worker_without_its_database_stops_before_another_can_take_over() -> None:
    table = Leases()
    first, second = lead(table, "first"), lead(table, "second")
    await first.refresh()
    table.broken = True
    stopped_at = taken_at = None
    for tenth in range(150):
        table.now = tenth / 10
        if tenth % 10 == 0:
            await first.refresh()
        if stopped_at is None and not first.key.held:
            stopped_at = table.now
        table.broken = False
        await second.refresh()
        table.broken = True
        if taken_at is None and second.key.held:
            taken_at = table.now
    assert stopped_at == pytest.approx(8.0)
    assert taken_at == pytest.approx(LIFE)
    assert first.trouble is not None
    assert "nothing is signed or sent" in first.trouble
    table.broken = False
    await first.refresh()
    assert first.trouble is None
    assert first.standing == "standing by for second"


async def test_a_database_that_does_not_answer_is_trouble_and_not_this_worker_leading() -> None:
    table = Leases()
    one = lead(table, "one", life=0.5)
    await one.refresh()
    table.silent, table.now = True, 1.0
    async with asyncio.timeout(5.0):
        await one.refresh()
        await one.release()
    assert one.trouble is not None
    assert "no answer for 0.4 s" in one.trouble
    assert "nothing is signed or sent" in one.trouble
    table.silent = False
    await one.refresh()
    assert (one.trouble, one.standing) == (None, "leading")


async def test_a_worker_does_not_stand_by_for_itself() -> None:
    table = Leases()
    one = lead(table, "one")
    await one.refresh()
    table.broken, table.now = True, LIFE
    await one.refresh()
    assert one.standing == "standing by for the database"
    assert one.vitals.key_leader is None


async def test_one_that_was_suspended_does_not_sign_or_send_when_it_wakes() -> None:
    """No refresh told it: the clock is asked at the last moment."""
    table = Leases()
    one = lead(table, "one")
    await one.refresh()
    signer, chain = GuardedSigner(SIGNER, one.key), Gateway()
    gateway = GuardedGateway(chain, one.key)
    attempt = Attempt(b"\x01" * 32, b"raw", Fees(2, 1), 0.0, None, None)
    assert len(await signer.sign(b"what")) == 65
    assert (await gateway.send(attempt))[0] is SendOutcome.ACCEPTED
    table.now = 30.0
    with pytest.raises(LeaseLost):
        await signer.sign(b"what")
    outcome, reason = await gateway.send(attempt)
    assert outcome is SendOutcome.UNKNOWN
    assert reason is not None
    assert len(chain.sent) == 1


async def test_a_signature_that_took_too_long_is_not_used() -> None:
    table = Leases()
    one = lead(table, "one")
    await one.refresh()

    class Slow:
        address = SIGNER.address

        async def sign(self, preimage: bytes) -> bytes:
            table.now += LIFE
            return await SIGNER.sign(preimage)

    with pytest.raises(LeaseLost):
        await GuardedSigner(Slow(), one.key).sign(b"what")


async def test_what_is_released_is_another_workers_at_once() -> None:
    table = Leases()
    first, second = lead(table, "first"), lead(table, "second")
    await first.refresh()
    await first.release()
    assert not first.key.held
    await second.refresh()
    assert second.standing == "leading"


async def test_a_worker_that_retires_leaves_the_chain_to_another_and_ends_with_its_own() -> None:
    table = Leases()
    first, second = lead(table, "first"), lead(table, "second", OTHER_KEY)
    await first.refresh()
    await second.refresh()
    await first.refresh()
    jobs = Resting()
    fleet = Fleet(first, jobs, Transactions(jobs), lambda: [SIGNER.address])
    await fleet.retire()
    assert jobs.resting
    assert first.key.held
    assert CHAIN_LEASE not in table.rows
    await second.refresh()
    await first.refresh()
    assert second.standing == "leading"
    assert first.standing == "working; second leads"
    assert not await fleet.begun([])


async def test_a_worker_that_is_alone_retires_from_nothing() -> None:
    table = Leases()
    only = lead(table, "only")
    await only.refresh()
    jobs = Resting()
    await Fleet(only, jobs, Transactions(jobs), lambda: [SIGNER.address]).retire()
    assert not jobs.resting
    assert only.chain.held


async def test_what_was_remembered_is_forgotten_with_each_term() -> None:
    table = Leases()
    first, second = lead(table, "first"), lead(table, "second")
    done: list[str] = []

    async def cycle() -> bool:
        done.append("cycle")
        return True

    run = afresh(first.chain, cycle, lambda: done.append("begin"))
    await first.refresh()
    await run()
    await run()
    table.now = LIFE
    await second.refresh()
    await first.refresh()
    table.now = 2 * LIFE
    await first.refresh()
    await run()
    assert done == ["begin", "cycle", "cycle", "begin", "cycle"]


class Resting(Jobs):
    def __init__(self) -> None:
        super().__init__()
        self.resting = False

    def stop_taking(self) -> None:
        self.resting = True


def test_a_lease_that_one_failure_would_lose_is_refused() -> None:
    from oracle.bootstrap.leading import lead_of
    from oracle.settings import Settings

    settings: Any = Settings.model_construct(lease_seconds=2.0, lease_refresh_seconds=1.0)
    with pytest.raises(ConfigurationError, match="lost where one try fails"):
        lead_of(settings, Leases().of("one"), 31337, lambda: [SIGNER.address])
