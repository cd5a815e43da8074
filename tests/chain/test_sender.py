"""Sending and waiting, as the command line and clients do."""

from __future__ import annotations

import asyncio

import pytest

from oracle.chain.rpc import Rpc
from oracle.chain.sender import TransactionSender
from oracle.core.types import address
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import ChainRefused, ChainUnreachable, ContractReverted
from tests.support import fault_proxy as faults
from tests.support.anvil import Chain
from tests.support.fault_proxy import fault_proxy
from tests.support.scene import INPUT, Scene, seen

SINK = address("0x" + "5a" * 20)


async def test_value_arrives(anvil: Chain) -> None:
    sent = await anvil.sender(Person.RELAYER).send(SINK, value=7)
    assert sent.mined.succeeded
    assert sent.hash == sent.mined.attempt_hash
    assert await anvil.sender(0).gateway.balance(SINK) == 7


async def test_many_at_once_take_one_nonce_each(anvil: Chain) -> None:
    sender = anvil.sender(Person.RELAYER)
    before = await sender.gateway.next_nonce(sender.address, pending=True)
    await asyncio.gather(*(sender.send(SINK, value=1) for _ in range(10)))
    assert await sender.gateway.next_nonce(sender.address, pending=False) == before + 10
    assert await sender.gateway.balance(SINK) == 10


async def test_reverted_on_chain_is_explained(scene: Scene) -> None:
    asked = await scene.request()
    with pytest.raises(ContractReverted) as refused:
        # With its own gas limit nothing is estimated, so the revert is mined.
        await scene.signer.send(
            scene.contracts.oracle.address, scene.answer_call(asked.request), gas=300_000
        )
    assert refused.value.name == "WrongState"
    assert refused.value.arguments["actual"] == "Requested"


async def test_out_of_gas_is_not_called_success(scene: Scene) -> None:
    asked = await scene.request()
    await scene.accept(asked.request)
    with pytest.raises(ContractReverted) as refused:
        await scene.signer.send(
            scene.contracts.oracle.address, scene.answer_call(asked.request), gas=40_000
        )
    assert refused.value.name == "unknown"


async def test_no_money_for_gas(anvil: Chain) -> None:
    pauper = TransactionSender(anvil.rpc, signer_of(19))
    await anvil.set_balance(pauper.address, 1_000)
    with pytest.raises(ChainRefused, match=r"(?i)insufficient funds") as refused:
        await pauper.send(SINK, gas=21_000)
    assert refused.value.hint is not None
    assert f"send {pauper.address} coin for gas: it holds 0.000000000000001" in refused.value.hint
    assert f"oracle devnet fund {pauper.address}" in refused.value.hint


async def test_not_mined_in_time(anvil: Chain) -> None:
    await anvil.automine(False)
    hasty = TransactionSender(anvil.rpc, signer_of(Person.RELAYER), wait_seconds=0.1)
    with pytest.raises(ChainUnreachable, match=r"not mined within 0\.1 s"):
        await hasty.send(SINK, value=1)


async def test_lost_replies_do_no_harm(scene: Scene) -> None:
    async with fault_proxy(scene.chain.url) as proxy, await Rpc.connect(proxy.url) as rpc:
        requester = TransactionSender(rpc, scene.requester.signer)
        proxy.on("eth_sendRawTransaction", faults.lose_reply, times=1)
        proxy.on("eth_getTransactionReceipt", faults.http_status(503), times=3)
        oracle = scene.contracts.oracle
        calldata = oracle.request_data(await scene.params(), INPUT)
        asked = seen(await requester.send(oracle.address, calldata))
        assert (await oracle.account(requester.address)).nonce == asked.request.nonce + 1
        assert proxy.calls["eth_sendRawTransaction"] == 1
