"""The money of a world: every base unit is accounted for, and the job table has the same sum.

One of the invariants (`tests.support.invariants`, V6). Everything is summed anew from the logs of
both custody contracts. Changes nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from oracle.chain.codec import decode_logs
from oracle.chain.logs import LogScanner
from oracle.chain.wire import to_bytes
from oracle.core import event as events
from oracle.core.types import Address
from oracle.demo.tally import tally
from oracle.devnet.accounts import Person, signer_of
from tests.support.world import World, until


async def check_books(world: World) -> None:
    """Asserts V6: escrow = earned + refunded + open, stake = bonded - slashed, and our earnings."""

    async def stand() -> object:
        return await world.chain.head(), await world.storage.jobs.cursor()

    async def checked() -> bool:
        """Sums of different moments need not agree, where a node still runs: then once more."""
        before = await stand()
        try:
            await _custody_is_what_the_logs_say(world)
            await _earnings_are_what_the_logs_say(world)
        except AssertionError:
            if before == await stand():
                raise
            return False
        return True

    await until(checked)


async def _custody_is_what_the_logs_say(world: World) -> None:
    contracts = world.contracts
    books = await tally(contracts)
    assert books.adds_up
    held = await contracts.token.balance_of(contracts.oracle.address)
    flows = await _flows(world, "InferenceOracle")
    assert held == flows["Deposited"] - flows["Withdrawn"]
    people = {account for account, _ in flows["accounts"].items()}
    people |= {signer_of(person).address for person in Person}
    owed = [(await contracts.oracle.account(one)).balance for one in sorted(people)]
    assert held == sum(owed) + books.open

    staked = await contracts.token.balance_of(contracts.staking.address)
    moved = await _flows(world, "OperatorStaking")
    out = moved["Withdrawn"] + moved["Claimed"] + moved["Burned"]
    assert staked == moved["Bonded"] - out
    assert books.slashed == moved["Slashed"]
    assert books.burned == moved["Burned"] + await contracts.staking.pending_burn()


async def _earnings_are_what_the_logs_say(world: World) -> None:
    cursor = await world.storage.jobs.cursor()
    if cursor is None:
        return
    earned = sum(
        event.fee
        for event in await _oracle_events(world)
        if isinstance(event, events.RequestSettled)
        and event.operator == world.operator
        and event.position.block_number <= cursor.number
    )
    assert (await world.storage.jobs.totals()).fees_earned == earned


async def _oracle_events(world: World) -> tuple[events.ChainEvent, ...]:
    rpc, deployment = world.chain.rpc, world.deployment
    scanner = LogScanner(rpc, deployment.oracle)
    return decode_logs(await scanner.scan(deployment.deployed_block, (await rpc.latest()).number))


async def _flows(world: World, contract: str) -> dict[str, Any]:
    """Sums by event name of the first or last amount that moves tokens; and who has an account."""
    contracts, deployment = world.contracts, world.deployment
    is_oracle = contract == "InferenceOracle"
    binding = contracts.oracle if is_oracle else contracts.staking
    head = await world.chain.head()
    logs = await LogScanner(world.chain.rpc, binding.address).scan(
        deployment.deployed_block, head.number
    )
    by_topic = {"0x" + event.topic.hex(): event for event in binding.abi.events.values()}
    sums: dict[str, Any] = Counter()
    accounts: dict[Address, None] = {}
    amount_at = {
        "Deposited": 0,
        "Withdrawn": 1,
        "Bonded": 0,
        "Claimed": 1,
        "Burned": 0,
        "Slashed": 0,
    }
    for log in logs:
        event = by_topic[log["topics"][0]]
        if event.name not in amount_at:
            continue
        topics = b"".join(to_bytes(topic) for topic in log["topics"][1:])
        indexed, values = event.decode(topics, to_bytes(log["data"]))
        sums[event.name] += values[amount_at[event.name]]
        if event.name == "Deposited":
            accounts[indexed[0]] = None
    sums["accounts"] = accounts
    return sums
