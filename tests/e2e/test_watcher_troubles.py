"""A watcher whose chain, purse or gas fails it in the middle goes on when they are back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from oracle.bootstrap.watcher import open_watcher
from oracle.core.case import CaseState
from oracle.core.request import RequestState
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import fund
from oracle.errors import StorageError
from tests.support.failures import thorough
from tests.support.fault_proxy import EVERY, fault_proxy, lose_request
from tests.support.watching import (
    WATCHER,
    announce_endpoint,
    asked,
    cheat,
    decided,
    free_port,
    policy,
    revealing,
    watcher_settings,
    watching,
)
from tests.support.world import OPG, World, until

pytestmark = pytest.mark.timeout(180)


@thorough
async def test_a_chain_that_is_silent_in_the_middle_of_a_walk_delays_it_only(court: World) -> None:
    model = await revealing(court, reveal=5)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    async with cheat(court), fault_proxy(court.chain.anvil.url) as proxy:
        made = await asked(court, model)
        settings = watcher_settings(court).model_copy(update={"rpc_url": proxy.url})
        async with open_watcher(settings, WATCHER, policy(court)) as opened:
            running = asyncio.create_task(opened.watcher.run())

            async def demanded() -> bool:
                return await court.state(made.id) is RequestState.REVEAL_PENDING

            await until(demanded)
            proxy.on(EVERY, lose_request)
            await asyncio.sleep(4)
            assert not running.done()
            proxy.heal()
            case = await decided(opened, made.id)
            opened.watcher.stop()
            await running
    assert case.state is CaseState.CONVICTED, case
    assert await court.state(made.id) is RequestState.SLASHED


@thorough
async def test_an_empty_purse_is_named_and_waited_for(court: World) -> None:
    model = await revealing(court, reveal=4)
    await announce_endpoint(court, f"http://127.0.0.1:{free_port()}")
    token, treasurer = court.contracts.token, court.chain.sender(Person.DEPLOYER)
    watcher = court.chain.sender(Person.WATCHER)
    await watcher.send(
        token.address,
        token.transfer_data(treasurer.address, await token.balance_of(WATCHER.address)),
    )
    async with cheat(court):
        made = await asked(court, model)
    with capture_logs() as logs:
        async with watching(court) as opened:

            def named() -> list[Any]:
                return [one for one in logs if "costs more than the 0 OPG" in str(one.get("error"))]

            async def told() -> bool:
                return bool(named())

            await until(told)
            (case,) = await opened.storage.cases.everything()
            assert case.state is CaseState.WITHHELD
            await fund(treasurer, court.contracts, WATCHER.address, opg=10 * OPG)
            case = await decided(opened, made.id)
    assert case.state is CaseState.CONVICTED, case


async def base_fee(court: World, gwei: int) -> None:
    await court.chain.rpc.request("anvil_setNextBlockBaseFeePerGas", [hex(gwei * 10**9)])
    await court.chain.mine()


async def test_gas_above_the_reward_is_waited_out(court: World) -> None:
    """The reward of 6 OPG is worth 0.006 of the coin; a conviction takes some 0.3 million gas."""
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    async with cheat(court, serve_port=port):
        made = await asked(court, window=120)
        await base_fee(court, 10_000)
        with capture_logs() as logs:
            async with watching(court, wei_per_opg=10**15) as opened:

                async def waits() -> bool:
                    return any("wei of gas for a reward" in str(one.get("error")) for one in logs)

                await until(waits)
                assert await court.state(made.id) is RequestState.ANSWERED
                await base_fee(court, 1)
                case = await decided(opened, made.id)
    assert case.state is CaseState.CONVICTED, case
    assert await court.state(made.id) is RequestState.SLASHED


async def test_a_second_watcher_on_one_database_is_refused(world: World) -> None:
    settings = watcher_settings(world)
    async with open_watcher(settings, WATCHER, policy(world)):
        with pytest.raises(StorageError) as refused:
            async with open_watcher(settings, WATCHER, policy(world)):
                pass
    assert refused.value.hint
    async with open_watcher(settings, WATCHER, policy(world)) as opened:
        assert await opened.storage.cases.everything() == []
