"""Answers are found once, across forks and restarts; what a fork took back is sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from oracle.core.case import CaseState
from oracle.core.event import Position, RequestAnswered
from oracle.core.transaction import Attempt, Call, Fees, Mined, Purpose
from oracle.storage.storage import Storage, open_storage
from oracle.watcher.follow import Follow
from oracle.watcher.policy import WatcherPolicy
from tests.service.fakes import OPERATOR, STRANGER, Clock, Reader

POLICY = WatcherPolicy(start_block=2, range_blocks=4, overlap_blocks=3)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    opened = open_storage(tmp_path / "watcher.sqlite", Clock())
    yield opened
    await opened.close()


def answered(reader: Reader, number: int, request: int) -> RequestAnswered:
    """An answer in a block of the chain."""
    at = Position(number, 0, reader.chain[number].hash, bytes([number]) * 32)
    event = RequestAnswered(at, bytes([request]) * 32, OPERATOR, b"\x05" * 32, 99, b"")
    reader.logs.append(event)
    return event


def follow(reader: Reader, storage: Storage, policy: WatcherPolicy = POLICY) -> Follow:
    return Follow(reader, storage.cases, storage.jobs, policy)


async def test_every_answer_is_found_once(storage: Storage) -> None:
    reader = Reader(10)
    answered(reader, 3, 1)
    answered(reader, 9, 2)
    following = follow(reader, storage)
    assert await following.cycle()
    assert not await following.cycle()
    assert following.head_block == 10
    assert [one.request_id[0] for one in await storage.cases.unfinished()] == [1, 2]
    assert min(first for first, _ in reader.asked) == 2
    assert max(last - first + 1 for first, last in reader.asked) == 4
    reader.asked.clear()
    reader.grow(1)
    assert not await follow(reader, storage).cycle(), "after a restart"
    assert min(first for first, _ in reader.asked) == 7


async def test_one_request_can_be_watched_alone(storage: Storage) -> None:
    reader = Reader(10)
    answered(reader, 3, 1)
    wanted = answered(reader, 4, 2)
    await follow(reader, storage, replace(POLICY, only=wanted.request_id)).cycle()
    (case,) = await storage.cases.everything()
    assert case.request_id == wanted.request_id


async def test_an_answer_of_another_fork_is_looked_into_again(storage: Storage) -> None:
    reader = Reader(8)
    event = answered(reader, 8, 1)
    following = follow(reader, storage)
    await following.cycle()
    (case,) = await storage.cases.everything()
    await storage.cases.save(replace(case, state=CaseState.CLEAN))
    reader.grow(2)
    await following.cycle()
    reader.fork(7)
    reader.grow(1, fork=1)
    again = replace(event, position=replace(event.position, block_hash=reader.chain[8].hash))
    reader.logs.append(again)
    assert await following.cycle(), "the answer is another one now"
    (case,) = await storage.cases.everything()
    assert (case.state, case.block_hash) == (CaseState.OPEN, reader.chain[8].hash)


async def test_a_transaction_that_a_fork_took_back_is_open_again(storage: Storage) -> None:
    reader = Reader(8)
    following = follow(reader, storage)
    await following.cycle()
    reader.grow(1)
    await following.cycle()
    sent = await storage.transactions.prepare(
        sender=STRANGER,
        nonce=0,
        purpose=Purpose.PROVE,
        call=Call(OPERATOR, b"prove", 50_000),
        request_ids=[],
        attempt=Attempt(b"\x07" * 32, b"raw", Fees(10, 1), 1.0, None, None),
        moves=[],
    )
    mined = Mined(b"\x07" * 32, 9, reader.chain[9].hash, True, 40_000, 10)
    await storage.transactions.record_mined(sent.id, mined, [])
    reader.fork(9)
    reader.grow(1, fork=1)
    await following.cycle()
    assert len(await storage.transactions.open_transactions(STRANGER)) == 1


async def test_a_head_behind_what_was_read_is_waited_out_and_a_fork_reopens_convictions(
    storage: Storage,
) -> None:
    reader = Reader(8)
    answered(reader, 3, 1)
    answered(reader, 4, 2)
    following = follow(reader, storage)
    await following.cycle()
    first, second = await storage.cases.everything()
    convicted = replace(first, state=CaseState.CONVICTED, proof=b"proof", salt=b"\x09" * 32)
    await storage.cases.save(convicted)
    await storage.cases.save(replace(second, state=CaseState.CONVICTED))
    held_back = reader.chain
    reader.chain = held_back[:7]
    assert not await following.cycle()
    assert await storage.cases.unfinished() == [], "an endpoint that is behind is no fork"
    reader.chain = held_back
    reader.fork(8)
    reader.grow(1, fork=1)
    await following.cycle()
    states = [one.state for one in await storage.cases.everything()]
    assert states == [CaseState.ACCUSED, CaseState.HELD], "with a proof, and without"


async def test_the_first_look_says_what_can_still_be_convicted_and_later_ones_nothing(
    storage: Storage,
) -> None:
    reader = Reader(10)
    late = answered(reader, 9, 2)
    early = answered(reader, 3, 1)
    head = reader.chain[10].timestamp
    reader.logs[:] = [replace(early, settle_at=head), replace(late, settle_at=head + 1)]
    following = follow(reader, storage)
    with capture_logs() as logs:
        await following.cycle()
        reader.grow(1)
        await following.cycle()
    (said,) = [line for line in logs if line["event"] == "read up to the head"]
    assert (said["block"], said["answers"]) == (10, 2)
    assert (said["within_their_windows"], said["unfinished"]) == (1, 2)
