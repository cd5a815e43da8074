"""How cases share a watcher: none waits for a slow operator, or writes over the news of a fork."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from oracle.core.case import Case, CaseState
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ContractReverted
from oracle.storage.storage import Storage, open_storage
from oracle.watcher.watcher import Watcher
from tests.service.fakes import OPERATOR, STRANGER, Clock
from tests.support.world import until


class Quiet:
    """Neither follows nor sends."""

    head_block = 1

    async def cycle(self, *_: Any) -> bool:
        return False


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    opened = open_storage(tmp_path / "watcher.sqlite", Clock())
    yield opened
    await opened.close()


def case(number: int, operator: Address = OPERATOR, block: bytes = b"\x01" * 32) -> Case:
    return Case(bytes([number]) * 32, operator, number, block)


async def nothing(*_: Any) -> None:
    """Of the purse, and of what was sent."""


def watcher(
    storage: Storage, step: Any, *, abreast: int = 4, look: Any = nothing, retire: Any = nothing
) -> Watcher:
    quiet = cast("Any", Quiet())
    steps = dict.fromkeys((CaseState.OPEN, CaseState.ACCUSED, CaseState.WITHHELD), step)
    clock = Clock()
    return Watcher(
        quiet,
        steps,
        storage.cases,
        quiet,
        clock,
        look=look,
        retire=retire,
        poll_seconds=0.05,
        abreast=abreast,
    )


async def ended(storage: Storage) -> set[int]:
    return {one.request_id[0] for one in await storage.cases.everything() if one.state.ended}


async def test_one_operator_takes_half_of_the_room(storage: Storage) -> None:
    release = asyncio.Event()
    inside: list[int] = []

    async def step(one: Case) -> Case:
        inside.append(one.request_id[0])
        if one.operator == OPERATOR:
            await release.wait()
        return replace(one, state=CaseState.CLEAN)

    slow = [case(number) for number in range(1, 7)]
    await storage.cases.note(1, [*slow, case(9, STRANGER)])
    opened = watcher(storage, step)
    running = asyncio.create_task(opened.run(done=opened.idle))

    async def other_is_through() -> bool:
        return await ended(storage) == {9}

    await until(other_is_through, 10)
    assert len(set(inside) - {9}) == 2
    release.set()
    await asyncio.wait_for(running, 120)
    assert await ended(storage) == {1, 2, 3, 4, 5, 6, 9}


async def test_what_was_found_about_an_answer_that_a_fork_took_back_is_dropped(
    storage: Storage,
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()
    looked_at: list[bytes] = []

    async def step(one: Case) -> Case:
        looked_at.append(one.block_hash)
        if len(looked_at) == 1:
            begun.set()
            await release.wait()
            return replace(one, state=CaseState.CLEAN, reason="of the fork")
        return replace(one, state=CaseState.CLEAN, reason="of the chain")

    await storage.cases.note(1, [case(1)])
    opened = watcher(storage, step)
    running = asyncio.create_task(opened.run(done=opened.idle))
    await asyncio.wait_for(begun.wait(), 120)
    mined_again = case(1, block=b"\x02" * 32)
    assert await storage.cases.note(2, [mined_again]) == [mined_again]
    release.set()
    await asyncio.wait_for(running, 120)
    assert looked_at == [b"\x01" * 32, b"\x02" * 32]
    (found,) = await storage.cases.everything()
    assert (found.block_hash, found.reason) == (b"\x02" * 32, "of the chain")


@pytest.mark.parametrize(
    ("state", "slowest"), [(CaseState.OPEN, 30), (CaseState.ACCUSED, 5), (CaseState.WITHHELD, 5)]
)
async def test_what_is_wrong_is_tried_again_sooner(
    storage: Storage, state: CaseState, slowest: float
) -> None:
    async def step(one: Case) -> Case:
        raise ChainUnreachable("no answer")

    await storage.cases.note(1, [replace(case(1), state=state, attempts=20)])
    opened = watcher(storage, step)
    running = asyncio.create_task(opened.run())

    async def postponed() -> float:
        (one,) = await storage.cases.everything()
        return one.not_before

    until_when = await until(postponed, 10)
    opened.stop()
    await running
    assert 0 < until_when - Clock().now() <= slowest + 2
    assert until_when - Clock().now() > slowest - 2


async def test_a_fault_of_ours_over_one_answer_ends_no_watch_over_the_others(
    storage: Storage,
) -> None:
    async def step(one: Case) -> Case:
        if one.request_id[0] == 1:
            raise ZeroDivisionError("bytes that nobody thought of")
        if one.attempts == 0:
            raise ChainUnreachable("no answer")
        return replace(one, state=CaseState.CLEAN)

    await storage.cases.note(1, [case(1), case(2)])
    opened = watcher(storage, step)
    opened._clock.now = lambda: float("inf")  # type: ignore[method-assign]
    running = asyncio.create_task(opened.run())

    async def through() -> bool:
        return await ended(storage) == {2}

    await until(through, 10)
    opened.stop()
    await asyncio.wait_for(running, 120)
    (left,) = await storage.cases.unfinished()
    assert left.request_id[0] == 1
    assert left.attempts >= 1


async def test_whoever_was_faster_is_no_warning_and_the_next_look_has_it(
    storage: Storage,
) -> None:
    steps = 0

    async def step(one: Case) -> Case:
        nonlocal steps
        steps += 1
        if steps < 3:  # in the pool, and not mined yet
            raise ContractReverted("WrongState", {"actual": "Slashed"})
        return replace(one, state=CaseState.CONVICTED)

    await storage.cases.note(1, [replace(case(1), state=CaseState.ACCUSED)])
    opened = watcher(storage, step)
    opened._clock.now = lambda: float("inf")  # type: ignore[method-assign]
    with capture_logs() as logs:
        await asyncio.wait_for(opened.run(done=opened.idle), 120)
    assert steps == 3
    assert {one["log_level"] for one in logs} == {"info"}


@pytest.mark.parametrize("name", ["NotViolated", "WrongState"])
async def test_a_refusal_that_lasts_is_told(storage: Storage, name: str) -> None:
    async def step(one: Case) -> Case:
        raise ContractReverted(name)

    await storage.cases.note(1, [replace(case(1), state=CaseState.ACCUSED)])
    opened = watcher(storage, step)
    opened._clock.now = lambda: float("inf")  # type: ignore[method-assign]
    with capture_logs() as logs:
        running = asyncio.create_task(opened.run())

        async def told() -> bool:
            return any(one["event"] == "tried again later" for one in logs)

        await until(told, 10)
        opened.stop()
        await running


async def test_a_case_ends_when_what_was_sent_for_it_is_given_up(storage: Storage) -> None:
    """Not before, so that it is tried again where it fails; nothing was sent for what is open."""
    retired: list[int] = []

    async def retire(one: Case) -> None:
        retired.append(one.request_id[0])
        if len(retired) == 1:
            raise ChainUnreachable("no answer")

    async def step(one: Case) -> Case:
        return replace(one, state=CaseState.OVER)

    await storage.cases.note(1, [case(1), replace(case(2), state=CaseState.ACCUSED)])
    opened = watcher(storage, step, retire=retire)
    opened._clock.now = lambda: float("inf")  # type: ignore[method-assign]
    await asyncio.wait_for(opened.run(done=opened.idle), 120)
    assert retired == [2, 2]
    assert await ended(storage) == {1, 2}


async def test_every_round_looks_into_the_purse(storage: Storage) -> None:
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1

    opened = watcher(storage, nothing, look=look)

    async def looked() -> bool:
        return looks >= 2

    await asyncio.wait_for(opened.run(done=looked), 120)


async def test_what_was_missed_is_told_once_when_it_is_over(storage: Storage) -> None:
    tried = 0

    async def retire(one: Case) -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise ChainUnreachable("no answer")

    async def step(one: Case) -> Case:
        return replace(one, state=CaseState.MISSED, reason="no coin; row 0: claimed 1, exact 2")

    await storage.cases.note(1, [replace(case(1), state=CaseState.ACCUSED)])
    opened = watcher(storage, step, retire=retire)
    opened._clock.now = lambda: float("inf")  # type: ignore[method-assign]
    with capture_logs() as logs:
        await asyncio.wait_for(opened.run(done=opened.idle), 120)
    (told,) = [one for one in logs if one["log_level"] == "error"]
    assert told["event"] == "A WRONG ANSWER BECAME FINAL"
    assert told["request"] == "0x" + "01" * 32
    assert told["why"] == "no coin; row 0: claimed 1, exact 2"
