"""A chain under test: everything a test may do to an anvil, through its own connection.

The chain of the `anvil` fixture belongs to the whole test run and is put back after each test;
one that kills, suspends or restarts asks for a chain of its own.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from oracle.chain.rpc import Rpc
from oracle.chain.sender import TransactionSender
from oracle.chain.wire import quantity, to_bytes, to_hex, to_int
from oracle.core.event import BlockRef
from oracle.core.types import Address
from oracle.devnet.accounts import signer_of
from oracle.devnet.anvil import Anvil, AnvilOptions


def random_chain_id() -> int:
    """A chain id that no other test run on this machine is likely to have."""
    return random.randrange(1_000_000, 2_000_000_000)


class Chain:
    """One anvil and a connection to it."""

    def __init__(self, anvil: Anvil, rpc: Rpc, log_file: Path) -> None:
        self.anvil = anvil
        self.rpc = rpc
        self._log_file = log_file

    @property
    def url(self) -> str:
        return self.anvil.url

    @property
    def chain_id(self) -> int:
        return self.anvil.options.chain_id

    def sender(self, index: int) -> TransactionSender:
        """Sends with the key of one of anvil's accounts."""
        return TransactionSender(self.rpc, signer_of(index))

    async def head(self) -> BlockRef:
        return await self.rpc.latest()

    async def time(self) -> int:
        """Timestamp of the head."""
        return (await self.head()).timestamp

    # ---- time and blocks

    async def mine(self, count: int = 1, *, seconds_between: int | None = None) -> None:
        interval = [] if seconds_between is None else [quantity(seconds_between)]
        await self.rpc.request("anvil_mine", [quantity(count), *interval])

    async def increase_time(self, seconds: int) -> None:
        """Moves the clock on and mines a block, whose time is the new one."""
        await self.rpc.request("evm_increaseTime", [quantity(seconds)])
        await self.mine()

    async def travel_past(self, timestamp: int) -> None:
        """Mines a block whose time is after `timestamp`, unless one is there."""
        missing = timestamp + 1 - await self.time()
        if missing > 0:
            await self.rpc.request("evm_setNextBlockTimestamp", [quantity(timestamp + 1)])
            await self.mine()

    async def automine(self, on: bool) -> None:
        await self.rpc.request("evm_setAutomine", [on])

    async def base_fee(self, wei: int) -> None:
        """Sets the next block's base fee."""
        await self.rpc.request("anvil_setNextBlockBaseFeePerGas", [quantity(wei)])

    # ---- forks and undoing

    async def snapshot(self) -> str:
        return str(await self.rpc.request("evm_snapshot"))

    async def revert(self, snapshot: str) -> None:
        """Back to a snapshot, which is used up. The next base fee, which anvil forgets, as well."""
        assert await self.rpc.request("evm_revert", [snapshot]) is True
        head = await self.rpc.request("eth_getBlockByNumber", ["latest", False])
        await self.base_fee(to_int(head["baseFeePerGas"]))

    async def reorg(self, depth: int, replaced: Sequence[tuple[bytes, int]] = ()) -> None:
        """Replaces the last `depth` blocks; raw transactions are put into them by offset."""
        pairs = [[to_hex(raw), offset] for raw, offset in replaced]
        await self.rpc.request("anvil_reorg", [depth, pairs])

    async def raw_transaction(self, transaction_hash: bytes) -> bytes:
        """A transaction's bytes as they were sent, to be put into another fork."""
        return to_bytes(
            await self.rpc.request("eth_getRawTransactionByHash", [to_hex(transaction_hash)])
        )

    # ---- accounts and the pool

    async def set_balance(self, account: Address, wei: int) -> None:
        await self.rpc.request("anvil_setBalance", [account, quantity(wei)])

    async def set_nonce(self, account: Address, nonce: int) -> None:
        await self.rpc.request("anvil_setNonce", [account, quantity(nonce)])

    async def set_code(self, account: Address, code: bytes) -> None:
        await self.rpc.request("anvil_setCode", [account, to_hex(code)])

    async def drop(self, transaction_hash: bytes) -> None:
        """Drops a pending transaction from the pool."""
        await self.rpc.request("anvil_dropTransaction", [to_hex(transaction_hash)])

    async def pool(self) -> dict[str, Any]:
        content: dict[str, Any] = await self.rpc.request("txpool_content")
        return content

    # ---- the process

    def kill(self) -> None:
        self.anvil.kill()

    def suspend(self) -> None:
        """The node hangs: connections stay open and nothing is answered."""
        self.anvil.suspend()

    def resume(self) -> None:
        self.anvil.resume()

    def restart(self) -> None:
        """A new process on the same port; the same chain only where there is a state file."""
        options = self.anvil.options
        self.anvil.stop()
        self.anvil = Anvil.start(
            AnvilOptions(
                chain_id=options.chain_id,
                port=self.anvil.port,
                block_seconds=options.block_seconds,
                state_file=options.state_file,
                gas_limit=options.gas_limit,
                accounts=options.accounts,
                slots_in_an_epoch=options.slots_in_an_epoch,
            ),
            self._log_file,
        )


@asynccontextmanager
async def own_chain(folder: Path, options: AnvilOptions | None = None) -> AsyncIterator[Chain]:
    """A chain that a test may do anything to; ended with the context."""
    log_file = folder / "anvil.log"
    anvil = Anvil.start(options or AnvilOptions(chain_id=random_chain_id()), log_file)
    try:
        async with await Rpc.connect(anvil.url) as rpc:
            chain = Chain(anvil, rpc, log_file)
            try:
                yield chain
            finally:
                anvil = chain.anvil
    finally:
        anvil.kill()
