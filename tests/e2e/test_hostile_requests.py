"""Requests and contracts made to hurt: none costs more than one reverted transaction, none blocks.

What a fixture of this world checks besides: every base unit is where the logs say, and nothing of
ours is left pending (`tests.support`). Models that hang or crash are in `tests/inference`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from oracle.client import Requested
from oracle.core.job import Job, JobState
from oracle.core.request import Request
from oracle.core.transaction import Purpose
from oracle.core.types import Address
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import fund
from tests.chaos.acts import until_sent
from tests.chaos.test_14_races import overtake
from tests.e2e.test_consumers import notices
from tests.support.world import DIGITS, OPG, World, digit

GAS = 60_000
BURNS_ALL_GAS = bytes.fromhex("5b600056")  # JUMPDEST, PUSH 0, JUMP
RETURNS_A_MEGABYTE = bytes.fromhex("620fffff6000fd")  # PUSH 2^20 - 1, PUSH 0, REVERT
DESTROYS_ITSELF = bytes.fromhex("33ff")  # CALLER, SELFDESTRUCT
CALLS_BACK = bytes.fromhex("600060006000600060003361fffff1")  # calls whoever called it
HOSTILE = {
    "burns all gas": BURNS_ALL_GAS,
    "returns a megabyte": RETURNS_A_MEGABYTE,
    "destroys itself": DESTROYS_ITSELF,
    "calls back": CALLS_BACK,
}


@pytest.mark.parametrize("eager", [False, True], ids=["final", "eager"])
async def test_hostile_consumers_share_a_batch_with_honest_ones_and_hold_up_nobody(
    world: World, eager: bool
) -> None:
    asked = []
    for number, code in enumerate(HOSTILE.values()):
        consumer = Address(f"0x{0xBAD0000 + number:040x}")
        await world.chain.set_code(consumer, code)
        asked.append(await world.ask(consumer=consumer, callback_gas_limit=GAS, eager=eager))
    good = await world.ask()
    async with world.node():
        settled = await world.until_settled(good.id, *(made.id for made in asked))
    assert [job.fee_earned for job in settled] == [OPG] * (1 + len(HOSTILE))
    told = [(await notices(world, made.id))[-1][0] for made in asked]
    assert told[:2] == ["NoticeFailed", "NoticeFailed"]
    assert (await world.storage.jobs.totals()).reverted == 0


async def settled_though_hostile_in_the_block(
    world: World, made: Sequence[Requested], consumers: Sequence[Address]
) -> list[Job]:
    """The consumers get other code after their answers were simulated, and before they are mined.
    Waits until all is settled by a node that answers meanwhile."""
    await world.chain.automine(False)
    async with world.node():
        for one in made:
            await world.until_job(one.id, JobState.ANSWERING)
        for consumer in consumers:
            await world.chain.set_code(consumer, BURNS_ALL_GAS)
        await world.chain.mine()
        await world.chain.automine(True)
        return await world.until_settled(*(one.id for one in made))


async def test_a_consumer_that_turns_hostile_after_the_simulation_wastes_one_transaction_at_most(
    world: World,
) -> None:
    """The gas of its notice is set aside whatever it does, so that the answer goes through."""
    consumer = Address("0x" + "0bad" * 10)
    await world.chain.set_code(consumer, bytes.fromhex("00"))
    made = await world.ask(consumer=consumer, callback_gas_limit=GAS, eager=True)
    (job,) = await settled_though_hostile_in_the_block(world, [made], [consumer])
    assert job.fee_earned == OPG
    assert (await world.storage.jobs.totals()).reverted <= 1


@pytest.mark.parametrize("before", ["00", ""], ids=["harmless", "without code"])
async def test_consumers_that_turn_hostile_together_do_not_revert_their_batch(
    world: World, before: str
) -> None:
    """Simulated, their notices take nothing; in the block, each takes all that it was promised."""
    consumers = [Address(f"0x{0xBAD1000 + number:040x}") for number in range(5)]
    asked = []
    for consumer in consumers:
        await world.chain.set_code(consumer, bytes.fromhex(before))
        asked.append(await world.ask(consumer=consumer, callback_gas_limit=400_000, eager=True))
    await settled_though_hostile_in_the_block(world, asked, consumers)
    totals = await world.storage.jobs.totals()
    assert totals.reverted == 0
    assert totals.transactions < 2 * len(asked), "most were answered in one batch"


async def test_who_shared_a_batch_that_reverted_is_answered_with_the_next_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a batch revert for one in it all the same: as if no gas were set aside for notices."""
    monkeypatch.setattr(Request, "notice_gas", 0)
    hostile = [Address(f"0x{0xBAD2000 + number:040x}") for number in range(3)]
    made = [await world.ask(digit(number)) for number in range(4)]
    for consumer in hostile:
        made.append(await world.ask(consumer=consumer, callback_gas_limit=400_000, eager=True))
    await settled_though_hostile_in_the_block(world, made, hostile)
    tried = []
    for one in made:
        sent = await world.storage.transactions.transactions_for(one.id)
        tried.append([len(each.request_ids) for each in sent if each.purpose is Purpose.ANSWER])
    again = [sizes for sizes in tried if len(sizes) > 1]
    assert all(sizes[1:] == [1] for sizes in again), "alone, and the second went through"
    assert len(again) > 1
    assert max(first for first, *_ in again) > 1


async def test_an_offer_flooded_with_dust_serves_those_who_pay(world: World) -> None:
    """Dust is taken up to the offer's capacity, and the rest waits its turn or is declined."""
    flooder = world.client_of(Person.PAYEE)
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, flooder.sender.address, opg=100 * OPG)
    dust = [
        await flooder.request(DIGITS, [digit(number)], fee=10**9, open_to_all=True, bond=10 * OPG)
        for number in range(60)
    ]
    async with world.node(minimum_fee_opg="0.5"):
        good = await world.ask()
        await world.until_settled(good.id)
        for made in dust:
            job = await world.until_job(made.id, JobState.DECLINED)
            assert "below the minimum" in (job.reason or "")
    totals = await world.storage.jobs.totals()
    assert (totals.transactions, totals.reverted) == (2, 0)


async def test_a_payer_that_takes_out_all_it_can_has_paid_for_what_it_asked(world: World) -> None:
    payer = world.client_of(Person.PAYEE)
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, payer.sender.address, opg=3 * OPG)
    await payer.deposit(2 * OPG)
    made = await payer.request(DIGITS, [digit()])
    await payer.withdraw((await payer.oracle.account(payer.sender.address)).balance)
    token = world.contracts.token
    await payer.sender.send(token.address, token.approve_data(world.contracts.oracle.address, 0))
    async with world.node():
        (job,) = await world.until_settled(made.id)
    assert job.fee_earned == OPG
    assert await token.balance_of(payer.sender.address) == 2 * OPG


async def test_a_request_that_is_cancelled_under_our_acceptance_costs_one_transaction_at_most(
    world: World,
) -> None:
    made = await world.ask(fee=OPG, open_to_all=True)
    good = await world.ask(digit(1), fee=OPG, open_to_all=True)
    await world.chain.automine(False)
    async with world.node():
        await until_sent(world, made.id, Purpose.ACCEPT)
        # A dearer transaction of the requester's is mined before ours.
        cancel = world.contracts.oracle.cancel_data(made.request)
        await overtake(world, Person.REQUESTER, cancel)
        await world.chain.mine()
        await world.chain.automine(True)
        job = await world.until_job(made.id, JobState.LOST)
        assert job.reason == "cancelled"
        await world.until_settled(good.id)
    sent = await world.storage.transactions.transactions_for(made.id)
    assert sum(one.state.value == "reverted" for one in sent) <= 1
