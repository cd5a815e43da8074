"""What views earned is collected: when it is enough, in time before a withdrawal, and by hand."""

from __future__ import annotations

import pytest

from oracle.bootstrap.collected import collect
from oracle.core.transaction import TransactionState
from oracle.devnet.accounts import Person
from oracle.errors import ContractReverted
from tests.support.paying import (
    PRICE,
    PRICED,
    collections,
    credit,
    held,
    paid_question,
    until_collected,
)
from tests.support.viewing import gateway, posted, viewed
from tests.support.watching import free_port
from tests.support.world import OPG, World, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def still(world: World) -> World:
    """A world whose clock is ahead of the wall's, and a caller that has deposited one OPG."""
    await world.chain.travel_past(await world.chain.time() + 600)
    await world.client.deposit_credit(world.operator, OPG)
    return world


async def _bought(world: World, total: int) -> None:
    """One answer for all of this, and the node is gone again; nothing is collected for it."""
    port = free_port()
    async with gateway(world, views=PRICED, serve_port=port, views_collect_at="1000"):
        url = f"http://127.0.0.1:{port}/views"
        assert (await posted(url, await paid_question(world, total)))[0] == 200


async def _money(world: World) -> int:
    return await world.client.token.balance_of(world.operator)


async def test_it_is_collected_once_when_it_is_enough(
    still: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oracle.bootstrap.views._SLOWEST_LOOK_SECONDS", 0.1)
    world, before = still, await _money(still)
    async with gateway(world, views=PRICED, views_collect_at="0.02"):
        await viewed(world, max_price=PRICE)
        await viewed(world, 1, max_price=PRICE)
        found = await until_collected(world, 2 * PRICE)
        owed = await held(world)
        assert owed is not None
        assert found.collected == owed.total

        async def closed() -> bool:
            return [one.state for one in await collections(world)] == [TransactionState.MINED]

        await until(closed)

        async def noted() -> bool:
            now = await held(world)
            return now is not None and now.owed == 0

        await until(noted)
    (only,) = await collections(world)  # and not one for the first view alone
    assert only.request_ids == ()
    assert await _money(world) == before + owed.total


async def test_what_is_owed_is_collected_before_a_withdrawal_also_by_a_node_that_was_away(
    still: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oracle.bootstrap.views._SLOWEST_LOOK_SECONDS", 0.1)
    world = still
    await _bought(world, 3 * PRICE)
    await world.client.announce_credit_withdrawal(world.operator)
    leaving = (await credit(world)).withdrawable_at
    async with world.node(views_collect_at="1000"):  # views are off: what is owed is owed
        found = await until_collected(world, 3 * PRICE)
        assert found.withdrawable_at == leaving
        assert await world.chain.time() < leaving
    assert len(await collections(world)) == 1
    with pytest.raises(ContractReverted, match="WithdrawalNotOver"):
        await world.client.withdraw_credit(world.operator)
    await world.chain.travel_past(leaving)
    await world.client.withdraw_credit(world.operator)
    assert (await credit(world)).balance == 0


async def test_what_escaped_is_collected_of_the_next_deposit(
    still: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oracle.bootstrap.views._SLOWEST_LOOK_SECONDS", 0.1)
    world = still
    await _bought(world, 3 * PRICE)
    await world.client.announce_credit_withdrawal(world.operator)
    await world.chain.travel_past((await credit(world)).withdrawable_at)
    await world.client.withdraw_credit(world.operator)
    async with world.node(views_collect_at="0.01"):
        await world.client.deposit_credit(world.operator, 2 * PRICE)
        found = await until_collected(world, 2 * PRICE)
        assert found.balance == 0
    assert len(await collections(world)) == 1, "nothing was sent that would revert"


async def test_an_undone_collection_is_made_again(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oracle.bootstrap.views._SLOWEST_LOOK_SECONDS", 0.1)
    world = own_world
    await world.client.deposit_credit(world.operator, OPG)
    await _bought(world, 3 * PRICE)
    async with world.node(views_collect_at="0.01"):
        await until_collected(world, 3 * PRICE)
        await world.chain.mine()
    await world.chain.reorg(2)
    assert (await credit(world)).collected == 0
    async with world.node(views_collect_at="0.01"):
        await until_collected(world, 3 * PRICE)


async def test_it_is_collected_by_hand(still: World) -> None:
    world, owner = still, still.client_of(Person.OWNER)
    await _bought(world, 3 * PRICE)
    found = await collect(world.settings, owner, world.operator)
    assert (found.payers, found.amount, found.unpayable) == (1, 3 * PRICE, 0)
    assert len(found.transactions) == 1
    assert (await credit(world)).collected == 3 * PRICE
    again = await collect(world.settings, owner, world.operator)
    assert (again.amount, again.transactions) == (0, ())
