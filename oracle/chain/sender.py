"""Send one transaction and wait for it: for the command line, clients and devnets.

Responsible for gas, fees, the nonce, and an error that says why a transaction failed. It keeps
nothing on disk, so a process that dies while it waits does not know what became of its transaction:
the worker has its own, durable way.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from oracle.chain.codec import decode_logs
from oracle.chain.gateway import Gateway, Receipt
from oracle.chain.keystore import LocalSigner
from oracle.chain.rpc import Rpc
from oracle.chain.turn import turn
from oracle.chain.wire import RawLog
from oracle.core.event import ChainEvent
from oracle.core.signing import signed_creation, signed_transaction
from oracle.core.transaction import NOT_TAKEN, Attempt, Call, Fees, Mined
from oracle.core.types import Address, format_wad
from oracle.errors import ChainRefused, ChainUnreachable, ContractReverted

GAS_MARGIN_PERCENT: Final = 20
"""Estimates are of the present state; another transaction may come first."""

WAIT_SECONDS: Final = 120.0
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0

_TRIES = 5
_NONCE_TAKEN = re.compile(r"took the nonce|replacement .*underpriced", re.IGNORECASE)
"""The first is the gateway's word for every node's "nonce too low"."""

Sign: TypeAlias = Callable[[int, Fees], Awaitable[tuple[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that was mined and succeeded."""

    mined: Mined
    logs: tuple[RawLog, ...]
    created: Address | None

    @property
    def hash(self) -> bytes:
        return self.mined.attempt_hash

    def __repr__(self) -> str:
        return f"Sent(0x{self.hash.hex()}, block {self.mined.block_number})"

    @property
    def events(self) -> tuple[ChainEvent, ...]:
        """What the oracle said in it."""
        return decode_logs(self.logs)


@dataclass(frozen=True, slots=True)
class _Submitted:
    hash: bytes
    nonce: int


class TransactionSender:
    """Sends for one key, one nonce after the other; may be used by several tasks at once."""

    def __init__(
        self, rpc: Rpc, signer: LocalSigner, *, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self.rpc = rpc
        self.signer = signer
        self.gateway = Gateway(rpc)
        self._wait_seconds = wait_seconds
        self._turn = asyncio.Lock()
        self.latest: bytes | None = None
        """Of what was handed to a node last, whether or not it was taken or mined."""

    @property
    def address(self) -> Address:
        return self.signer.address

    async def send(
        self,
        to: Address,
        data: bytes = b"",
        *,
        value: int = 0,
        gas: int | None = None,
        more: int = 0,
    ) -> Sent:
        """Sends a call and waits until it is mined.

        Args:
            gas: limit; by default an estimate and a margin.
            more: gas beyond the estimate that the call may take, of a notice say.

        Raises:
            ContractReverted: it would revert, or it did.
            ChainRefused: the node refused it.
            ChainUnreachable: nobody knows what became of it.
        """
        limit = gas or more + _with_margin(
            await self.gateway.estimate_gas(self.address, to, data, value=value)
        )
        call = Call(to, data, limit)

        async def sign(nonce: int, fees: Fees) -> tuple[bytes, bytes]:
            return await signed_transaction(
                self.signer,
                chain_id=self.rpc.chain_id,
                nonce=nonce,
                call=call,
                fees=fees,
                value=value,
            )

        sent = await self._await(await self._submit(sign, limit, value))
        if not sent.mined.succeeded:
            raise await self._why(call, sent.mined)
        return sent

    async def create(self, creation_code: bytes) -> Sent:
        """Creates a contract and waits; raises as `send` does."""
        gas = _with_margin(await self.gateway.estimate_gas(self.address, None, creation_code))

        async def sign(nonce: int, fees: Fees) -> tuple[bytes, bytes]:
            return await signed_creation(
                self.signer,
                chain_id=self.rpc.chain_id,
                nonce=nonce,
                creation_code=creation_code,
                gas=gas,
                fees=fees,
            )

        sent = await self._await(await self._submit(sign, gas))
        if not sent.mined.succeeded or sent.created is None:
            raise ContractReverted("unknown", {"transaction": sent.hash})
        return sent

    async def _submit(self, sign: Sign, gas: int, value: int = 0) -> _Submitted:
        """Signs with the next nonce and sends; with the one after where another took it first."""
        async with self._turn, turn(self.rpc.chain_id, self.address, "nonce"):
            lowest = 0
            for _ in range(_TRIES):
                nonce = await self.gateway.next_nonce(self.address, pending=True)
                # A node that lags behind the one that refused still gives the nonce that is taken.
                nonce = max(nonce, lowest)
                fees = await self.gateway.fees()
                transaction_hash, raw = await sign(nonce, fees)
                self.latest = transaction_hash
                attempt = Attempt(transaction_hash, raw, fees, time.time(), None, None)
                outcome, reason = await self.gateway.send(attempt)
                if outcome not in NOT_TAKEN:
                    return _Submitted(transaction_hash, nonce)
                if not _NONCE_TAKEN.search(reason or ""):
                    break
                lowest = nonce + 1
        most = gas * fees.max_fee + value
        raise ChainRefused(
            f"the node refused the transaction: {reason}", hint=await self._hint(reason, most)
        )

    async def _hint(self, reason: str | None, most: int) -> str | None:
        """What to do about a refusal. Args: most: wei that the transaction could have cost."""
        if reason is None:
            return None
        if _NONCE_TAKEN.search(reason):
            return "something else sends with this key at the same time: let it end, then try again"
        if "insufficient funds" not in reason.lower():
            return None
        held = await self.gateway.balance(self.address)
        return (
            f"send {self.address} coin for gas: it holds {format_wad(held)}, and this transaction "
            f"may take {format_wad(most)}; on a local devnet: oracle devnet fund {self.address}"
        )

    async def _await(self, submitted: _Submitted) -> Sent:
        transaction_hash = submitted.hash
        give_up_at = time.monotonic() + self._wait_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            receipt = await self._receipt(transaction_hash, give_up_at)
            if receipt is not None:
                return Sent(receipt.mined, receipt.logs, receipt.created)
            if time.monotonic() > give_up_at:
                raise ChainUnreachable(
                    f"transaction 0x{transaction_hash.hex()} was not mined within "
                    f"{self._wait_seconds:g} s",
                    hint="it may still be mined: look it up before sending another",
                )
            if pause == _LONGEST_PAUSE_SECONDS:
                await self._check_nonce(submitted)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)

    async def _receipt(self, transaction_hash: bytes, give_up_at: float) -> Receipt | None:
        """The receipt, or None; an endpoint that is away for a moment is waited for."""
        try:
            return await self.gateway.receipt(transaction_hash)
        except ChainUnreachable:
            if time.monotonic() > give_up_at:
                raise
            return None

    async def _check_nonce(self, submitted: _Submitted) -> None:
        """Raises ChainRefused where another transaction was mined with the nonce of this one."""
        try:
            latest = await self.gateway.next_nonce(self.address, pending=False)
            # Asked again, since it may have been mined since it was last looked for.
            if latest <= submitted.nonce or await self.gateway.receipt(submitted.hash):
                return
        except ChainUnreachable:
            return
        raise ChainRefused(
            f"another transaction of {self.address} took nonce {submitted.nonce} from "
            f"0x{submitted.hash.hex()}",
            hint="send it again, and use the key in one place at a time",
        )

    async def _why(self, call: Call, mined: Mined) -> ContractReverted:
        """Repeats a failed call on the block it failed in, and on the one before."""
        for block in (mined.block_number, mined.block_number - 1):
            try:
                await self.gateway.replay(self.address, call, block=block)
            except ContractReverted as reverted:
                return reverted
        return ContractReverted(
            "unknown",
            {"transaction": mined.attempt_hash},
            hint="it succeeds when it is repeated: another transaction came first, or gas ran out",
        )


def _with_margin(gas: int) -> int:
    return gas * (100 + GAS_MARGIN_PERCENT) // 100
