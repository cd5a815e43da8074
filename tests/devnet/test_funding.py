"""Gifts of coin and OPG: exactly as much as asked for, and on a local devnet only."""

from __future__ import annotations

import pytest

from oracle.chain.contracts import Contracts
from oracle.chain.rpc import Rpc
from oracle.core.types import Address
from oracle.devnet.funding import Balances, give, require_local
from oracle.errors import ChainRefused, ConfigurationError, InputError
from tests.support.anvil import Chain
from tests.support.fault_proxy import answer, fault_proxy

STRANGER = Address("0x00000000000000000000000000000000000A11cE")


async def test_an_account_is_given_coin_and_tokens_and_then_more(
    anvil: Chain, contracts: Contracts
) -> None:
    both = await give(anvil.rpc, contracts.token, STRANGER, wei=5 * 10**17, opg=7 * 10**18)
    assert both == Balances(wei=5 * 10**17, opg=7 * 10**18)
    more = await give(anvil.rpc, contracts.token, STRANGER, opg=1)
    assert more == Balances(wei=5 * 10**17, opg=7 * 10**18 + 1)


async def test_nothing_and_more_than_there_is_are_refused(
    anvil: Chain, contracts: Contracts
) -> None:
    with pytest.raises(InputError, match="nothing to give"):
        await give(anvil.rpc, contracts.token, STRANGER)
    with pytest.raises(ChainRefused):
        await give(anvil.rpc, contracts.token, STRANGER, wei=10**24)
    with pytest.raises(ChainRefused, match="ERC20InsufficientBalance"):
        await give(anvil.rpc, contracts.token, STRANGER, opg=2**95)


async def test_only_a_development_node_of_this_machine_is_a_devnet(anvil: Chain) -> None:
    await require_local(anvil.rpc, [anvil.url])
    with pytest.raises(ConfigurationError, match="is not a local devnet"):
        await require_local(anvil.rpc, [anvil.url, "https://chain.example"])
    async with fault_proxy(anvil.url) as proxy:
        proxy.on("web3_clientVersion", answer("Geth/v1.16.0"))
        async with await Rpc.connect(proxy.url) as rpc:
            with pytest.raises(ConfigurationError, match="Geth") as refused:
                await require_local(rpc, [proxy.url])
    assert "oracle devnet up" in (refused.value.hint or "")
