"""What every contract binding is made of: an ABI at an address, calls and calldata.

Responsible for decoding results and reverts of calls. Knows no contract in particular.
"""

from __future__ import annotations

from typing import Any

from oracle.chain import abi
from oracle.chain.coder import UnreadableData
from oracle.chain.revert import revert_of
from oracle.chain.rpc import Rpc, RpcRefusal
from oracle.core.types import Address
from oracle.errors import ChainUnreachable


class Binding:
    """One contract on one chain."""

    def __init__(self, rpc: Rpc, contract_name: str, address: Address) -> None:
        self._rpc = rpc
        self._address = address
        self.abi = abi.load(contract_name)

    @property
    def address(self) -> Address:
        return self._address

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address})"

    def encode(self, function: str, *arguments: object) -> bytes:
        """Calldata for a function; structs are given as sequences in ABI order."""
        return self.abi.functions[function].encode(*arguments)

    async def view(self, function: str, *arguments: object, block: int | str = "latest") -> Any:
        """Calls a view. One result comes bare, several come as a tuple.

        Raises:
            ContractReverted: the view refused.
            ChainUnreachable: no answer, or one that is no result of this function.
        """
        declared = self.abi.functions[function]
        returned = await call(self._rpc, self._address, declared.encode(*arguments), block=block)
        try:
            results = declared.decode(returned)
        except UnreadableData as error:
            raise ChainUnreachable(
                f"{function} at {self._address} returned something else: {error}",
                hint="check the address in the deployment file; is there a contract at it?",
            ) from error
        return results[0] if len(results) == 1 else results


async def call(
    rpc: Rpc,
    to: Address,
    calldata: bytes,
    *,
    sender: Address | None = None,
    block: int | str = "latest",
) -> bytes:
    """An eth_call's return data. Raises ContractReverted where it reverts."""
    try:
        return await rpc.call(to, calldata, sender=sender, block=block)
    except RpcRefusal as refusal:
        reverted = revert_of(refusal)
        if reverted is None:
            raise
        raise reverted from refusal
