"""Several workers: of one key one works; of several keys each works, and one reads the chain.

Real processes on one real database. Whoever is killed is replaced within its lease's life, nothing
is answered or signed twice, and no request costs more than one reverted transaction.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oracle.bootstrap.clock import SystemClock
from oracle.chain.keystore import create_keystore
from oracle.core.job import JobState
from oracle.core.transaction import Purpose, TransactionState
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.ports.health import Heartbeat
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.storage import open_storage
from tests.support.crash import Crash
from tests.support.failures import failure, thorough
from tests.support.invariants import check_invariants, settle_down
from tests.support.postgresql import PostgresqlServer
from tests.support.watching import asked, demanded, revealing
from tests.support.world import ForkedNode, Stage, World, digit, until
from tests.support.world import world as open_world

LIFE = 3.0
LEASES = {"lease_seconds": LIFE, "lease_refresh_seconds": 0.3}
SENDERS = (Person.SIGNER, Person.SECOND_SIGNER)
SLOW_SECONDS = 0.15


@dataclass(frozen=True)
class SlowModel:
    """An instrument: a run takes some time for each of its inputs.

    Attributes:
        gate: a file without which no run begins.
    """

    seconds: float
    gate: Path | None = None

    def __call__(self, name: str, adapter: Any, /) -> Any:
        return _Slow(adapter, self) if name == "engine" else adapter


class _Slow:
    def __init__(self, engine: Any, slow: SlowModel) -> None:
        self._engine = engine
        self._slow = slow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def run_each(self, *arguments: Any, **named: Any) -> Any:
        while self._slow.gate is not None and not self._slow.gate.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.sleep(self._slow.seconds * len(arguments[2]))
        return await self._engine.run_each(*arguments, **named)


class Workers:
    """A world whose job table several workers share, each with a data directory of its own."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self._folder = folder
        self._second_key = folder / "second.json"
        password = (world.settings.password_file or Path()).read_text().strip()
        create_keystore(
            self._second_key, password, secret=secret_of(Person.SECOND_SIGNER), iterations=2**10
        )

    async def start(
        self, name: str, *, own_key: bool = False, instrument: Any = None, **changes: Any
    ) -> Worker:
        """Starts a worker and waits for its first heartbeat."""
        data_dir = self._folder / name
        settings = self.world.settings.model_copy(
            update={
                "data_dir": data_dir,
                "sender_keystore": self._second_key if own_key else None,
                **LEASES,
                **changes,
            }
        )
        if not data_dir.exists():
            data_dir.mkdir()
            settings.model_store.symlink_to(self.world.settings.model_store.resolve())
        worker = Worker(ForkedNode(settings, self.world.operator, instrument), data_dir)
        self.world._started.append(worker.node.end)
        await until(worker.node.beats)
        return worker

    async def check(self) -> None:
        senders = [signer_of(one).address for one in SENDERS]
        await settle_down(self.world)
        await check_invariants(self.world, senders=senders)

    async def answers_by_sender(self, request_ids: Sequence[bytes]) -> Counter[str]:
        """How many requests each key has answered."""
        await settle_down(self.world)
        found: Counter[str] = Counter()
        for one in request_ids:
            sent = await self.world.storage.transactions.transactions_for(one)
            answers = [
                each
                for each in sent
                if each.purpose is Purpose.ANSWER and each.state is TransactionState.MINED
            ]
            assert len(answers) == 1
            found[answers[0].sender] += 1
        return found


@dataclass(frozen=True)
class Worker:
    node: ForkedNode
    data_dir: Path

    def beat(self) -> Heartbeat:
        found = HeartbeatFile(self.data_dir / "node.json").read()
        assert found is not None
        return found

    async def until_standing(self, words: str) -> None:
        async def there() -> bool:
            return words in (self.beat().standing or "")

        try:
            await until(there)
        except TimeoutError:
            raise AssertionError(f"waited for {words!r}: {self.beat()}") from None


@pytest.fixture(params=["postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "shared.sqlite")
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.new_database()


on_sqlite_too = pytest.mark.parametrize(
    "database", ["postgresql", pytest.param("sqlite", marks=thorough)], indirect=True
)


@pytest.fixture
async def workers(shared_stage: Stage, database: str, tmp_path: Path) -> AsyncIterator[Workers]:
    async with open_world(shared_stage, tmp_path / "world") as world:
        alone = world.storage
        world.settings = world.settings.model_copy(update={"database": database})
        world.storage = open_storage(database, SystemClock())
        try:
            yield Workers(world, tmp_path)
        finally:
            world.end_processes()
            await world.storage.close()
            world.storage = alone


@failure(13, "two workers with two keys on one database share forty requests")
async def test_two_workers_share_the_queue(workers: Workers, tmp_path: Path) -> None:
    world = workers.world
    # All forty wait by then: asked one by one of a slow machine, the first has each at once.
    slow = SlowModel(SLOW_SECONDS, gate=tmp_path / "asked")
    first = await workers.start("first", instrument=slow)
    second = await workers.start("second", own_key=True, instrument=slow)
    assert first.beat().standing == "leading"
    await second.until_standing("working")
    made = [(await world.ask(digit(number % 5))).id for number in range(40)]
    (tmp_path / "asked").touch()
    await world.until_settled(*made)
    shares = await workers.answers_by_sender(made)
    assert set(shares) == {signer_of(one).address for one in SENDERS}
    assert min(shares.values()) >= 5, shares
    await workers.check()
    assert (await world.storage.jobs.totals()).reverted == 0


@on_sqlite_too
@failure(13, "the leader is killed: its standby on the same key takes over")
async def test_a_standby_takes_over_when_the_lease_has_run_out(workers: Workers) -> None:
    world = workers.world
    first = await workers.start("first")
    second = await workers.start("second")
    await second.until_standing("standing by for")
    assert second.beat().trouble == {}
    made = [(await world.ask()).id for _ in range(3)]
    await world.until_settled(*made)
    await first.node.kill()
    during = await world.ask()
    await second.until_standing("leading")
    await world.until_settled(during.id)
    await workers.check()
    assert (await world.storage.jobs.totals()).reverted == 0


@thorough
@failure(13, "the same with the settings as they come")
async def test_a_standby_takes_over_with_the_settings_as_they_come(workers: Workers) -> None:
    usual = {"lease_seconds": 10.0, "lease_refresh_seconds": 1.0}
    world = workers.world
    first = await workers.start("first", **usual)
    await workers.start("second", **usual)
    made = await world.ask()
    await world.until_settled(made.id)
    await first.node.kill()
    during = await world.ask()
    await world.until_job(during.id, JobState.ANSWERED)
    await workers.check()


@thorough
@failure(13, "the leader of the chain is killed, another key's worker leads on")
async def test_a_worker_of_another_key_comes_to_lead_the_chain(workers: Workers) -> None:
    world = workers.world
    first = await workers.start("first")
    second = await workers.start("second", own_key=True)
    before = await world.ask()
    await world.until_job(before.id, JobState.ANSWERED)
    await first.node.kill()
    during = await world.ask()
    await second.until_standing("leading")
    await world.until_settled(before.id, during.id)
    back = await workers.start("first")
    assert "working" in (back.beat().standing or "")
    after = await world.ask()
    await world.until_settled(after.id)
    await workers.check()
    assert (await world.storage.jobs.totals()).reverted == 0


@failure(13, "a worker is killed while its model runs: another takes its jobs")
async def test_the_jobs_of_a_worker_that_was_killed_are_taken(workers: Workers) -> None:
    world = workers.world
    await workers.start("leader", own_key=True, instrument=SlowModel(0.3))
    doomed = await workers.start("doomed", instrument=SlowModel(60.0))
    await doomed.until_standing("working")
    made = [(await world.ask()).id for _ in range(10)]

    async def has_some() -> bool:
        jobs = await world.storage.jobs.jobs_of(made)
        return any(f"/{doomed.beat().process_id}/" in (job.taken_by or "") for job in jobs)

    await until(has_some)
    await doomed.node.kill()
    await world.until_settled(*made)
    shares = await workers.answers_by_sender(made)
    assert shares == {signer_of(Person.SECOND_SIGNER).address: 10}
    await workers.check()
    assert (await world.storage.jobs.totals()).reverted == 0


@thorough
@failure(13, "a worker is killed with a transaction saved and not sent: another sends it")
async def test_what_a_dead_worker_had_saved_is_sent_by_another(workers: Workers) -> None:
    world = workers.world
    doomed = await workers.start("doomed", instrument=Crash("transaction saved"))
    made = await world.ask()
    assert await doomed.node.exit_code() == -signal.SIGKILL
    await workers.start("other", own_key=True)
    await world.until_settled(made.id)
    shares = await workers.answers_by_sender([made.id])
    assert shares == {signer_of(Person.SIGNER).address: 1}, "the same bytes"
    await workers.check()
    assert (await world.storage.jobs.totals()).reverted == 0


@thorough
@failure(13, "a worker is suspended beyond its lease, and wakes: it stands by")
async def test_one_that_wakes_late_does_nothing(workers: Workers) -> None:
    world = workers.world
    first = await workers.start("first", instrument=SlowModel(1.0))
    second = await workers.start("second")
    made = await world.ask()

    async def is_taken() -> bool:
        job = await world.job(made.id)
        return job is not None and job.taken_by is not None

    await until(is_taken)
    first.node.signal(signal.SIGSTOP)
    await second.until_standing("leading")
    await world.until_job(made.id, JobState.ANSWERED, JobState.SETTLED)
    first.node.signal(signal.SIGCONT)
    await first.until_standing("standing by for")
    after = await world.ask()
    await world.until_settled(made.id, after.id)
    await workers.check()
    assert (await world.storage.jobs.totals()).reverted == 0


@thorough
@failure(13, "the leader is told to end: the other leads at once")
async def test_a_worker_that_drains_hands_the_chain_on(workers: Workers) -> None:
    world = workers.world
    first = await workers.start("first", lease_seconds=600.0)
    second = await workers.start("second", own_key=True, lease_seconds=600.0)
    await second.until_standing("working")
    made = [(await world.ask()).id for _ in range(4)]
    first.node.signal(signal.SIGTERM)
    assert await first.node.exit_code() == 0
    await second.until_standing("leading")
    made.append((await world.ask()).id)
    await world.until_settled(*made)
    await workers.check()


@failure(13, "one key with two databases on one machine: the second is refused")
async def test_a_second_database_is_refused(workers: Workers, tmp_path: Path) -> None:
    world = workers.world
    await workers.start("first")
    made = await world.ask()
    with pytest.raises(AssertionError, match="ended with"):
        await workers.start("second", database=str(tmp_path / "another.sqlite"))
    with pytest.raises(AssertionError, match="ended with"):
        await workers.start("third", own_key=True, database=str(tmp_path / "yet-another.sqlite"))
    await world.until_settled(made.id)
    await workers.check()


@thorough
@failure(13, "leaves of a trace are demanded that lies with a worker that is down")
async def test_a_trace_of_a_worker_that_is_down_is_made_again_by_another(workers: Workers) -> None:
    world = workers.world
    first = await workers.start("first")
    model = await revealing(world, window=120, reveal=40)
    made = await asked(world, model, window=120)
    await first.node.kill()
    second = await workers.start("second", own_key=True)
    await second.until_standing("leading")
    await demanded(world, made, rows=1)

    async def met() -> bool:
        return await world.contracts.court.demands(made.id) == (1, 0)

    await until(met)
    await until(lambda: none_of_reveals_open(world, made.id))
    sent = await world.storage.transactions.transactions_for(made.id)
    reveals = [one for one in sent if one.purpose is Purpose.REVEAL]
    assert [one.sender for one in reveals] == [signer_of(Person.SECOND_SIGNER).address]
    assert [one.state for one in reveals] == [TransactionState.MINED]
    assert "reveal" not in second.beat().trouble


async def none_of_reveals_open(world: World, request_id: bytes) -> bool:
    sent = await world.storage.transactions.transactions_for(request_id)
    return not any(one.state is TransactionState.OPEN for one in sent)
