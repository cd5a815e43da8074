"""Reading events: in order, complete, from one fork, whatever the node does."""

from __future__ import annotations

import pytest

from oracle.chain.logs import LogScanner
from oracle.chain.reader import Reader
from oracle.chain.rpc import Rpc
from oracle.core.event import RequestAccepted, RequestAnswered, RequestSeen
from oracle.errors import ChainUnreachable, ReorgDetected
from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.scene import Scene


async def reader_of(scene: Scene) -> Reader:
    return await Reader.open(scene.chain.rpc, scene.contracts.oracle.address)


async def through(proxy: FaultProxy, scene: Scene, **options: int) -> tuple[Rpc, Reader]:
    rpc = await Rpc.connect(proxy.url)
    return rpc, await Reader.open(rpc, scene.contracts.oracle.address, **options)


async def test_identity(scene: Scene) -> None:
    reader = await reader_of(scene)
    assert reader.domain == scene.contracts.oracle.domain
    assert reader.genesis_hash == scene.contracts.deployment.genesis_hash


async def test_events_in_order(scene: Scene) -> None:
    reader = await reader_of(scene)
    first = (await reader.head()).number + 1
    asked = await scene.request()
    await scene.accept(asked.request)
    await scene.answer(asked.request)
    head = await reader.head()
    batch = await reader.events(first, head.number)
    assert batch.last == head
    assert batch.first_block == first
    assert [type(event) for event in batch.events] == [
        RequestSeen,
        RequestAccepted,
        RequestAnswered,
    ]
    assert batch.events[0] == asked
    empty = await reader.events(head.number, head.number)
    assert [type(event) for event in empty.events] == [RequestAnswered]


async def test_a_header_says_whether_logs_need_be_asked_for(scene: Scene) -> None:
    token = scene.contracts.token

    async def transfer() -> None:
        calldata = token.transfer_data(scene.owner.address, 1)
        await scene.requester.send(token.address, calldata)

    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)

        async def look(blocks: int) -> tuple[int, int, int]:
            """Events of the newest blocks, calls for their headers, calls for their logs."""
            proxy.calls.clear()
            head = await reader.head()
            before = head.number - blocks
            found = await reader.events(before + 1, head.number)
            cursor = await reader.block(before)
            calls = proxy.calls["eth_getBlockByNumber"], proxy.calls["eth_getLogs"]
            assert cursor == await scene.chain.rpc.block(before)
            return len(found.events), *calls

        async with rpc:
            await scene.request()
            assert await look(1) == (1, 2, 1)
            await scene.chain.mine(1)
            assert await look(1) == (0, 1, 0), "a block without transactions"
            await transfer()
            assert await look(1) == (0, 1, 0), "another contract's log"
            await transfer()
            await scene.request()
            assert await look(2) == (1, 2, 1)
            await scene.request()
            await scene.chain.mine(2)
            assert await look(3) == (1, 3, 1)
            await scene.chain.mine(4)
            assert await look(4) == (0, 4, 1), "a range: its end twice, and what is before it"

            for _ in range(3):  # as with `confirmations`: each was a head before
                await scene.chain.mine(1)
                head = await reader.head()
            proxy.calls.clear()
            confirmed = await reader.events(head.number - 1, head.number - 1)
            assert await reader.block(head.number - 2) is not None
            assert (confirmed.last.number, proxy.calls.total()) == (head.number - 1, 0)

            none = {"logsBloom": "0x" + "00" * 256}
            proxy.on("eth_getBlockByNumber", faults.change(lambda block: {**block, **none}))
            await scene.request()
            assert await look(1) == (1, 1, 1), "a chain that fills no blooms"
            proxy.heal()
            lacks = {"logsBloom": None, "transactions": None}
            proxy.on("eth_getBlockByNumber", faults.change(lambda block: {**block, **lacks}))
            await scene.request()
            assert await look(1) == (1, 1, 1)


async def test_a_fork_between_the_head_and_its_parent_is_noticed(scene: Scene) -> None:
    reader = await reader_of(scene)
    await scene.chain.mine(1)
    await scene.request()
    head = await reader.head()
    await scene.chain.reorg(2)
    with pytest.raises(ReorgDetected, match="is not what block"):
        await reader.events(head.number - 1, head.number)
    assert (await reader.events(head.number - 1, (await reader.head()).number)).events == ()


@pytest.mark.parametrize("blocks", [1, 2, 3])
async def test_a_replaced_block_is_not_vouched_for_as_its_followers_logs_are_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    """Else what is read of the new fork would be put on top of the old one, for good."""
    reader = await reader_of(scene)
    await scene.request()
    cursor = await reader.head()
    for _ in range(blocks):
        await scene.request()
        await reader.head()
    last = cursor.number + blocks
    of_block = LogScanner.of_block

    async def too_late(scanner: LogScanner, block_hash: bytes) -> object:
        if await scene.chain.rpc.block(cursor.number) == cursor:
            await scene.chain.reorg(blocks + 1)
        return await of_block(scanner, block_hash)

    monkeypatch.setattr(LogScanner, "of_block", too_late)
    with pytest.raises(ReorgDetected, match="is not what the head led to"):
        await reader.events(cursor.number + 1, last)
    await reader.head()
    assert await reader.block(cursor.number) != cursor


async def test_a_range_of_another_fork_than_the_heads_is_refused(scene: Scene) -> None:
    reader = await reader_of(scene)
    await scene.request()
    cursor = await reader.head()
    for _ in range(5):
        await scene.chain.mine(1)
        head = await reader.head()
    await scene.chain.reorg(6)
    with pytest.raises(ReorgDetected, match="is not what the head led to"):
        await reader.events(cursor.number + 1, head.number)


async def test_a_header_that_names_itself_as_its_parent_leads_nowhere(scene: Scene) -> None:
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            proxy.on(
                "eth_getBlockByNumber",
                faults.change(lambda block: {**block, "parentHash": block["hash"]}),
            )
            await scene.chain.mine(2)
            head = await reader.head()
            assert await reader.block(head.number - 1) != head
            with pytest.raises(ReorgDetected):
                await reader.events(head.number - 1, head.number)


async def test_heads_and_ranges_that_are_not_there(scene: Scene) -> None:
    reader = await reader_of(scene)
    head = await reader.head()
    assert await reader.block(head.number) == head
    assert await reader.block(head.number + 1) is None
    with pytest.raises(ReorgDetected, match="not on the chain"):
        await reader.events(0, head.number + 1)
    with pytest.raises(ValueError, match="reversed"):
        await reader.events(head.number, head.number - 1)


async def test_repeated_and_reversed_logs(scene: Scene) -> None:
    first = (await scene.chain.head()).number + 1
    for _ in range(3):
        await scene.request()
    expected = await (await reader_of(scene)).events(first, first + 2)
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            proxy.on("eth_getLogs", faults.change(lambda logs: [*logs[::-1], *logs]))
            assert await reader.events(first, first + 2) == expected


async def test_logs_of_two_forks_are_refused(scene: Scene) -> None:
    first = (await scene.chain.head()).number + 1
    await scene.request()
    await scene.request()
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            orphan = {"blockHash": "0x" + "ab" * 32}
            proxy.on(
                "eth_getLogs", faults.change(lambda logs: [*logs[:-1], {**logs[-1], **orphan}])
            )
            with pytest.raises(ReorgDetected, match="two different"):
                await reader.events(first, first + 1)


@pytest.mark.parametrize(
    "log",
    [
        {},
        {"blockNumber": "0x1"},
        {"blockNumber": "0x1", "logIndex": "zero", "blockHash": "0x"},
        None,
    ],
)
async def test_malformed_logs_are_refused(scene: Scene, log: object) -> None:
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            proxy.on("eth_getLogs", faults.answer([log]))
            with pytest.raises(ChainUnreachable):
                await reader.events(0, 1)


async def test_a_log_cut_short_is_refused(scene: Scene) -> None:
    number = (await scene.chain.head()).number + 1
    await scene.request()
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            proxy.on(
                "eth_getLogs",
                faults.change(lambda logs: [{**log, "data": log["data"][:-64]} for log in logs]),
            )
            with pytest.raises(ChainUnreachable, match="cannot be read"):
                await reader.events(number, number)


async def test_a_reorg_while_reading_is_noticed(scene: Scene) -> None:
    number = (await scene.chain.head()).number + 1
    await scene.request()
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            proxy.on("eth_getLogs", faults.after(lambda: scene.chain.reorg(1)), times=1)
            with pytest.raises(ReorgDetected, match="changed while"):
                await reader.events(number, number)
            again = await reader.events(number, number)
            assert again.events == ()


async def test_an_orphaned_request_is_gone_and_comes_back(scene: Scene) -> None:
    reader = await reader_of(scene)
    number = (await reader.head()).number + 1
    asked = await scene.request()
    raw = await scene.chain.raw_transaction(asked.position.transaction_hash)
    before = await reader.block(number)

    await scene.chain.reorg(1)
    assert await reader.block(number) != before
    assert (await reader.events(number, number)).events == ()

    await scene.chain.reorg(1, [(raw, 0)])
    (back,) = (await reader.events(number, number)).events
    assert isinstance(back, RequestSeen)
    assert (back.request_id, back.request) == (asked.request_id, asked.request)
    assert back.position != asked.position


async def test_ranges_shrink_and_grow_again(scene: Scene) -> None:
    first = (await scene.chain.head()).number + 1
    for _ in range(4):
        await scene.request()
        await scene.chain.mine(9)
    head = await scene.chain.head()
    expected = await (await reader_of(scene)).events(first, head.number)
    async with fault_proxy(scene.chain.url) as proxy, await Rpc.connect(proxy.url) as rpc:
        reader = await Reader.open(rpc, scene.contracts.oracle.address)
        proxy.on("eth_getLogs", faults.limit_range(3))
        batch = await reader.events(first, head.number)
        assert batch == expected
        assert len(batch.events) == 4

        scanner = LogScanner(rpc, scene.contracts.oracle.address, largest_span=64)
        proxy.calls.clear()
        await scanner.scan(first, head.number)
        assert scanner.span <= 6
        assert proxy.calls["eth_getLogs"] < 2 * (head.number - first)
        proxy.heal()
        for _ in range(20):
            await scanner.scan(0, head.number)
        assert scanner.span == 64


async def test_one_block_too_large_is_an_error_and_so_is_a_rate_limit(scene: Scene) -> None:
    head = await scene.chain.head()
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            for message, most in (("response size exceeded", 30), ("rate limit exceeded", 1)):
                proxy.calls.clear()
                proxy.on("eth_getLogs", faults.refuse(-32005, message))
                with pytest.raises(ChainUnreachable, match=message):
                    await reader.events(0, head.number)
                assert proxy.calls["eth_getLogs"] <= most
                proxy.heal()


async def test_too_large_by_http_status(scene: Scene) -> None:
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene)
        async with rpc:
            proxy.on("eth_getLogs", faults.http_status(413), times=2)
            await reader.events(0, (await reader.head()).number)
            assert proxy.calls["eth_getLogs"] > 3


async def test_many_blocks_in_spans(scene: Scene) -> None:
    first = (await scene.chain.head()).number + 1
    await scene.request()
    await scene.chain.mine(500)
    await scene.request()
    async with fault_proxy(scene.chain.url) as proxy:
        rpc, reader = await through(proxy, scene, largest_span=100)
        async with rpc:
            batch = await reader.events(first, (await reader.head()).number)
            assert len(batch.events) == 2
            assert proxy.calls["eth_getLogs"] == 6
