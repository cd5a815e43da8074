"""What every verb costs: gas of real transactions on a devnet, against the budgets there are.

In steady state: accounts, nonces and counters that a verb touches have been touched before, except
where the row says "first". Inputs are of 256 bytes. Knows how verbs are put together, not how
calls are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from oracle.bench.flood import BOND, FEE
from oracle.bench.gas_stage import CALLBACK_GAS, RESULT, Players
from oracle.bench.stage import Stage, stage
from oracle.bootstrap.devnet import OPG, standing_offer
from oracle.chain.sender import Sent, TransactionSender
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import deposit, fund
from oracle.devnet.samples import sample
from oracle.inference.model_file import inspect

Say = Callable[[str], None]

BATCH = 10
RESULTS = (1_024, 4_096, 65_536)
"""Bytes: below the length from which calldata has a floor (EIP-7623), above it, and far above."""
_NEWCOMER = Person.WATCHER + 1


@dataclass(frozen=True, slots=True)
class Cost:
    """One row. `budget` is None where the design sets none; `ok` where it is kept."""

    verb: str
    gas: int
    budget: int | None

    @property
    def ok(self) -> bool | None:
        return None if self.budget is None else self.gas <= self.budget


class Table:
    """Rows in the order they were measured."""

    def __init__(self) -> None:
        self.rows: list[Cost] = []

    def add(self, verb: str, sent: Sent, *, budget: int | None = None, items: int = 1) -> None:
        """Enters a transaction, or an equal share of one that has several items."""
        self.rows.append(Cost(verb, round(sent.mined.gas_used / items), budget))


async def measure(say: Say) -> dict[str, Any]:
    """All verbs; the rows and what they were measured with."""
    async with stage() as on:
        table = Table()
        players = Players(on)
        await on.make_room(200, BOND)
        await _open_accounts(on, players)
        for what, part in (
            ("the ledger", _ledger),
            ("asking", _asking),
            ("answering and settling", _answering),
            ("long results", _results),
            ("notices", _notices),
            ("ending unanswered", _ending),
            ("operators and models", _operators),
        ):
            say(f"gas: {what}")
            await part(on, players, table)
    return {
        "verbs": [asdict(row) | {"ok": row.ok} for row in table.rows],
        "input_bytes": len(players.image),
        "result_bytes": len(RESULT),
        "batch": BATCH,
        "callback_gas_limit": CALLBACK_GAS,
    }


async def _open_accounts(on: Stage, players: Players) -> None:
    """Touches every counter once, so that later rows are of the steady state."""
    treasurer = on.sender(Person.DEPLOYER)
    token, oracle = on.contracts.token, on.contracts.oracle
    for who in (players.requester, on.sender(_NEWCOMER)):
        await fund(treasurer, on.contracts, who.address, opg=10_000 * OPG)
        await who.send(token.address, token.approve_data(oracle.address, 2**96 - 1))
    await deposit(players.requester, on.contracts, 5_000 * OPG)
    (first,) = await players.requests(1)
    await players.answer(first)
    await players.pass_time(first.window)
    await players.settle(first)


async def _ledger(on: Stage, players: Players, table: Table) -> None:
    oracle, who = on.contracts.oracle, players.requester
    deposited = await players.to_oracle(who, oracle.deposit_data(who.address, OPG))
    table.add("deposit", deposited)
    table.add("withdraw", await players.to_oracle(who, oracle.withdraw_data(who.address, OPG)))


async def _asking(on: Stage, players: Players, table: Table) -> None:
    newcomer = on.sender(_NEWCOMER)
    sent, _ = await players.request()
    table.add("request, prepaid, open", sent, budget=75_000)
    sent, _ = await players.request(named=True)
    table.add("request, prepaid, accepted by offer", sent)
    sent, _ = await players.request_with_pull(newcomer)
    table.add("requestWithPull, open, first", sent)
    sent, _ = await players.request_with_pull(newcomer)
    table.add("requestWithPull, open", sent, budget=95_000)
    sent, _ = await players.request_with_pull(newcomer, named=True)
    table.add("requestWithPull, accepted by offer", sent)
    sent, _ = await players.request_by_signature()
    table.add("requestBySignature, open", sent)


async def _answering(on: Stage, players: Players, table: Table) -> None:
    _, request = await players.request()
    table.add("accept", await players.accept(request), budget=45_000)
    table.add("answer", await players.answer(request), budget=58_000)
    _, eager = await players.request(named=True, consumer=True, eager=True)
    await players.consumer_accepts(True)
    table.add("answer, with callback", await players.answer(eager))
    batch = await players.requests(BATCH)
    answered = await players.answer_batch(batch)
    table.add(f"answerBatch of {BATCH}, an item", answered, items=BATCH)
    told = await players.requests(BATCH, consumer=True)
    await players.answer_batch(told)
    await players.pass_time(request.window)
    table.add("settle", await players.settle(request))
    settled = await players.settle_batch(batch)
    table.add(f"settleBatch of {BATCH}, an item", settled, budget=18_000, items=BATCH)
    settled = await players.settle_batch(told)
    table.add(f"settleBatch of {BATCH}, with callback, an item", settled, items=BATCH)


async def _results(on: Stage, players: Players, table: Table) -> None:
    await players.consumer_accepts(True)
    usual = players.result
    for size in RESULTS:
        players.result = b"\x01" * size
        _, request = await players.request(named=True, consumer=True)
        table.add(f"answer, result of {size:,} bytes", await players.answer(request))
        await players.pass_time(request.window)
        settled = await players.settle(request)
        table.add(f"settle, with callback, result of {size:,} bytes", settled)
    players.result = usual


async def _notices(on: Stage, players: Players, table: Table) -> None:
    _, request = await players.request(named=True, consumer=True)
    await players.answer(request)
    await players.pass_time(request.window)
    await players.consumer_accepts(True)
    table.add("settle, with callback", await players.settle(request))
    _, request = await players.request(named=True, consumer=True)
    await players.answer(request)
    await players.pass_time(request.window)
    await players.consumer_accepts(False)
    table.add("settle, callback fails", await players.settle(request))
    await players.consumer_accepts(True)
    table.add("retryNotice", await players.retry_notice(request))


async def _ending(on: Stage, players: Players, table: Table) -> None:
    oracle = on.contracts.oracle
    _, unwanted = await players.request()
    cancelled = await players.to_oracle(players.requester, oracle.cancel_data(unwanted))
    table.add("cancel", cancelled)
    _, lonely = await players.request()
    silent = await players.requests(2)
    await players.pass_time(61)
    expired = await players.to_oracle(players.relayer, oracle.expire_data(lonely))
    table.add("expire", expired, budget=40_000)
    for name, request in zip(("markDefaulted, first", "markDefaulted"), silent, strict=True):
        data = oracle.mark_defaulted_data(request, on.operator)
        table.add(name, await players.to_oracle(players.relayer, data))
    requester = players.requester
    claim = on.contracts.staking.claim_data(requester.address)
    table.add("claim", await players.to_staking(requester, claim))


async def _operators(on: Stage, players: Players, table: Table) -> None:
    staking, token = on.contracts.staking, on.contracts.token
    owner = on.sender(Person.SECOND_OWNER)
    await fund(on.sender(Person.DEPLOYER), on.contracts, owner.address, opg=100 * OPG)
    await owner.send(token.address, token.approve_data(staking.address, 2**96 - 1))
    signer = signer_of(Person.SECOND_SIGNER).address
    registered = await players.to_staking(owner, staking.register_data(signer, owner.address))
    table.add("register operator", registered)
    for name in ("bond, first", "bond"):
        table.add(name, await players.to_staking(owner, staking.bond_data(owner.address, OPG)))
    offer = staking.set_offer_data(on.model_id, standing_offer())
    table.add("setOffer, first", await players.to_staking(owner, offer))
    for index, name in enumerate(("unbond, first", "unbond")):
        table.add(name, await players.to_staking(owner, staking.unbond_data(FEE // (index + 2))))
    await players.pass_time(on.contracts.deployment.parameters.exit_delay)
    withdrawn = await players.to_staking(owner, staking.withdraw_data(0))
    table.add("withdraw of an unbonding", withdrawn)
    table.add("register model", await _register_model(on, owner))


async def _register_model(on: Stage, registrar: TransactionSender) -> Sent:
    file = sample("digits-mlp").file
    inspected = inspect(file)
    terms = ModelTerms(
        program_root=inspected.sha256,
        profile_hash=ZERO_BYTES32,
        schema_hash=inspected.schema.schema_hash,
        tier=Tier.UNPROVEN,
        challenge_window=on.contracts.deployment.parameters.default_window,
        reveal_window=0,
        min_bond=10 * OPG,
        epsilon=UNCERTIFIED,
    )
    registry = on.contracts.registry
    data = registry.register_data(terms, "digits", inspected.schema, "sample:digits")
    return await registrar.send(registry.address, data)
