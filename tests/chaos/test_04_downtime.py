"""The worker was down while the chain went on, and the endpoint gives logs in small pieces only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.failures import failure, thorough
from tests.support.fault_proxy import Document, Dropped, FaultProxy, Forward, limit_range
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import Stage, World, digit, stage, until

BLOCKS_BETWEEN = 100
RANGE = 100
TIME_TO_ANSWER_SECONDS = 3_000


@pytest.fixture(scope="module")
def arena_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Anvil writes every state beyond 500 to the disk, which takes longer than all of the rest."""
    folder = tmp_path_factory.mktemp("arena")
    with stage(folder, more=("--prune-history", "100")) as started:
        yield started


@failure(4, "1,000 or 5,000 blocks, a request in each 100, 100 blocks a call, SIGKILL half-way")
@pytest.mark.parametrize("requests", [10, pytest.param(50, marks=thorough)])
async def test_what_was_asked_while_the_worker_was_down_is_found_and_read_once(
    arena: World, arena_proxy: FaultProxy, requests: int
) -> None:
    asked = []
    for number in range(requests):
        made = await arena.ask(digit(number % 10), time_to_answer=TIME_TO_ANSWER_SECONDS)
        asked.append(made.id)
        await arena.chain.mine(BLOCKS_BETWEEN, seconds_between=0)
    limit = limit_range(RANGE)
    spans: list[tuple[int, int]] = []
    head = (await arena.chain.head()).number
    start = arena.deployment.deployed_block
    killed = False

    async def limited(asked: Document, forward: Forward) -> Document:
        criteria = asked["params"][0]
        # The first node gets half of it, however late it is killed.
        if not killed and int(criteria.get("toBlock", "0x0"), 16) > (start + head) // 2:
            raise Dropped
        given = await limit(asked, forward)
        if "result" in given and "toBlock" in criteria:
            span = int(criteria["fromBlock"], 16), int(criteria["toBlock"], 16)
            # The dispute contract's logs are read by a cursor of their own.
            if criteria["address"].lower() == arena.deployment.oracle.lower():
                spans.append(span)
        return given

    arena_proxy.on("eth_getLogs", limited)
    first = await arena.process(rpc_url=arena_proxy.url, range_blocks=requests * RANGE // 5)

    async def half_way() -> bool:
        cursor = await arena.storage.jobs.cursor()
        return cursor is not None and cursor.number > start + (head - start) // 3

    await until(half_way)
    await first.kill()
    killed = True
    cursor = await arena.storage.jobs.cursor()
    assert cursor is not None
    assert cursor.number < head
    read_before = len(spans)
    await arena.process(rpc_url=arena_proxy.url, range_blocks=requests * RANGE // 5)
    await arena.until_settled(*asked)
    await settle_down(arena)
    assert min(first for first, _ in spans[read_before:]) == cursor.number + 1
    assert max(last - first + 1 for first, last in spans) > RANGE // 2
    await check_invariants(arena)
