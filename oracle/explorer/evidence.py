"""What only the transactions themselves say: the proof that convicted, and the gas that each used.

Asked of the chain when a page needs it, kept a while, and left out where the chain does not answer
in time. The index has everything else.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from oracle.chain.gateway import Gateway
from oracle.chain.proof_decoder import (
    ShownElement,
    ShownEmpty,
    ShownMessage,
    proof_of_call,
)
from oracle.chain.rpc import Rpc
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.chronicle import Entry, EntryKind
from oracle.court.proof import FraudKind
from oracle.errors import ChainUnreachable, InputError
from oracle.explorer.judged import Judged, judged

_PATIENCE_SECONDS: Final = 3.0
_KEPT: Final = 4_096
_KEPT_PROOFS: Final = 128
_AT_ONCE: Final = 4

_SENTENCES: Final = {
    FraudKind.INPUT: "The signed trace begins with another input than the request's.",
    FraudKind.OUTPUT: "The result is not what the signed trace ends with.",
    FraudKind.ROWS: "The signed trace is of another number of rows than the input has.",
    FraudKind.EMPTY: "The result is empty, though the signed trace has outputs that fit.",
}


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof showed: an element that can be drawn, or a sentence."""

    element: Judged | None
    sentence: str


class Transactions(Protocol):
    """What pages ask of transactions; `Evidence` answers from the chain."""

    async def gas(self, hashes: Sequence[bytes]) -> Mapping[bytes, int]: ...
    async def proven(self, entries: Sequence[Entry]) -> Proven | None: ...


class Evidence:
    """Reads transactions of one chain."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._gateway = Gateway(rpc)
        self._gas: OrderedDict[bytes, int] = OrderedDict()
        self._proofs: OrderedDict[bytes, Proven] = OrderedDict()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def gas(self, hashes: Sequence[bytes]) -> Mapping[bytes, int]:
        """What transactions used, of those that the chain tells in time."""
        wanted = [one for one in dict.fromkeys(hashes) if one not in self._gas][:32]
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await asyncio.gather(*(self._read_gas(one) for one in wanted))
        except (TimeoutError, ChainUnreachable):
            pass
        return {one: self._gas[one] for one in hashes if one in self._gas}

    async def proven(self, entries: Sequence[Entry]) -> Proven | None:
        """What convicted, where it was a proof; None where it was not, or cannot be had now."""
        proven = [one for one in entries if one.kind is EntryKind.FRAUD_PROVEN]
        if not proven:
            return None
        hash_ = proven[-1].transaction_hash
        if hash_ not in self._proofs:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS), self._turn:
                    found = await self._rpc.request("eth_getTransactionByHash", [to_hex(hash_)])
                    calldata = to_bytes(found["input"])
            except (TimeoutError, ChainUnreachable, KeyError, TypeError, ValueError):
                return None
            self._proofs[hash_] = await asyncio.to_thread(_proven, calldata)
            while len(self._proofs) > _KEPT_PROOFS:
                self._proofs.popitem(last=False)
        return self._proofs[hash_]

    async def _read_gas(self, hash_: bytes) -> None:
        async with self._turn:
            mined = await self._gateway.mined(hash_)
        if mined is not None:
            self._gas[hash_] = mined.gas_used
            while len(self._gas) > _KEPT:
                self._gas.popitem(last=False)


def _proven(calldata: bytes) -> Proven:
    try:
        shown = proof_of_call(calldata)
        if isinstance(shown, ShownElement):
            return Proven(judged(shown), "")
    except InputError as error:
        return Proven(None, error.message)
    match shown:
        case ShownMessage():
            return Proven(None, _SENTENCES[shown.kind])
        case ShownEmpty():
            return Proven(None, _SENTENCES[FraudKind.EMPTY])
        case _:
            return Proven(None, "The proof was sent by another contract and is not shown here.")
