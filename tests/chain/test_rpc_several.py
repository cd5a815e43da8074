"""Several endpoints: who is asked, who is not, and what a caller sees of it (nothing, if possible).

Two proxies lead to one anvil, so that either can fail alone; a second anvil is the wrong chain.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from oracle.chain.gateway import Gateway
from oracle.chain.reader import Reader
from oracle.chain.rpc import HttpRefusal, Rpc, RpcPolicy, RpcRefusal
from oracle.core.signing import signed_transaction
from oracle.core.transaction import Attempt, Call, Fees, SendOutcome
from oracle.core.types import Address
from oracle.devnet.accounts import signer_of
from oracle.devnet.anvil import AnvilOptions
from oracle.errors import ChainUnreachable, ConfigurationError, WrongChain
from tests.support import fault_proxy as faults
from tests.support.anvil import Chain, own_chain, random_chain_id
from tests.support.failures import thorough
from tests.support.fault_proxy import EVERY, FaultProxy, fault_proxy
from tests.support.world import until

QUICK = RpcPolicy(
    max_lag_blocks=3, check_seconds=0.2, first_pause_seconds=0.2, longest_pause_seconds=5.0
)
FEES = Fees(10**10, 10**9)


class Heard:
    """What was told of the endpoints."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def __call__(self, level: str, endpoint: str, what: str) -> None:
        self.lines.append((level, endpoint, what))


@pytest.fixture
async def first(own_anvil: Chain) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(own_anvil.url) as proxy:
        yield proxy


@pytest.fixture
async def second(own_anvil: Chain) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(own_anvil.url) as proxy:
        yield proxy


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def rpc(
    own_anvil: Chain, first: FaultProxy, second: FaultProxy, heard: Heard
) -> AsyncIterator[Rpc]:
    async with await Rpc.connect(
        [first.url, second.url],
        chain_id=own_anvil.chain_id,
        timeout_seconds=3.0,
        policy=QUICK,
        notice=heard,
    ) as opened:
        yield opened


def states(rpc: Rpc) -> list[str]:
    return [one["state"] for one in rpc.reports()]


async def asking(rpc: Rpc, condition: Callable[[], bool]) -> None:
    """Asks again and again until something holds: what is due is seen to while one asks."""

    async def holds() -> bool:
        await rpc.latest()
        return condition()

    await until(holds)


async def attempt(chain: Chain, nonce: int) -> Attempt:
    signed = await signed_transaction(
        signer_of(0),  # the account that anvil funds first
        chain_id=chain.chain_id,
        nonce=nonce,
        call=Call(Address("0x" + "11" * 20), b"", 21_000),
        fees=FEES,
    )
    return Attempt(signed[0], signed[1], FEES, time.time(), None, None)


# ---- failing over, and back


async def test_reads_stay_with_the_first_in_the_order(
    rpc: Rpc, first: FaultProxy, second: FaultProxy
) -> None:
    second.calls.clear()
    for _ in range(20):
        await rpc.latest()
    assert states(rpc) == ["in use", "ready"]
    assert second.calls["eth_getBlockByNumber"] == 0


@pytest.mark.parametrize(
    "fault",
    [
        faults.lose_request,
        faults.http_status(500),
        faults.http_status(403),
        faults.http_status(429),
        faults.delay(30),
        faults.answer([1]),
        faults.refuse(-32005, "daily request count exceeded, request rate limited"),
        faults.refuse(-32603, "internal error"),
        faults.refuse(-32000, "header not found"),
    ],
    ids=["dropped", "500", "403", "429", "slow", "garbage", "limited", "internal", "lacks"],
)
async def test_whatever_is_wrong_with_the_first_the_second_answers(
    rpc: Rpc, first: FaultProxy, own_anvil: Chain, fault: faults.Fault
) -> None:
    first.on(EVERY, fault)
    assert await rpc.block(0) == await own_anvil.rpc.block(0)


async def test_the_first_is_taken_back_when_it_is_well(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, heard: Heard
) -> None:
    first.on(EVERY, faults.lose_request)
    await rpc.latest()
    assert states(rpc) == ["away", "in use"]
    first.heal()
    await asking(rpc, lambda: states(rpc) == ["in use", "ready"])
    # It has shown its chain again before it was asked for anything else.
    assert first.calls["eth_chainId"] >= 2
    assert [(level, what.split(":")[0]) for level, _, what in heard.lines] == [
        ("warning", "set aside"),
        ("info", "answers again"),
    ]


async def test_a_dead_endpoint_costs_nobody_its_time_limit_twice(
    rpc: Rpc, first: FaultProxy, own_anvil: Chain
) -> None:
    first.on(EVERY, faults.delay(30))
    await rpc.latest()
    assert states(rpc) == ["away", "in use"]
    before = sum(first.calls.values())
    for _ in range(20):
        await rpc.latest()
    # It is tried again in the background, and no read waits for it.
    assert sum(first.calls.values()) - before < 10


async def test_flapping_is_left_alone_for_ever_longer(
    rpc: Rpc, first: FaultProxy, own_anvil: Chain
) -> None:
    pauses = []
    for _ in range(3):
        first.on(EVERY, faults.lose_request)
        await rpc.latest()
        gone = time.monotonic()
        first.heal()
        await asking(rpc, lambda: states(rpc)[0] == "in use")
        pauses.append(time.monotonic() - gone)
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[2] >= 0.8


async def test_a_contracts_refusal_is_an_answer(
    rpc: Rpc, first: FaultProxy, second: FaultProxy
) -> None:
    first.on("eth_call", faults.refuse(3, "execution reverted: limit exceeded", "0x08c379a0"))
    second.calls.clear()
    with pytest.raises(RpcRefusal, match="reverted"):
        await rpc.call(Address("0x" + "11" * 20), b"")
    assert second.calls["eth_call"] == 0
    assert states(rpc)[0] == "in use"


async def test_all_dead_says_so_and_any_that_returns_is_used_at_once(
    rpc: Rpc, first: FaultProxy, second: FaultProxy
) -> None:
    for proxy in (first, second):
        proxy.on(EVERY, faults.lose_request)
    with pytest.raises(ChainUnreachable, match="dropped"):
        await rpc.latest()
    second.heal()
    await rpc.latest()


@thorough
async def test_one_that_hangs_at_the_start_holds_nobody_up(
    own_anvil: Chain, first: FaultProxy, second: FaultProxy
) -> None:
    first.on(EVERY, faults.delay(600))
    async with (
        asyncio.timeout(300),
        await Rpc.connect([first.url, second.url], timeout_seconds=20) as rpc,
    ):
        assert (await rpc.latest()).number == 0


# ---- too many calls


async def test_retry_after_is_honoured_while_the_other_serves(
    rpc: Rpc, first: FaultProxy, second: FaultProxy
) -> None:
    first.on(EVERY, faults.http_status(429, retry_after=4), times=1)
    await rpc.latest()
    told = time.monotonic()
    before = sum(first.calls.values())
    while time.monotonic() - told < 0.8:
        await rpc.latest()
        await asyncio.sleep(0.02)
    assert sum(first.calls.values()) == before
    assert states(rpc) == ["rate limited", "in use"]
    await asking(rpc, lambda: states(rpc)[0] == "in use")


async def test_a_short_rest_is_waited_for_where_there_is_nobody_else(first: FaultProxy) -> None:
    async with await Rpc.connect(first.url) as rpc:
        first.on(EVERY, faults.http_status(429, retry_after=1), times=1)
        started = time.monotonic()
        await rpc.latest()
        assert time.monotonic() - started > 0.9


async def test_a_long_rest_is_an_error_and_nobody_is_asked(first: FaultProxy) -> None:
    async with await Rpc.connect(first.url, timeout_seconds=2.0) as rpc:
        date = formatdate(time.time() + 60, usegmt=True)
        first.on(EVERY, faults.http_status(429, retry_after=date), times=1)
        with pytest.raises(HttpRefusal):
            await rpc.latest()
        before = sum(first.calls.values())
        with pytest.raises(ChainUnreachable, match="429"):
            await rpc.latest()
        assert sum(first.calls.values()) == before


# ---- falling behind


async def test_one_that_falls_behind_is_not_asked_until_it_has_caught_up(
    rpc: Rpc, first: FaultProxy, own_anvil: Chain, heard: Heard
) -> None:
    first.on(EVERY, faults.frozen(0))
    await own_anvil.mine(3)
    await asking(rpc, lambda: rpc.reports()[0]["lag"] == 3)
    assert states(rpc)[0] == "in use"  # within the bound
    await own_anvil.mine(1)
    await asking(rpc, lambda: states(rpc) == ["lagging", "in use"])
    assert (await rpc.latest()).number == 4
    assert "set aside: 4 blocks late" in [what for _, _, what in heard.lines]
    first.heal()
    await asking(rpc, lambda: states(rpc) == ["in use", "ready"])


async def test_logs_are_not_asked_of_one_that_lacks_the_last_block(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, own_anvil: Chain
) -> None:
    """A node answers a range beyond its head with what it has, and no error: silent loss."""
    await own_anvil.mine(2)
    first.on(EVERY, faults.frozen(1))
    head = await own_anvil.head()
    await rpc.request("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "0x2"}], needs_block=2)
    assert head.number == 2
    assert first.calls["eth_getLogs"] == 0
    assert second.calls["eth_getLogs"] == 1


async def test_nothing_is_put_together_from_two_endpoints(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, own_anvil: Chain
) -> None:
    """The first dies between a range's last block and its logs: the second gives both."""
    await own_anvil.mine(3)
    reader = await Reader.open(rpc, Address("0x" + "22" * 20))

    async def dies() -> None:
        first.on(EVERY, faults.lose_request)

    first.on("eth_getBlockByNumber", faults.after(dies), times=1)
    second.calls.clear()
    batch = await reader.events(1, 3)
    assert batch.last == await own_anvil.head()
    assert second.calls["eth_getLogs"] == 1
    assert second.calls["eth_getBlockByNumber"] == 2


async def test_a_read_is_begun_again_or_fails_as_a_whole(
    rpc: Rpc, first: FaultProxy, second: FaultProxy
) -> None:
    rounds = []

    async def read() -> str:
        rounds.append(await rpc.block(0))
        if len(rounds) == 1:
            first.on(EVERY, faults.lose_request)
        await asyncio.gather(rpc.latest(), rpc.block(0))
        return rpc.endpoint

    assert await rpc.on_one_endpoint(read) == second.url
    assert len(rounds) == 2

    async def in_vain() -> None:
        await rpc.block(0)
        second.on(EVERY, faults.lose_request)
        await rpc.latest()

    with pytest.raises(ChainUnreachable):
        await rpc.on_one_endpoint(in_vain)


# ---- another chain


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[Chain]:
    """Another chain."""
    options = AnvilOptions(chain_id=random_chain_id())
    async with own_chain(tmp_path / "stranger", options) as chain:
        yield chain


@pytest.fixture(params=["another id", "the same id"])
async def other(
    request: pytest.FixtureRequest, tmp_path: Path, own_anvil: Chain
) -> AsyncIterator[Chain]:
    """Another chain, far ahead: that is not what makes an endpoint the best."""
    await asyncio.sleep(1.1)  # its first block is of another second, so that it is another block
    same = request.param == "the same id"
    options = AnvilOptions(chain_id=own_anvil.chain_id if same else random_chain_id())
    async with own_chain(tmp_path / "other", options) as chain:
        await chain.mine(50)
        yield chain


@pytest.mark.parametrize("place", [0, 1])
async def test_one_of_another_chain_is_never_used(
    own_anvil: Chain, heard: Heard, other: Chain, place: int
) -> None:
    genesis = await own_anvil.rpc.block(0)
    assert genesis is not None
    async with fault_proxy(other.url) as wrong:
        urls = [own_anvil.url, own_anvil.url]
        urls[place] = wrong.url
        async with await Rpc.connect(
            urls,
            chain_id=own_anvil.chain_id,
            genesis_hash=genesis.hash,
            policy=QUICK,
            notice=heard,
        ) as rpc:
            for _ in range(5):
                assert (await rpc.latest()).number == 0
            assert states(rpc)[place] == "wrong chain"
            assert states(rpc)[1 - place] == "in use"
            alerts = [what for level, _, what in heard.lines if level == "error"]
            assert ["NOT USED" in what for what in alerts] == [True]
            await rpc.send((await attempt(own_anvil, 0)).raw)
        assert set(wrong.calls) <= {"eth_chainId", "eth_getBlockByNumber"}
        assert wrong.calls["eth_getBlockByNumber"] <= wrong.calls["eth_chainId"]


async def test_only_wrong_ones_is_an_error_of_its_own(
    own_anvil: Chain, stranger: Chain, heard: Heard
) -> None:
    with pytest.raises(WrongChain, match="not chain 1"):
        await Rpc.connect([own_anvil.url, stranger.url], chain_id=1, notice=heard)


async def test_a_single_wrong_one_is_told_of_by_the_error_alone(
    own_anvil: Chain, heard: Heard
) -> None:
    with pytest.raises(WrongChain, match="not chain 1"):
        await Rpc.connect(own_anvil.url, chain_id=1, notice=heard)
    assert heard.lines == []


async def test_a_wrong_one_and_a_dead_one_is_a_wait(
    own_anvil: Chain, stranger: Chain, first: FaultProxy, heard: Heard
) -> None:
    first.on(EVERY, faults.lose_request)
    with pytest.raises(ChainUnreachable):
        await Rpc.connect(
            [stranger.url, first.url], chain_id=own_anvil.chain_id, notice=heard, policy=QUICK
        )


async def test_one_that_comes_back_as_another_chain_is_not_taken_back(
    rpc: Rpc, first: FaultProxy, stranger: Chain
) -> None:
    first.on(EVERY, faults.lose_request)
    await rpc.latest()
    first.target = stranger.url
    first.heal()
    await asking(rpc, lambda: states(rpc) == ["wrong chain", "in use"])
    assert (await rpc.latest()).number == 0


async def test_the_first_that_answers_says_which_chain_where_nobody_does(
    own_anvil: Chain, stranger: Chain, first: FaultProxy, heard: Heard
) -> None:
    first.on(EVERY, faults.lose_request)
    urls = [first.url, own_anvil.url, stranger.url]
    async with await Rpc.connect(urls, notice=heard) as rpc:
        assert rpc.chain_id == own_anvil.chain_id
        assert states(rpc) == ["away", "in use", "wrong chain"]


# ---- transactions


async def test_a_send_goes_to_the_preferred_one_alone_where_that_takes_it(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, own_anvil: Chain
) -> None:
    gateway = Gateway(rpc)
    assert await gateway.send(await attempt(own_anvil, 0)) == (SendOutcome.ACCEPTED, None)
    assert first.calls["eth_sendRawTransaction"] == 1
    assert second.calls["eth_sendRawTransaction"] == 0


@pytest.mark.parametrize(
    "fault",
    [
        faults.lose_request,
        faults.lose_reply,
        faults.http_status(429, retry_after=30),
        faults.refuse(-32000, "nonce too low: next nonce 9, tx nonce 0"),
        faults.refuse(-32000, "insufficient funds for gas * price + value"),
    ],
    ids=["request lost", "reply lost", "429", "refused as behind", "refused as poor"],
)
async def test_a_send_that_the_first_does_not_take_goes_to_the_second(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, own_anvil: Chain, fault: faults.Fault
) -> None:
    first.on("eth_sendRawTransaction", fault)
    sent = await attempt(own_anvil, 0)
    assert await Gateway(rpc).send(sent) == (SendOutcome.ACCEPTED, None)
    assert second.calls["eth_sendRawTransaction"] == 1
    assert await until(lambda: Gateway(own_anvil.rpc).mined(sent.hash))


async def test_a_send_that_all_refuse_is_refused_and_one_that_may_be_taken_is_unknown(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, own_anvil: Chain
) -> None:
    poor = faults.refuse(-32000, "insufficient funds for gas * price + value")
    sent = await attempt(own_anvil, 5)
    first.on("eth_sendRawTransaction", poor)
    second.on("eth_sendRawTransaction", poor)
    assert (await Gateway(rpc).send(sent))[0] is SendOutcome.UNFUNDED
    second.heal()
    second.on("eth_sendRawTransaction", faults.lose_request)
    other = await attempt(own_anvil, 6)
    assert (await Gateway(rpc).send(other))[0] is SendOutcome.UNKNOWN


async def test_what_is_sent_again_goes_to_all(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, own_anvil: Chain
) -> None:
    """The first takes it and tells nobody."""
    first.on("eth_sendRawTransaction", faults.answer("0x" + "00" * 32))
    sent = await attempt(own_anvil, 0)
    gateway = Gateway(rpc)
    await gateway.send(sent)
    assert await gateway.mined(sent.hash) is None
    await gateway.send(sent)
    assert await until(lambda: gateway.mined(sent.hash))


async def test_one_that_lags_still_gets_transactions(
    rpc: Rpc, first: FaultProxy, second: FaultProxy, own_anvil: Chain
) -> None:
    first.on(EVERY, faults.frozen(0))
    await own_anvil.mine(5)
    await asking(rpc, lambda: states(rpc)[0] == "lagging")
    second.on("eth_sendRawTransaction", faults.lose_request)
    assert await Gateway(rpc).send(await attempt(own_anvil, 0)) == (SendOutcome.ACCEPTED, None)


# ---- what is said of them


async def test_secrets_stay_out_of_everything_that_is_said(
    own_anvil: Chain, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = ("someone", "swordfish", "k3y", "t0ken")
    async with fault_proxy(own_anvil.url) as proxy:
        host = proxy.url.removeprefix("http://")
        urls = [f"http://someone:swordfish@{host}/v2/k3y?token=t0ken", f"http://{host}/k3y"]
        with caplog.at_level(logging.DEBUG):
            async with await Rpc.connect(urls, timeout_seconds=0.3, policy=QUICK) as rpc:
                shown = [repr(rpc), rpc.endpoint]
                for fault in (faults.lose_request, faults.delay(1), faults.http_status(401)):
                    proxy.on(EVERY, fault)
                    with pytest.raises(ChainUnreachable) as failed:
                        await rpc.latest()
                    shown += [str(failed.value), str(rpc.reports())]
                    proxy.heal()
                with pytest.raises(WrongChain) as wrong:
                    await Rpc.connect(urls, chain_id=1)
                shown.append(str(wrong.value))
        with pytest.raises(ConfigurationError) as refused:
            Rpc([urls[0], "ftp://someone:swordfish@host/k3y"])
        shown += [str(refused.value), caplog.text, *capsys.readouterr()]
    for text in shown:
        assert not any(secret in text for secret in secrets), text


async def test_calls_are_counted_by_method_and_endpoint(
    rpc: Rpc, first: FaultProxy, second: FaultProxy
) -> None:
    for _ in range(5):
        await rpc.latest()
    for proxy, report in zip((first, second), rpc.reports(), strict=True):
        assert report["address"] == proxy.url
        assert report["calls"] == dict(proxy.calls)
        assert report["calls_last_minute"] == sum(proxy.calls.values())
