"""Collecting what views earned: for whom, when, once, and never what would come to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from oracle.core.transaction import Call, Purpose
from oracle.core.types import Address
from oracle.core.voucher import Credit
from oracle.errors import ContractReverted
from oracle.ports.views import CreditTotals, HeldVoucher
from oracle.service.collect import MOST_AT_ONCE, Collect, Owed, chosen
from tests.service.fakes import OPERATOR, SIGNER, STRANGER, Clock, Gateway, Jobs, Transactions

OPG = 10**18
CONTRACT = Address("0x" + "cc" * 20)
ANN, BEN, EVE = (Address("0x" + digit * 40) for digit in "123")


class Vouchers:
    """Vouchers by payer."""

    def __init__(self) -> None:
        self.rows: dict[Address, HeldVoucher] = {}

    def add(self, payer: Address, total: int) -> None:
        collected = self.rows[payer].collected if payer in self.rows else 0
        self.rows[payer] = HeldVoucher(payer, total, b"\x01" * 65, collected)

    async def voucher(self, contract: Address, payer: Address) -> HeldVoucher | None:
        return self.rows.get(payer)

    async def uncollected(self, contract: Address) -> Sequence[HeldVoucher]:
        return [one for one in self.rows.values() if one.owed]

    async def vouchers(self, contract: Address) -> Sequence[HeldVoucher]:
        return list(self.rows.values())

    async def note_collected(self, contract: Address, collected: Mapping[Address, int]) -> None:
        for payer, amount in collected.items():
            old = self.rows[payer]
            self.rows[payer] = HeldVoucher(payer, old.total, old.signature, amount)

    async def totals(self, contract: Address) -> CreditTotals:
        raise NotImplementedError


class Contract:
    """Credits by payer, as the chain has them."""

    address = CONTRACT

    def __init__(self) -> None:
        self.credits: dict[Address, Credit] = {}
        self.looks = 0

    async def credits_of(self, operator: Address, payers: Sequence[Address]) -> Sequence[Credit]:
        self.looks += 1
        return [self.credits.get(one, Credit(0, 0, 0)) for one in payers]

    def collect_data(self, operator: Address, vouchers: Sequence[HeldVoucher]) -> bytes:
        return " ".join(one.payer[2] for one in vouchers).encode()


class Open(Transactions):
    """Of what purposes transactions are open."""

    def __init__(self) -> None:
        super().__init__(Jobs())
        self.purposes: set[Purpose] = set()

    async def any_open(self, purpose: Purpose, sender: Address) -> bool:
        return purpose in self.purposes


class Sends:
    """Takes transactions, each open until it is told otherwise."""

    def __init__(self, transactions: Open) -> None:
        self.sent: list[Call] = []
        self.free = 5
        self._transactions = transactions

    async def room(self) -> int:
        return self.free

    async def under_way(self, purpose: Purpose) -> set[bytes]:
        return set()

    async def reverted(self, purpose: Purpose, request_ids: Sequence[bytes]) -> set[bytes]:
        raise NotImplementedError

    async def submit(self, purpose: Purpose, call: Call, request_ids: Sequence[bytes]) -> None:
        assert (purpose, list(request_ids)) == (Purpose.COLLECT, [])
        self.sent.append(call)
        self._transactions.purposes.add(purpose)


class Bench:
    """The service, with one payer's credit of a hundred OPG."""

    def __init__(self, *, enough: int = OPG, wei_per_opg: int = 0) -> None:
        self.vouchers, self.contract, self.clock = Vouchers(), Contract(), Clock()
        self.transactions = Open()
        self.payer = SIGNER.address
        self.gateway, self.sends = Gateway(), Sends(self.transactions)
        for payer in (ANN, BEN, EVE):
            self.contract.credits[payer] = Credit(100 * OPG, 0, 0)
        self.collect = Collect(
            self.vouchers, self.contract, self.transactions, self.gateway, self.sends,
            self.clock, OPERATOR, lambda: self.payer, enough=enough, longest_pause_seconds=60.0,
            wei_per_opg=wei_per_opg,
        )  # fmt: skip

    def mined(self, *, succeeded: bool = True) -> None:
        """What was sent is on the chain; of those that it was for all is collected, or nothing."""
        self.transactions.purposes.clear()
        for payer in (ANN, BEN, EVE):
            if succeeded and payer[2].encode() in self.sends.sent[-1].data.split():
                credit, total = self.contract.credits[payer], self.vouchers.rows[payer].total
                due = credit.payable(total)
                self.contract.credits[payer] = Credit(
                    credit.balance - due, credit.collected + due, credit.withdrawable_at
                )


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_nothing_is_asked_of_the_chain_where_nobody_owes(bench: Bench) -> None:
    assert not await bench.collect.cycle()
    assert bench.contract.looks == 0


async def test_all_is_collected_when_it_is_enough_together(bench: Bench) -> None:
    bench.vouchers.add(ANN, OPG // 2)
    assert not await bench.collect.cycle()
    bench.vouchers.add(BEN, OPG // 2)
    assert await bench.collect.cycle()
    assert [one.data for one in bench.sends.sent] == [b"1 2"]
    assert not await bench.collect.cycle(), "while it is open, no other is sent"
    bench.mined()
    assert not await bench.collect.cycle()
    assert not [one for one in bench.vouchers.rows.values() if one.owed]
    looks = bench.contract.looks
    assert not await bench.collect.cycle()
    assert bench.contract.looks == looks, "nor is the chain asked about those who owe nothing"


async def test_who_leaves_is_collected_at_once_and_nobody_else(bench: Bench) -> None:
    bench.vouchers.add(ANN, OPG // 4)
    bench.vouchers.add(BEN, OPG // 4)
    bench.contract.credits[BEN] = Credit(OPG, 0, 1_000)
    assert await bench.collect.cycle()
    assert bench.sends.sent[0].data == b"2"


async def test_what_a_node_knew_as_collected_is_looked_at_once_again(bench: Bench) -> None:
    bench.vouchers.rows[ANN] = HeldVoucher(ANN, 2 * OPG, b"\x01" * 65, 2 * OPG)
    assert await bench.collect.cycle(), "a reorg undid it while the node was away"
    assert bench.sends.sent[0].data == b"1"
    bench.mined()
    assert not await bench.collect.cycle()
    bench.contract.credits[ANN] = Credit(100 * OPG, 0, 0)
    assert not await bench.collect.cycle()
    bench.clock.seconds += 3_601
    assert await bench.collect.cycle(), "or while it runs, and its transaction is gone for good"


async def test_what_no_deposit_covers_is_not_sent(bench: Bench) -> None:
    bench.vouchers.add(ANN, 5 * OPG)
    bench.contract.credits[ANN] = Credit(0, OPG, 0)
    for _ in range(3):
        assert not await bench.collect.cycle()
    bench.contract.credits[ANN] = Credit(3 * OPG, OPG, 0)
    assert await bench.collect.cycle()


async def test_what_reverts_is_tried_again_ever_more_slowly(bench: Bench) -> None:
    bench.vouchers.add(ANN, 5 * OPG)
    bench.gateway.reverts = ContractReverted("NothingToCollect", {})
    tries = 0
    for _ in range(600):
        looks = bench.contract.looks
        await bench.collect.cycle()
        tries += bench.contract.looks - looks
        bench.clock.seconds += 1.0
    assert tries == 4 + 9, "after 5, 10, 20 and 40 s, and then each minute"
    assert not bench.sends.sent


async def test_what_reverted_on_chain_is_not_sent_in_a_loop(bench: Bench) -> None:
    bench.vouchers.add(ANN, 5 * OPG)
    for _ in range(100):
        if await bench.collect.cycle():
            bench.mined(succeeded=False)
        bench.clock.seconds += 1.0
    assert len(bench.sends.sent) <= 5
    assert await _until_sent(bench)
    bench.mined()
    bench.vouchers.add(ANN, 10 * OPG)
    assert await bench.collect.cycle(), "what is new is not held up by it"


async def _until_sent(bench: Bench) -> bool:
    for _ in range(200):
        if await bench.collect.cycle():
            return True
        bench.clock.seconds += 1.0
    return False


async def test_what_costs_more_than_it_brings_waits() -> None:
    bench = Bench(wei_per_opg=1)
    bench.vouchers.add(ANN, 5 * OPG)
    assert not await bench.collect.cycle()
    worth = Bench(wei_per_opg=10**18)
    worth.vouchers.add(ANN, 5 * OPG)
    assert await worth.collect.cycle()


async def test_a_crowd_that_owes_next_to_nothing_holds_up_nobody() -> None:
    """Hundreds have announced their leaving, and one whose debt is worth collecting."""
    bench = Bench(wei_per_opg=10**18, enough=1_000 * OPG)
    crowd = [Address(f"0x{number:040x}") for number in range(1, 2 * MOST_AT_ONCE)]
    for payer in crowd:
        bench.vouchers.add(payer, 1_000)
        bench.contract.credits[payer] = Credit(1_000, 0, 1)
    bench.vouchers.add(ANN, 5 * OPG)
    bench.contract.credits[ANN] = Credit(100 * OPG, 0, 2)
    assert await bench.collect.cycle()
    assert bench.sends.sent[-1].data == b"1"


async def test_what_the_key_cannot_pay_for_is_not_put_before_answers() -> None:
    bench = Bench()
    for payer in (ANN, BEN, EVE):
        bench.vouchers.add(payer, 5 * OPG)
    bench.gateway.holds = 1_000_000 * bench.gateway.asked.max_fee
    with capture_logs() as logged:
        assert not await bench.collect.cycle()
    assert "too little coin" in logged[-1]["reason"]
    assert bench.sends.sent == []
    bench.gateway.holds = 10**18
    assert await _until_sent(bench)


async def test_the_key_that_pays_now_is_the_one_that_needs_coin(bench: Bench) -> None:
    """After a rotation the former key is empty, as docs/operations.md has it."""
    coin = {SIGNER.address: 0, STRANGER: 10**18}

    async def balance(account: Address) -> int:
        return coin[account]

    bench.gateway.balance = balance  # type: ignore[method-assign]
    bench.vouchers.add(ANN, 5 * OPG)
    assert not await bench.collect.cycle()
    bench.payer = STRANGER
    assert await _until_sent(bench)


async def test_without_room_for_a_transaction_it_waits(bench: Bench) -> None:
    bench.vouchers.add(ANN, 5 * OPG)
    bench.sends.free = 0
    assert not await bench.collect.cycle()
    bench.sends.free = 1
    assert await bench.collect.cycle()


def test_who_leaves_and_the_largest_go_first() -> None:
    def owed(total: int, leaves_at: int = 0) -> Owed:
        return Owed(HeldVoucher(ANN, total, b""), Credit(100, 0, leaves_at))

    many = [owed(1 + number % 7) for number in range(2 * MOST_AT_ONCE)]
    soon, late = owed(1, 50), owed(90, 60)
    found = chosen([*many, late, soon], enough=1)
    assert found[:2] == [late, soon]
    assert len(found) == MOST_AT_ONCE
    assert {one.due for one in found[2:30]} == {7}
    assert chosen([*many, late, soon], enough=10**6) == [late, soon]
    assert chosen(many, enough=10**6) == []
