"""Posts side by side: each goes to its end, and a failure is told when all have."""

from __future__ import annotations

import asyncio

import pytest

from oracle.errors import ChainUnreachable
from oracle.service.post import abreast


async def test_one_that_fails_does_not_end_the_others() -> None:
    done: list[int] = []

    async def post(number: int) -> None:
        await asyncio.sleep(0.001 * number)
        if number == 1:
            raise ChainUnreachable("no answer")
        done.append(number)

    with pytest.raises(ChainUnreachable, match="no answer"):
        await abreast(post(number) for number in range(4))
    assert done == [0, 2, 3]


async def test_they_run_at_the_same_time() -> None:
    meeting = asyncio.Barrier(3)

    async def post() -> None:
        await asyncio.wait_for(meeting.wait(), 60)

    await abreast(post() for _ in range(3))
