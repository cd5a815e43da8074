"""One process at a time sends for a key, and a nonce that was taken all the same is not fatal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from oracle.chain.rpc import Rpc
from oracle.chain.sender import TransactionSender
from oracle.chain.turn import turn
from oracle.core.signing import signed_transaction
from oracle.core.transaction import Call, Fees
from oracle.core.types import address
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import ChainRefused, ChainUnreachable, ConfigurationError
from tests.support import fault_proxy as faults
from tests.support.anvil import Chain
from tests.support.fault_proxy import fault_proxy
from tests.support.world import PATIENCE_SECONDS, until

KEY = address("0x" + "ab" * 20)
SINK = address("0x" + "5b" * 20)

HOLDS = """
import asyncio, sys
from oracle.chain.turn import turn
async def main():
    async with turn(7, sys.argv[1], "nonce"):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _own_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


async def test_another_process_holds_the_turn_until_it_dies() -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDS, KEY, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        assert await other.stdout.readline() == b"held\n"
        with pytest.raises(ChainUnreachable, match=f"sending for {KEY}"):
            async with turn(7, KEY, "nonce", wait_seconds=0.1):
                pass
        for free in ((8, "nonce"), (7, "allowance")):
            async with turn(free[0], KEY, free[1], wait_seconds=0.1):
                pass
    finally:
        other.kill()
        await other.wait()
    async with turn(7, KEY, "nonce", wait_seconds=5):
        pass


async def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    async with turn(7, KEY, "nonce"):
        folder = _locks(tmp_path)
    assert folder.stat().st_mode & 0o077 == 0
    (folder / f"7-{KEY}-nonce.lock").unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="somebody else's") as refused:
        async with turn(7, KEY, "nonce"):
            pass
    assert refused.value.hint is not None
    assert "TMPDIR" in refused.value.hint


async def test_several_senders_of_one_key_take_one_nonce_each(anvil: Chain) -> None:
    await anvil.automine(False)
    senders = [anvil.sender(Person.RELAYER) for _ in range(4)]
    before = await senders[0].gateway.next_nonce(senders[0].address, pending=True)
    sending = [asyncio.create_task(one.send(SINK, value=1)) for one in senders]
    while await senders[0].gateway.next_nonce(senders[0].address, pending=True) < before + 4:  # noqa: ASYNC110 - a chain sets no event
        await asyncio.sleep(0.02)  # all of them wait in the pool, and none replaced another
    await anvil.mine()
    await asyncio.gather(*sending)
    assert await senders[0].gateway.balance(SINK) == 4


@pytest.mark.parametrize("mined", [True, False])
async def test_a_nonce_that_was_taken_elsewhere_is_not_used_again(
    anvil: Chain, mined: bool
) -> None:
    """Another machine's transaction: "nonce too low" when mined, else "underpriced"."""
    relayer = anvil.sender(Person.RELAYER)
    nonce = await relayer.gateway.next_nonce(relayer.address, pending=True)
    await anvil.automine(mined)
    await _send_raw(anvil, nonce, await relayer.gateway.fees())
    async with fault_proxy(anvil.url) as proxy, await Rpc.connect(proxy.url) as rpc:
        proxy.on("eth_getTransactionCount", faults.answer(hex(nonce)), times=1)  # it lags behind
        late = TransactionSender(rpc, relayer.signer)
        sending = asyncio.create_task(late.send(SINK, value=2))

        async def both_wait() -> bool:
            return await relayer.gateway.next_nonce(relayer.address, pending=True) == nonce + 2

        if not mined:
            await until(both_wait)
            await anvil.mine()
        assert (await sending).mined.succeeded
    assert await relayer.gateway.balance(SINK) == 3


async def test_a_transaction_that_was_replaced_is_not_waited_for(anvil: Chain) -> None:
    await anvil.automine(False)
    relayer = TransactionSender(anvil.rpc, signer_of(Person.RELAYER), wait_seconds=60)
    nonce = await relayer.gateway.next_nonce(relayer.address, pending=True)
    sending = asyncio.create_task(relayer.send(SINK, value=2))
    while await relayer.gateway.next_nonce(relayer.address, pending=True) == nonce:  # noqa: ASYNC110 - a chain sets no event
        await asyncio.sleep(0.02)
    fees = await relayer.gateway.fees()
    await _send_raw(anvil, nonce, Fees(3 * fees.max_fee, 3 * fees.max_priority_fee))
    await anvil.mine()
    with pytest.raises(ChainRefused, match=f"took nonce {nonce}"):
        await asyncio.wait_for(sending, PATIENCE_SECONDS)
    assert await relayer.gateway.balance(SINK) == 1


def _locks(inside: Path) -> Path:
    (folder,) = inside.glob("oracle-turns-*")
    return folder


async def _send_raw(anvil: Chain, nonce: int, fees: Fees) -> None:
    """One wei, by somebody who knows nothing of turns."""
    _, raw = await signed_transaction(
        signer_of(Person.RELAYER),
        chain_id=anvil.chain_id,
        nonce=nonce,
        call=Call(SINK, b"", 21_000),
        fees=fees,
        value=1,
    )
    await anvil.rpc.request("eth_sendRawTransaction", ["0x" + raw.hex()])
