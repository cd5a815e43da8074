"""Sending, and the three things it can come to, each provoked on a real node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from oracle.chain.gateway import Gateway
from oracle.chain.keystore import LocalSigner
from oracle.chain.rpc import Rpc
from oracle.core.transaction import Attempt, Call, Fees, Mined, SendOutcome, bumped
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import ChainUnreachable, ContractReverted
from tests.support import fault_proxy as faults
from tests.support.anvil import Chain
from tests.support.fault_proxy import EVERY, FaultProxy, fault_proxy
from tests.support.scene import Scene
from tests.support.signing import transaction_of

SINK = Address("0x00000000000000000000000000000000000000AA")
FEES = Fees(10**11, 10**9)
ME = signer_of(Person.RELAYER)


def attempt(
    chain: Chain,
    nonce: int,
    *,
    fees: Fees = FEES,
    gas: int = 21_000,
    signer: LocalSigner = ME,
    value: int = 1,
    chain_id: int | None = None,
) -> Attempt:
    transaction_hash, raw = transaction_of(
        signer,
        chain_id=chain_id or chain.chain_id,
        nonce=nonce,
        call=Call(SINK, b"", gas),
        fees=fees,
        value=value,
    )
    return Attempt(transaction_hash, raw, fees, time.time(), None, None)


@pytest.fixture
def gateway(anvil: Chain) -> Gateway:
    return Gateway(anvil.rpc)


@pytest.fixture
async def proxy(anvil: Chain) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(anvil.url) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: FaultProxy) -> AsyncIterator[Gateway]:
    """A gateway behind the proxy."""
    async with await Rpc.connect(proxy.url, timeout_seconds=0.5) as rpc:
        yield Gateway(rpc)


async def soon(gateway: Gateway, transaction_hash: bytes) -> Mined | None:
    """As `mined`, with the moment that anvil takes to mine."""
    for _ in range(200):
        mined = await gateway.mined(transaction_hash)
        if mined is not None:
            return mined
        await asyncio.sleep(0.01)
    return None


async def nonce_of(gateway: Gateway) -> int:
    return await gateway.next_nonce(ME.address, pending=True)


async def test_accepted_and_mined(anvil: Chain, gateway: Gateway) -> None:
    sent = attempt(anvil, await nonce_of(gateway))
    assert await gateway.send(sent) == (SendOutcome.ACCEPTED, None)
    mined = await soon(gateway, sent.hash)
    assert mined is not None
    head = await anvil.head()
    assert (mined.attempt_hash, mined.block_number, mined.block_hash) == (
        sent.hash,
        head.number,
        head.hash,
    )
    assert mined.succeeded
    assert mined.gas_used == 21_000
    assert 0 < mined.gas_price <= FEES.max_fee
    assert mined.cost_wei == mined.gas_used * mined.gas_price


async def test_the_same_bytes_twice(anvil: Chain, gateway: Gateway) -> None:
    sent = attempt(anvil, await nonce_of(gateway))
    assert (await gateway.send(sent))[0] is SendOutcome.ACCEPTED
    assert await soon(gateway, sent.hash) is not None
    assert await gateway.send(sent) == (SendOutcome.ACCEPTED, None)  # mined: "nonce too low"
    await anvil.automine(False)
    pending = attempt(anvil, await nonce_of(gateway))
    assert (await gateway.send(pending))[0] is SendOutcome.ACCEPTED
    assert await gateway.send(pending) == (SendOutcome.ACCEPTED, None)  # "already imported"
    assert await gateway.mined(pending.hash) is None


async def test_nonce_taken_by_another(anvil: Chain, gateway: Gateway) -> None:
    nonce = await nonce_of(gateway)
    await gateway.send(attempt(anvil, nonce))
    outcome, reason = await gateway.send(attempt(anvil, nonce, value=2))
    assert outcome is SendOutcome.REFUSED
    assert reason is not None
    assert "another transaction took the nonce" in reason


async def test_refused_for_good(anvil: Chain, gateway: Gateway) -> None:
    nonce = await nonce_of(gateway)
    pauper = LocalSigner(b"\x42" * 32)
    for refused, expected in (
        (attempt(anvil, 0, signer=pauper), SendOutcome.UNFUNDED),
        (attempt(anvil, nonce, gas=20_000), SendOutcome.HOPELESS),
        (attempt(anvil, nonce, gas=10**9), SendOutcome.HOPELESS),
        (attempt(anvil, nonce, chain_id=anvil.chain_id + 1), SendOutcome.HOPELESS),
    ):
        outcome, reason = await gateway.send(refused)
        assert (outcome, bool(reason)) == (expected, True), reason
    broken = attempt(anvil, nonce)
    cut = Attempt(broken.hash, broken.raw[:-3], FEES, 0.0, None, None)
    assert (await gateway.send(cut))[0] is not SendOutcome.ACCEPTED


async def test_replacement(anvil: Chain, gateway: Gateway) -> None:
    await anvil.automine(False)
    first = attempt(anvil, await nonce_of(gateway))
    assert (await gateway.send(first))[0] is SendOutcome.ACCEPTED
    nonce = await gateway.next_nonce(ME.address, pending=False)
    outcome, reason = await gateway.send(attempt(anvil, nonce, fees=FEES, value=2))
    assert (outcome, bool(reason)) == (SendOutcome.REFUSED, True)
    higher = bumped(FEES, 20, 10**12)
    assert higher is not None
    second = attempt(anvil, nonce, fees=higher)
    assert (await gateway.send(second))[0] is SendOutcome.ACCEPTED
    await anvil.mine()
    assert await gateway.mined(first.hash) is None
    assert await soon(gateway, second.hash) is not None


async def test_reply_lost(anvil: Chain, proxy: FaultProxy, through: Gateway) -> None:
    sent = attempt(anvil, await nonce_of(through))
    proxy.on("eth_sendRawTransaction", faults.lose_reply, times=1)
    assert await through.send(sent) == (SendOutcome.ACCEPTED, None)
    assert proxy.calls["eth_sendRawTransaction"] == 1
    assert await soon(through, sent.hash) is not None


async def test_request_lost(anvil: Chain, proxy: FaultProxy, through: Gateway) -> None:
    sent = attempt(anvil, await nonce_of(through))
    proxy.on("eth_sendRawTransaction", faults.lose_request, times=1)
    outcome, reason = await through.send(sent)
    assert (outcome, bool(reason)) == (SendOutcome.UNKNOWN, True)
    assert await through.mined(sent.hash) is None
    assert (await through.send(sent))[0] is SendOutcome.ACCEPTED


@pytest.mark.parametrize(
    "fault",
    [
        faults.http_status(429),
        faults.http_status(503),
        faults.delay(0.8),
        faults.lose_request,
        faults.refuse(-32000, "txpool is full"),
        faults.refuse(-32603, "something internal"),
    ],
)
async def test_nobody_knows(
    anvil: Chain, proxy: FaultProxy, through: Gateway, fault: faults.Fault
) -> None:
    sent = attempt(anvil, await nonce_of(through))
    proxy.on(EVERY, fault)
    outcome, reason = await through.send(sent)
    assert (outcome, bool(reason)) == (SendOutcome.UNKNOWN, True)


async def test_refusal_that_cannot_be_looked_up_is_unknown(
    anvil: Chain, proxy: FaultProxy, through: Gateway
) -> None:
    sent = attempt(anvil, await nonce_of(through))
    await through.send(sent)
    proxy.on("eth_getTransactionByHash", faults.http_status(503))
    outcome, reason = await through.send(sent)
    assert outcome is SendOutcome.UNKNOWN
    assert reason is not None
    assert "cannot be looked up" in reason


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("already known", SendOutcome.ACCEPTED),
        ("ALREADY_EXISTS: already known", SendOutcome.ACCEPTED),
        ("known transaction: 0xab", SendOutcome.ACCEPTED),
        ("nonce too low: next nonce 5, tx nonce 4", SendOutcome.REFUSED),
        ("replacement transaction underpriced", SendOutcome.REFUSED),
        ("transaction underpriced: gas tip cap 1, minimum needed 2", SendOutcome.REFUSED),
        ("max fee per gas less than block base fee: address 0x", SendOutcome.REFUSED),
        ("insufficient funds for gas * price + value", SendOutcome.UNFUNDED),
        ("intrinsic gas too low", SendOutcome.HOPELESS),
        ("exceeds block gas limit", SendOutcome.HOPELESS),
        ("invalid sender", SendOutcome.HOPELESS),
        ("nonce too high", SendOutcome.UNKNOWN),
        ("txpool is full", SendOutcome.UNKNOWN),
        ("in-flight transaction limit reached", SendOutcome.UNKNOWN),
    ],
)
async def test_words_of_other_nodes(
    anvil: Chain, proxy: FaultProxy, through: Gateway, message: str, outcome: SendOutcome
) -> None:
    proxy.on("eth_sendRawTransaction", faults.refuse(-32000, message))
    assert (await through.send(attempt(anvil, await nonce_of(through))))[0] is outcome


async def test_an_answer_undone_by_a_reorg_is_not_mined(anvil: Chain, gateway: Gateway) -> None:
    sent = attempt(anvil, await nonce_of(gateway))
    await gateway.send(sent)
    assert await soon(gateway, sent.hash) is not None
    await anvil.reorg(1)
    assert await gateway.mined(sent.hash) is None
    assert (await gateway.send(sent))[0] is SendOutcome.ACCEPTED
    assert await soon(gateway, sent.hash) is not None


async def test_a_receipt_of_an_orphaned_block_is_not_believed(
    anvil: Chain, proxy: FaultProxy, through: Gateway
) -> None:
    sent = attempt(anvil, await nonce_of(through))
    await through.send(sent)
    assert await soon(through, sent.hash) is not None
    stale = {"blockHash": "0x" + "ab" * 32}
    proxy.on("eth_getTransactionReceipt", faults.change(lambda receipt: {**receipt, **stale}))
    assert await through.mined(sent.hash) is None


async def test_a_dropped_transaction_can_be_sent_again(anvil: Chain, gateway: Gateway) -> None:
    await anvil.automine(False)
    sent = attempt(anvil, await nonce_of(gateway))
    await gateway.send(sent)
    await anvil.drop(sent.hash)
    await anvil.mine()
    assert await gateway.mined(sent.hash) is None
    assert (await gateway.send(sent))[0] is SendOutcome.ACCEPTED
    await anvil.mine()
    assert await soon(gateway, sent.hash) is not None


async def test_fees_follow_the_base_fee(
    anvil: Chain, proxy: FaultProxy, through: Gateway, gateway: Gateway
) -> None:
    await anvil.base_fee(50 * 10**9)
    await anvil.mine()
    fees = await gateway.fees()
    assert fees.max_priority_fee >= 1
    assert fees.max_fee == 100 * 10**9 + fees.max_priority_fee
    proxy.on("eth_maxPriorityFeePerGas", faults.answer("0x0"), times=1)
    assert (await through.fees()).max_priority_fee == 1
    proxy.on("eth_maxPriorityFeePerGas", faults.refuse(-32601, "no such method"), times=1)
    assert (await through.fees()).max_priority_fee == 10**9


async def test_time_balance_and_nonce(anvil: Chain, gateway: Gateway) -> None:
    assert await gateway.chain_time() == (await anvil.head()).timestamp
    await anvil.set_balance(SINK, 5)
    assert await gateway.balance(SINK) == 5
    await anvil.automine(False)
    before = await gateway.next_nonce(ME.address, pending=False)
    await gateway.send(attempt(anvil, before))
    assert await gateway.next_nonce(ME.address, pending=False) == before
    assert await gateway.next_nonce(ME.address, pending=True) == before + 1


async def test_malformed_results_are_no_answers(proxy: FaultProxy, through: Gateway) -> None:
    nonsenses: list[object] = [[1], "one", {}, None, 7]
    for nonsense in nonsenses:
        proxy.on(EVERY, faults.answer(nonsense))
        with pytest.raises(ChainUnreachable):
            await through.balance(SINK)
        with pytest.raises(ChainUnreachable):
            await through.fees()
        with pytest.raises(ChainUnreachable):
            await through.chain_time()
        proxy.heal()


async def test_simulation_and_estimate_decode_reverts(scene: Scene) -> None:
    gateway = scene.requester.gateway
    asked = await scene.request()
    calldata = scene.answer_call(asked.request)
    for refusing in (gateway.simulate, gateway.estimate_gas):
        with pytest.raises(ContractReverted) as refused:
            await refusing(scene.signer.address, scene.contracts.oracle.address, calldata)
        assert refused.value.name == "WrongState"
        assert refused.value.arguments["requestId"] == asked.request_id
        assert refused.value.hint is not None
    await scene.accept(asked.request)
    gas = await gateway.estimate_gas(scene.signer.address, scene.contracts.oracle.address, calldata)
    assert 30_000 < gas < 200_000
