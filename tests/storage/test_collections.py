"""Transactions that collect for views: one at a time, whichever worker sends it."""

from __future__ import annotations

import pytest

from oracle.core.transaction import Purpose
from oracle.errors import IllegalTransition
from oracle.storage import Storage

from .building import ALICE, OPERATOR, SteppingClock, mined, prepared


async def test_one_collection_is_open_at_a_time(storage: Storage) -> None:
    store = storage.transactions
    assert not await store.any_open(Purpose.COLLECT, OPERATOR)
    first = await prepared(storage, 1, purpose=Purpose.COLLECT)
    assert await store.any_open(Purpose.COLLECT, OPERATOR)
    assert not await store.any_open(Purpose.SETTLE, OPERATOR)
    with pytest.raises(IllegalTransition, match="collects at this moment"):
        await prepared(storage, 5, purpose=Purpose.COLLECT, sender=ALICE)
    assert not await store.open_transactions(ALICE)
    await prepared(storage, 2)  # others are not held up
    await store.record_mined(first.id, mined(first.attempts[0], 7), [])
    assert not await store.any_open(Purpose.COLLECT, OPERATOR)
    second = await prepared(storage, 5, purpose=Purpose.COLLECT, sender=ALICE)
    await store.abandon(second.id, [])
    assert not await store.any_open(Purpose.COLLECT, OPERATOR)


async def test_a_collection_of_a_key_that_is_gone_holds_nobody_up_for_good(
    storage: Storage, clock: SteppingClock
) -> None:
    store = storage.transactions
    await prepared(storage, 1, purpose=Purpose.COLLECT)
    assert await store.any_open(Purpose.COLLECT, ALICE)
    clock.seconds += 601
    assert await store.any_open(Purpose.COLLECT, OPERATOR), "its own is waited for"
    assert not await store.any_open(Purpose.COLLECT, ALICE)
    await prepared(storage, 5, purpose=Purpose.COLLECT, sender=ALICE)
