"""The index is what the entries come to: whatever is repeated, taken away or killed on the way."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from oracle.bench.explorer_rows import Sizes, chapters
from oracle.core.adding_up import tally_of
from oracle.core.chronicle import Dispute, EntryKind, Standing, Tally
from oracle.core.types import ZERO_ADDRESS
from oracle.errors import StorageError, WrongChain
from oracle.storage.database import Database
from oracle.storage.explorer_lookup import RequestFilter
from oracle.storage.explorer_store import prepare
from tests.explorer.indexing import Index, open_index
from tests.support.world import until

SIZES = Sizes(requests=400, models=7, operators=5, requesters=11)
_BLOCKS_OF_A_LIFE = 70


async def test_the_same_blocks_again_change_nothing(index: Index) -> None:
    told = list(chapters(SIZES))
    await index.fill(told)
    before = await index.everything()
    await index.fill(told[-3:])
    assert await index.everything() == before
    assert len(before["requests"]) == SIZES.requests


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_it_does_not_matter_how_many_blocks_are_read_at_once(
    index: Index, tmp_path: Path, size: int
) -> None:
    told = list(chapters(SIZES))
    await index.fill(told)
    async with open_index(tmp_path / "other.sqlite") as other:
        for start in range(0, len(told), size):
            some = told[start : start + size]
            await other.store.ingest(some[-1][0], [one for _, found in some for one in found])
        without = ("explorer_identity", "blocks")
        assert await other.everything(but=without) == await index.everything(but=without)


@pytest.mark.parametrize("kept", [1, 2, 9, 17])
async def test_a_rewind_undoes_exactly_what_came_after(
    index: Index, tmp_path: Path, kept: int
) -> None:
    told = list(chapters(SIZES))
    await index.fill(told)
    await index.store.rewind(told[kept - 1][0])
    async with open_index(tmp_path / "shorter.sqlite") as shorter:
        await shorter.fill(told[:kept])
        assert await index.everything() == await shorter.everything()
        await index.fill(told[kept:])
        await shorter.fill(told[kept:])
        assert await index.everything() == await shorter.everything()


async def test_another_fork_takes_the_place_of_the_first(index: Index, tmp_path: Path) -> None:
    first, second = list(chapters(SIZES)), list(chapters(SIZES, fork=1))
    await index.fill(first[:10])
    await index.store.rewind(first[4][0])
    await index.fill(second[5:12])
    async with open_index(tmp_path / "other.sqlite") as other:
        await other.fill([*first[:5], *second[5:12]])
        assert await index.everything() == await other.everything()


async def test_a_rewind_to_before_everything_leaves_nothing(index: Index) -> None:
    await index.fill(chapters(SIZES))
    await index.store.rewind(None)
    assert not any((await index.everything()).values())


async def test_tallies_are_what_the_requests_add_up_to(index: Index) -> None:
    await index.fill(chapters(SIZES))
    records, before = [], None
    while found := await index.lookup.requests(RequestFilter(), before=before, limit=100):
        records += found
        before = (found[-1].created_block, found[-1].created_log)
    assert len(records) == SIZES.requests
    assert (await index.lookup.totals()).tally == _sum(records)
    for operator in {one.operator for one in records} - {ZERO_ADDRESS}:
        mine = [one for one in records if one.operator == operator]
        assert (await index.lookup.tallies("operator", [operator]))[operator] == _sum(mine)
    for model in {one.model_id for one in records}:
        its = [one for one in records if one.model_id == model]
        key = model.hex()
        assert (await index.lookup.tallies("model", [key]))[key] == _sum(its)


async def test_it_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Killed again and again in the middle of its work, it becomes the same index."""
    file, whole = tmp_path / "killed.sqlite", list(chapters(SIZES))
    assert len(whole) > 4 * _BLOCKS_OF_A_LIFE
    for _ in range(4):
        reached = await _cursor(file)
        child = multiprocessing.get_context("forkserver").Process(
            target=_fill, args=(file,), daemon=True
        )
        child.start()

        async def went_on(before: int = reached) -> bool:
            return await _cursor(file) > before

        await until(went_on)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.join)
    async with open_index(file) as index, open_index(tmp_path / "whole.sqlite") as other:
        (block, *_) = await index.store.recent_blocks(1)
        at = next(number for number, (one, _) in enumerate(whole) if one == block)
        await index.fill(whole[at + 1 :])
        await other.fill(whole)
        assert await index.everything() == await other.everything()


async def test_a_story_has_its_states_and_its_dispute(index: Index) -> None:
    told = list(chapters(SIZES))
    await index.fill(told)
    convicted = await index.lookup.disputes(limit=200)
    kinds = {one.dispute for one in convicted}
    assert kinds == {Dispute.CONVICTED, Dispute.MET}
    wrong = next(one for one in convicted if one.dispute is Dispute.CONVICTED)
    assert wrong.state is Standing.SLASHED
    assert wrong.convicted_how == "proof"
    assert wrong.slashed == 20 * wrong.fee == wrong.bond
    story = await index.lookup.entries(wrong.request_id)
    assert [one.kind for one in story][:3] == [
        EntryKind.REQUESTED,
        EntryKind.ACCEPTED,
        EntryKind.ANSWERED,
    ]
    assert len(story[0].data) == 256
    defaulted = await index.lookup.requests(RequestFilter(state=Standing.DEFAULTED))
    assert defaulted
    assert all(one.slashed == 2 * one.fee and one.refunded == one.fee for one in defaulted)


async def test_pages_of_a_list_follow_each_other_without_gap(index: Index) -> None:
    await index.fill(chapters(SIZES))
    whole = await index.lookup.requests(RequestFilter(), limit=200)
    pages, before = [], None
    for _ in range(8):
        page = await index.lookup.requests(RequestFilter(), before=before, limit=25)
        before = (page[-1].created_block, page[-1].created_log)
        pages += page
    assert pages == whole
    assert len({one.request_id for one in whole}) == 200


async def test_filters_and_searches_find_what_they_say(index: Index) -> None:
    await index.fill(chapters(SIZES))
    some = (await index.lookup.requests(RequestFilter(), limit=60))[-1]
    for wanted in (
        RequestFilter(operator=some.operator),
        RequestFilter(requester=some.requester, state=some.state),
        RequestFilter(model_id=some.model_id, operator=some.operator, state=some.state),
    ):
        found = await index.lookup.requests(wanted, limit=200)
        assert some in found
        for one in found:
            assert wanted.operator in (None, one.operator)
            assert wanted.requester in (None, one.requester)
            assert wanted.model_id in (None, one.model_id)
            assert wanted.state in (None, one.state)
    start = "0x" + some.request_id.hex()[:9]
    assert [one.request_id for one in (await index.lookup.search(start)).requests] == [
        some.request_id
    ]
    by_address = await index.lookup.search(some.operator.lower())
    assert [one.operator for one in by_address.operators] == [some.operator]
    assert {one.operator for one in by_address.requests} == {some.operator}
    asked = (await index.lookup.search(some.requester)).requests
    assert {one.requester for one in asked} == {some.requester}
    model = (await index.lookup.models_of([some.model_id]))[some.model_id]
    by_name = (await index.lookup.search(model.name.upper())).models
    assert model in by_name
    assert not any(vars_of for vars_of in await _found(index, "100%_'\"); drop"))


async def test_an_index_of_another_chain_or_program_is_refused(
    index: Index, tmp_path: Path
) -> None:
    await index.store.bind(1, ZERO_ADDRESS, b"\1" * 32)
    await index.store.bind(1, ZERO_ADDRESS, b"\1" * 32)
    with pytest.raises(WrongChain, match="another chain"):
        await index.store.bind(1, ZERO_ADDRESS, b"\2" * 32)
    other = Database(tmp_path / "strangers.sqlite")
    await other.run(lambda connection: connection.exec_driver_sql("CREATE TABLE pets (name)"))
    with pytest.raises(StorageError, match="'pets'"):
        await other.run(prepare)
    await other.close()
    await index.database.run(
        lambda connection: connection.exec_driver_sql(
            "UPDATE explorer_identity SET schema_version = 99"
        )
    )
    with pytest.raises(StorageError, match="schema version 99"):
        await index.database.run(prepare)


async def test_logs_that_are_missing_make_no_impossible_row(index: Index) -> None:
    """An endpoint that keeps no old logs: a slash without the bond before it, an answer alone."""
    told = list(chapters(SIZES))
    kept = [
        (block, [one for one in found if one.kind not in (EntryKind.BONDED, EntryKind.REQUESTED)])
        for block, found in told
    ]
    await index.fill(kept)
    everything = await index.everything()
    assert not everything["requests"]
    assert all(one.stake == 0 for one in await index.lookup.operators())


async def _found(index: Index, text: str) -> tuple[bool, bool, bool]:
    found = await index.lookup.search(text)
    return bool(found.requests), bool(found.models), bool(found.operators)


def _sum(records: list) -> Tally:  # type: ignore[type-arg]
    total = Tally()
    for one in records:
        total = total.plus(tally_of(one))
    return total


async def _cursor(file: Path) -> int:
    if not file.exists():  # noqa: ASYNC240 - takes no time
        return 0
    async with open_index(file) as index:
        found = await index.store.recent_blocks(1)
        return found[0].number if found else 0


def _fill(file: Path) -> None:
    asyncio.run(_go_on(file))


async def _go_on(file: Path) -> None:
    async with open_index(file) as index:
        found = await index.store.recent_blocks(1)
        reached = found[0].number if found else 0
        for block, found in chapters(SIZES):
            # Never all of them: each life has some left to do, however late it is killed.
            if reached < block.number <= reached + _BLOCKS_OF_A_LIFE:
                await index.store.ingest(block, found)
                await asyncio.sleep(0.01)  # to be killed between blocks, too
        await asyncio.Event().wait()
