"""A pool as public chains have one, as faults of `FaultProxy`: anvil's own is kinder than any.

Sends below a floor are refused, or held and never mined; a replacement must raise both fees by ten
per cent; nothing is evicted. Knows nothing of blocks: what passes goes to the node behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from tests.support.fault_proxy import Document, FaultProxy, Forward


@dataclass(frozen=True, slots=True)
class Offered:
    """One raw transaction as it was sent."""

    raw: str
    hash: str
    sender: str
    nonce: int
    max_fee: int
    max_priority_fee: int

    @classmethod
    def of(cls, raw: str) -> Offered:
        values: dict[str, Any] = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        return cls(
            raw=raw,
            hash="0x" + keccak(hexstr=raw).hex(),
            sender=Account.recover_transaction(raw).lower(),
            nonce=values["nonce"],
            max_fee=values["maxFeePerGas"],
            max_priority_fee=values["maxPriorityFeePerGas"],
        )

    def replaces(self, other: Offered) -> bool:
        """Whether nodes would take it in the other's place."""
        return (
            10 * self.max_fee >= 11 * other.max_fee
            and 10 * self.max_priority_fee >= 11 * other.max_priority_fee
        )


class FeeMarket:
    """The pool in front of a node.

    Attributes:
        floor_wei: smallest `max_fee` that is passed on.
        hold: what is below the floor is kept, instead of refused.
        offered: every send, in order.
        held: what is kept, by hash.
        refused: what was told to senders.
    """

    def __init__(self, proxy: FaultProxy, *, floor_wei: int = 0, hold: bool = False) -> None:
        self.floor_wei = floor_wei
        self.hold = hold
        self.offered: list[Offered] = []
        self.held: dict[str, Offered] = {}
        self.refused: list[str] = []
        self._best: dict[tuple[str, int], Offered] = {}
        self._proxy = proxy
        proxy.on("eth_sendRawTransaction", self._send)
        proxy.on("eth_getTransactionByHash", self._look_up)
        proxy.on("eth_getTransactionCount", self._count)

    async def fall(self, floor_wei: int = 0) -> None:
        """Lets the floor fall, and passes on what it held."""
        self.floor_wei = floor_wei
        for one in list(self.held.values()):
            if one.max_fee >= floor_wei:
                del self.held[one.hash]
                await self._proxy.forward(
                    {
                        "jsonrpc": "2.0",
                        "id": 1,
                        "method": "eth_sendRawTransaction",
                        "params": [one.raw],
                    }
                )

    async def _send(self, asked: Document, forward: Forward) -> Document:
        one = Offered.of(asked["params"][0])
        self.offered.append(one)
        known = self._best.get((one.sender, one.nonce))
        if known is not None and known.hash == one.hash:
            return self._refuse("already known") if one.hash in self.held else await forward(asked)
        if known is not None and not one.replaces(known):
            return self._refuse("replacement transaction underpriced")
        if one.max_fee < self.floor_wei:
            if not self.hold:
                return self._refuse("transaction underpriced")
            self._keep(one)
            return {"result": one.hash}
        given = await forward(asked)
        if "result" in given:
            self._keep(one)
            del self.held[one.hash]
        return given

    def _keep(self, one: Offered) -> None:
        before = self._best.get((one.sender, one.nonce))
        if before is not None:
            self.held.pop(before.hash, None)
        self._best[one.sender, one.nonce] = one
        self.held[one.hash] = one

    def _refuse(self, words: str) -> Document:
        self.refused.append(words)
        return {"error": {"code": -32000, "message": words}}

    async def _look_up(self, asked: Document, forward: Forward) -> Document:
        found = self.held.get(asked["params"][0])
        return (
            {"result": {"hash": found.hash, "blockNumber": None}}
            if found
            else (await forward(asked))
        )

    async def _count(self, asked: Document, forward: Forward) -> Document:
        given = await forward(asked)
        sender, block = asked["params"]
        if block != "pending" or "result" not in given:
            return given
        count = int(given["result"], 16)
        waiting = {one.nonce for one in self.held.values() if one.sender == sender.lower()}
        while count in waiting:
            count += 1
        return {"result": hex(count)}
