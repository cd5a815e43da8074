"""Coin and OPG from the devnet's treasurer, on a development chain of this machine only.

Responsible for refusing every other chain, whatever settings name: the treasurer's key is public,
and what is promised there would never arrive. Knows nothing of settings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from oracle.chain.gateway import Gateway
from oracle.chain.rpc import Rpc
from oracle.chain.sender import TransactionSender
from oracle.chain.token_contract import TokenBinding
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.locality import stranger
from oracle.errors import ConfigurationError, InputError


@dataclass(frozen=True, slots=True)
class Balances:
    """What an account holds: coin in wei, OPG in base units."""

    wei: int
    opg: int


async def require_local(rpc: Rpc, urls: Iterable[str]) -> None:
    """Raises ConfigurationError unless all endpoints are here and the node is a development one."""
    if (found := await stranger(rpc, urls)) is not None:
        raise ConfigurationError(
            f"{rpc.endpoint} is not a local devnet: its node says {found!r}",
            hint="start one with `oracle devnet up`; on any other chain, have somebody send you "
            "coin and OPG",
        )


async def give(
    rpc: Rpc, token: TokenBinding, account: Address, *, wei: int = 0, opg: int = 0
) -> Balances:
    """Sends so much wei and so many base units of OPG to an account; what it holds then.

    The chain must be one that `require_local` lets through.

    Raises:
        InputError: there is nothing to give.
        ChainRefused: the treasurer has not as much.
    """
    if wei == 0 and opg == 0:
        raise InputError("there is nothing to give", hint="give --coin, --opg or both an amount")
    treasurer = TransactionSender(rpc, signer_of(Person.DEPLOYER))
    if wei:
        await treasurer.send(account, value=wei)
    if opg:
        await treasurer.send(token.address, token.transfer_data(account, opg))
    return Balances(await Gateway(rpc).balance(account), await token.balance_of(account))
