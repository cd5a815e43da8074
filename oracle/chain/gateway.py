"""Transactions out, and what became of them.

Implements `ports.TransactionGateway`. Responsible for telling the three outcomes of a send apart:
the node took it, the node refused it for good, or nobody knows. Keeps nothing; whoever sends has
saved the attempt first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from oracle.chain.binding import call
from oracle.chain.revert import revert_of
from oracle.chain.rpc import Rpc, RpcRefusal
from oracle.chain.wire import RawLog, quantity, to_address, to_bytes, to_hex, to_int
from oracle.core.transaction import Attempt, Call, Fees, Mined, SendOutcome
from oracle.core.types import Address
from oracle.errors import ChainUnreachable

FALLBACK_PRIORITY_FEE_WEI: Final = 1_000_000_000

_NONCE_USED = re.compile(r"nonce (is )?too low|nonce has already been used|OldNonce", re.IGNORECASE)
_HOPELESS = re.compile(
    r"intrinsic gas|exceeds (the )?block('s)? gas limit|gas (limit )?(too high|exceeds)"
    r"|exceeds the configured cap|invalid (sender|signature)|chain ?id|typed transaction|rlp"
    r"|oversized data|code size",
    re.IGNORECASE,
)
_UNFUNDED = re.compile(r"insufficient (funds|balance)", re.IGNORECASE)
_REFUSED = re.compile(
    r"underpriced|fee (cap )?(too low|less than)"
    r"|less than block base fee|below (the )?(minimum|base fee)|fee (too high|exceeds)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction: where and how, its raw logs, and the contract it created, if any."""

    mined: Mined
    logs: tuple[RawLog, ...]
    created: Address | None


class Gateway:
    """Sends and asks through one connection."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def chain_time(self) -> int:
        return (await self._rpc.latest()).timestamp

    async def balance(self, account: Address) -> int:
        return await self._rpc.request_as(to_int, "eth_getBalance", [account, "latest"])

    async def next_nonce(self, sender: Address, *, pending: bool) -> int:
        tag = "pending" if pending else "latest"
        return await self._rpc.request_as(to_int, "eth_getTransactionCount", [sender, tag])

    async def fees(self) -> Fees:
        """Twice the base fee of the latest block, plus what the node suggests as a priority fee.

        Twice, so that an attempt outlives six full blocks in a row.
        """
        base_fee, suggested = await asyncio.gather(
            self._rpc.request_as(_base_fee, "eth_getBlockByNumber", ["latest", False]),
            self._priority_fee(),
        )
        priority = max(1, suggested)
        return Fees(max_fee=2 * base_fee + priority, max_priority_fee=priority)

    async def _priority_fee(self) -> int:
        try:
            return await self._rpc.request_as(to_int, "eth_maxPriorityFeePerGas")
        except RpcRefusal:
            return FALLBACK_PRIORITY_FEE_WEI

    async def simulate(self, sender: Address, to: Address, data: bytes) -> bytes:
        return await call(self._rpc, to, data, sender=sender, block="pending")

    async def estimate_gas(
        self, sender: Address, to: Address | None, data: bytes, *, value: int = 0
    ) -> int:
        """Gas that the call needs now. Without a destination, `data` creates a contract."""
        message: dict[str, str] = {"from": sender, "data": to_hex(data)}
        if to is not None:
            message["to"] = to
        if value:
            message["value"] = quantity(value)
        try:
            return await self._rpc.request_as(to_int, "eth_estimateGas", [message])
        except RpcRefusal as refusal:
            reverted = revert_of(refusal)
            if reverted is None:
                raise
            raise reverted from refusal

    async def send(self, attempt: Attempt) -> tuple[SendOutcome, str | None]:
        """Sends raw bytes; never raises. A reason comes with all but ACCEPTED."""
        try:
            await self._rpc.send(attempt.raw)
        except RpcRefusal as refusal:
            return await self._after_refusal(attempt, refusal)
        except ChainUnreachable as failure:
            if await self._holds(attempt.hash):
                return SendOutcome.ACCEPTED, None
            return SendOutcome.UNKNOWN, failure.message
        return SendOutcome.ACCEPTED, None

    async def _after_refusal(
        self, attempt: Attempt, refusal: RpcRefusal
    ) -> tuple[SendOutcome, str | None]:
        """A refused transaction may be there all the same: an earlier reply of its may be lost."""
        held = await self._holds(attempt.hash)
        if held:
            return SendOutcome.ACCEPTED, None
        if held is None:
            return SendOutcome.UNKNOWN, f"{refusal.reason}; the transaction cannot be looked up"
        if _NONCE_USED.search(refusal.reason):
            return SendOutcome.REFUSED, f"{refusal.reason}: another transaction took the nonce"
        if _HOPELESS.search(refusal.reason):
            return SendOutcome.HOPELESS, refusal.reason
        if _UNFUNDED.search(refusal.reason):
            return SendOutcome.UNFUNDED, refusal.reason
        if _REFUSED.search(refusal.reason):
            return SendOutcome.REFUSED, refusal.reason
        return SendOutcome.UNKNOWN, refusal.reason

    async def _holds(self, transaction_hash: bytes) -> bool | None:
        """Whether the node has the transaction, pending or mined; None where it does not say."""
        try:
            found = await self._rpc.request("eth_getTransactionByHash", [to_hex(transaction_hash)])
        except ChainUnreachable:
            return None
        return found is not None

    async def mined(self, attempt_hash: bytes) -> Mined | None:
        """How a transaction was mined on the canonical chain, or None where it is not."""
        receipt = await self.receipt(attempt_hash)
        return None if receipt is None else receipt.mined

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The node's receipt, if its block is canonical."""
        return await self._rpc.on_one_endpoint(lambda: self._receipt(transaction_hash))

    async def _receipt(self, transaction_hash: bytes) -> Receipt | None:
        receipt = await self._rpc.request_as(
            _receipt_or_none, "eth_getTransactionReceipt", [to_hex(transaction_hash)]
        )
        if receipt is None:
            return None
        block = await self._rpc.block(receipt.mined.block_number)
        return receipt if block and block.hash == receipt.mined.block_hash else None

    async def replay(self, sender: Address, call: Call, *, block: int) -> None:
        """Repeats a mined call with its own gas limit. Raises ContractReverted where it reverts."""
        message = {
            "from": sender,
            "to": call.to,
            "data": to_hex(call.data),
            "gas": quantity(call.gas),
        }
        try:
            await self._rpc.request("eth_call", [message, quantity(block)])
        except RpcRefusal as refusal:
            reverted = revert_of(refusal)
            if reverted is not None:
                raise reverted from refusal


def _base_fee(head: Mapping[str, Any]) -> int:
    """Zero on a chain without base fees."""
    return to_int(head.get("baseFeePerGas", "0x0"))


def _receipt_or_none(raw: Mapping[str, Any] | None) -> Receipt | None:
    """Some nodes answer with a receipt of nulls while a transaction is pending."""
    if raw is None or raw.get("blockHash") is None:
        return None
    created = raw.get("contractAddress")
    mined = Mined(
        attempt_hash=to_bytes(raw["transactionHash"]),
        block_number=to_int(raw["blockNumber"]),
        block_hash=to_bytes(raw["blockHash"]),
        succeeded=to_int(raw["status"]) == 1,
        gas_used=to_int(raw["gasUsed"]),
        gas_price=to_int(raw["effectiveGasPrice"]),
    )
    return Receipt(mined, tuple(raw["logs"]), to_address(to_bytes(created)) if created else None)
