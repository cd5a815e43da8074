"""A job table of an hour ago is put back: nothing is lost, and nothing is signed a second time.

The backup is taken while a node runs; what happens after it is on the chain or in the pool only.
`tests.support.invariants` reads both afterwards; here, what the lost table knew is held against it.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from oracle.bootstrap import backup
from oracle.bootstrap.clock import SystemClock
from oracle.core.job import Job, JobState
from oracle.core.request import RequestState
from oracle.core.transaction import Purpose
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import InputError, StorageError
from oracle.storage.lookup import Lookup
from oracle.storage.storage import open_storage
from tests.e2e.test_durability import bound
from tests.support.invariants import check_invariants, settle_down
from tests.support.watching import asked, demanded, revealing
from tests.support.world import World, digit, until


async def restored(world: World, copy: Path) -> dict[bytes, Job]:
    """Puts the copy in the job table's place; the jobs of the table that is given up, by id."""
    await world.storage.close()
    _, aside = backup.restore(world.settings, copy)
    lost = open_storage(str(aside[0]), SystemClock())
    try:
        known = {job.request_id: job for job in await Lookup(lost.database).jobs([], 1_000)}
    finally:
        await lost.close()
    world.storage = open_storage(world.settings.database_url, SystemClock())
    return known


async def in_pool(world: World) -> int:
    gateway, sender = world.client.gateway, signer_of(Person.SIGNER).address
    return await gateway.next_nonce(sender, pending=True) - await gateway.next_nonce(
        sender, pending=False
    )


async def check_signed_once(world: World, lost: dict[bytes, Job]) -> None:
    """No signature of the lost table has another beside it, in the present one or on the chain."""
    for request_id, before in lost.items():
        job = await world.job(request_id)
        assert job is not None, f"0x{request_id.hex()} is not known any more"
        if before.answer is not None:
            assert job.answer is None or job.answer.trace_root == before.answer.trace_root
            assert job.result == before.result
        if before.signature is not None and job.signature is not None:
            assert job.signature == before.signature


async def test_what_was_answered_since_the_backup_is_taken_from_the_chain(
    world: World, tmp_path: Path
) -> None:
    node = await world.process()
    first = await world.ask(digit(0))
    await world.until_settled(first.id)
    open_then = await world.ask(digit(1))
    await world.until_job(open_then.id, JobState.ANSWERED)
    copy = backup.save(world.settings, tmp_path / "backup.sqlite")
    assert copy.jobs == 2
    # Since then: one goes on, one begins and is settled, one is answered and its window is open.
    since = await world.ask(digit(2))
    await world.until_settled(open_then.id, since.id)
    late = await world.ask(digit(3))
    await world.until_job(late.id, JobState.ANSWERED)
    await node.kill()
    while_down = await world.ask(digit(4))

    lost = await restored(world, copy.path)
    assert (await world.job(since.id)) is None
    assert set(lost) == {first.id, open_then.id, since.id, late.id}
    await world.process()
    await world.until_settled(late.id, while_down.id)
    after = await world.ask(digit(5))
    await world.until_settled(first.id, open_then.id, since.id, after.id)
    await settle_down(world)
    await check_signed_once(world, lost)
    await check_invariants(world)
    for request_id in (since.id, late.id):  # the chain's answer was taken over, none made
        sent = await world.storage.transactions.transactions_for(request_id)
        assert Purpose.ANSWER not in {one.purpose for one in sent}
        assert (await world.state(request_id)) is RequestState.SETTLED


@pytest.mark.parametrize("dropped", [False, True], ids=["still there", "dropped"])
async def test_what_was_in_the_pool_is_not_answered_otherwise(
    world: World, tmp_path: Path, dropped: bool
) -> None:
    node = await world.process()
    first = await world.ask(digit(0))
    await world.until_settled(first.id)
    copy = backup.save(world.settings, tmp_path / "backup.sqlite")
    await world.chain.automine(False)
    made = await bound(world)
    await world.until_job(made, JobState.ANSWERING)
    await until(lambda: in_pool(world))
    await node.kill()
    if dropped:
        (sent,) = await world.storage.transactions.transactions_for(made)
        await world.chain.drop(sent.attempts[-1].hash)

    lost = await restored(world, copy.path)
    assert lost[made].state is JobState.ANSWERING
    await world.process()
    await world.until_job(made, JobState.COMPUTED, JobState.ANSWERING)
    await world.chain.mine()
    await world.chain.automine(True)
    await world.until_settled(made)
    await settle_down(world)
    await check_signed_once(world, lost)
    assert (await world.job(made)).signature == lost[made].signature  # type: ignore[union-attr]
    await check_invariants(world)


async def test_a_demand_is_met_for_an_answer_that_only_the_lost_table_knew_of(
    court: World, tmp_path: Path
) -> None:
    """Traces lie beside the table, and are found by the root that the chain has."""
    model = await revealing(court, reveal=30)
    node = await court.process()
    copy = backup.save(court.settings, tmp_path / "backup.sqlite")
    made = await asked(court, model)
    await court.until_job(made.id, JobState.ANSWERED)
    await node.kill()
    await restored(court, copy.path)
    demand = await demanded(court, made, rows=1)
    await court.process()

    async def shown() -> bool:
        return not await court.contracts.court.is_pending(demand)

    await until(shown)
    assert await court.state(made.id) is RequestState.ANSWERED


async def test_a_backup_is_put_back_only_where_no_node_runs_and_overwrites_nothing(
    world: World, tmp_path: Path
) -> None:
    node = await world.process()
    copy = backup.save(world.settings, tmp_path / "backup.sqlite")
    with pytest.raises(StorageError, match="runs on the data directory"):
        backup.restore(world.settings, copy.path)
    with pytest.raises(InputError, match="exists"):
        backup.save(world.settings, copy.path)
    node.signal(signal.SIGTERM)
    assert await node.exit_code() == 0
    (tmp_path / "torn.sqlite").write_bytes(copy.path.read_bytes()[:20_000])
    table = world.settings.data_dir / "node.sqlite"
    before = table.read_bytes()
    with pytest.raises(StorageError, match="damaged"):
        backup.restore(world.settings, tmp_path / "torn.sqlite")
    assert table.read_bytes() == before
    # This test has the table open, as a spare would.
    with pytest.raises(StorageError, match="another process has"):
        backup.restore(world.settings, copy.path)
