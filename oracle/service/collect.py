"""Collects what payers of views owe: when it is enough, or while there is still time.

One transaction draws on many payers' vouchers. It is sent when all that is owed reaches an amount,
and for a payer that has announced the withdrawal of its credit as soon as that is seen. What is
owed is read from the contract each time, so nothing is lost with a log, a restart or a reorg. Runs
no model; anybody may do the same by hand (`oracle operator collect`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from oracle.core.transaction import Call, Purpose
from oracle.core.types import Address, format_opg, format_wad
from oracle.core.voucher import Credit
from oracle.errors import ContractReverted
from oracle.ports.clock import Clock
from oracle.ports.sending import Sending, TransactionGateway, TransactionStore
from oracle.ports.views import CreditContract, HeldVoucher, VoucherStore
from oracle.service.attempts import with_headroom

_log = structlog.get_logger("oracle.collect")

MOST_AT_ONCE: Final = 100
"""Vouchers in one transaction: some 300 bytes and 21,000 gas each (`snapshots/credit.json`)."""

_GAS_OF_ONE: Final = 26_000
"""What one voucher more costs, with the bytes of its signature (`snapshots/credit.json`)."""

_KEPT_GAS: Final = 1_500_000
"""Is left to the key that pays: ten answers and their settlements, which cannot wait."""

_AT_ONE_CALL: Final = 200

_LOOK_AT_ALL_SECONDS: Final = 3_600.0

_FIRST_PAUSE_SECONDS: Final = 5.0
"""Before what came to nothing is tried again; twice as long each time, up to a bound."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What one voucher would pay now."""

    voucher: HeldVoucher
    credit: Credit

    @property
    def due(self) -> int:
        return self.credit.payable(self.voucher.total)

    @property
    def leaving(self) -> bool:
        """Whether the payer is about to take its credit back."""
        return self.credit.withdrawable_at != 0


async def owed_of(
    held: Sequence[HeldVoucher], contract: CreditContract, operator: Address
) -> list[Owed]:
    """Each voucher with what the chain says of its credit now. Raises ChainUnreachable."""
    found: list[Owed] = []
    for start in range(0, len(held), _AT_ONE_CALL):
        chunk = held[start : start + _AT_ONE_CALL]
        credits = await contract.credits_of(operator, [one.payer for one in chunk])
        found += [Owed(one, credit) for one, credit in zip(chunk, credits, strict=True)]
    return found


def chosen(owed: Sequence[Owed], enough: int, least: int = 1) -> list[Owed]:
    """What to collect in one transaction: of those who leave first, the largest first; or nothing.

    Args:
        enough: base units for which all is collected, whoever owes it.
        least: base units that pay for their own gas; a crowd that owes less holds up nobody.
    """
    payable = [one for one in owed if one.due >= least]
    if sum(one.due for one in payable) < enough:
        payable = [one for one in payable if one.leaving]
    payable.sort(key=lambda one: (not one.leaving, -one.due))
    return payable[:MOST_AT_ONCE]


class Collect:
    def __init__(
        self,
        vouchers: VoucherStore,
        contract: CreditContract,
        transactions: TransactionStore,
        gateway: TransactionGateway,
        transact: Sending,
        clock: Clock,
        operator: Address,
        sender: Callable[[], Address],
        *,
        enough: int,
        longest_pause_seconds: float,
        wei_per_opg: int = 0,
    ) -> None:
        """
        Args:
            sender: whose coin pays now; keys change while a node runs.
            longest_pause_seconds: a small part of the delay of a withdrawal.
            enough: base units that are owed in all, for which a transaction is worth it.
            wei_per_opg: value of one OPG; 0 compares with no cost of gas.
        """
        self._vouchers = vouchers
        self._contract = contract
        self._transactions = transactions
        self._gateway = gateway
        self._transact = transact
        self._clock = clock
        self._operator = operator
        self._sender = sender
        self._enough = enough
        self._longest_pause = longest_pause_seconds
        self._wei_per_opg = wei_per_opg
        self._look_at_all_at = 0.0
        self._not_before = 0.0
        self._pause = _FIRST_PAUSE_SECONDS
        self._tried: frozenset[tuple[Address, int]] = frozenset()
        self._rested = False

    async def cycle(self) -> bool:
        """Looks at what is owed. True where a transaction was sent for it.

        Raises:
            ChainUnreachable: nothing is known of the credits now.
        """
        now = self._clock.now()
        if now < self._not_before:
            return False
        # Now and then those that are collected already, too: a reorg may say otherwise.
        every = now >= self._look_at_all_at
        held = await (
            self._vouchers.vouchers(self._contract.address)
            if every
            else self._vouchers.uncollected(self._contract.address)
        )
        if not held or await self._transactions.any_open(Purpose.COLLECT, self._sender()):
            return False
        owed = await owed_of(held, self._contract, self._operator)
        if every:
            self._look_at_all_at = now + _LOOK_AT_ALL_SECONDS
        await self._note(owed)
        wanted, max_fee = [], 0
        if any(one.due for one in owed):
            max_fee = (await self._gateway.fees()).max_fee
            wanted = chosen(owed, self._enough, self._least(max_fee))
        if not wanted:
            self._tried = frozenset()
            return False
        if await self._transact.room() <= 0:
            return False
        place = frozenset((one.voucher.payer, one.credit.collected) for one in wanted)
        if not place & self._tried:
            self._pause = _FIRST_PAUSE_SECONDS
        elif not self._rested:  # it was sent for, and is due all the same
            self._rest()
            return False
        self._tried, self._rested = place, False
        return await self._send(wanted, max_fee)

    def _least(self, max_fee: int) -> int:
        """What one voucher must bring, in base units, where it is known what they are worth."""
        if not self._wei_per_opg:
            return 1
        return -(-_GAS_OF_ONE * max_fee * 10**18 // self._wei_per_opg)

    async def _note(self, owed: Sequence[Owed]) -> None:
        changed = {
            one.voucher.payer: one.credit.collected
            for one in owed
            if one.credit.collected != one.voucher.collected
        }
        if changed:
            await self._vouchers.note_collected(self._contract.address, changed)

    def _rest(self) -> None:
        """What came to nothing is tried again, ever more slowly."""
        self._rested = True
        self._not_before = self._clock.now() + self._pause
        self._pause = min(2 * self._pause, max(self._longest_pause, _FIRST_PAUSE_SECONDS))

    async def _send(self, wanted: Sequence[Owed], max_fee: int) -> bool:
        amount = sum(one.due for one in wanted)
        facts = {"payers": len(wanted), "opg": format_opg(amount)}
        data = self._contract.collect_data(self._operator, [one.voucher for one in wanted])
        sender = self._sender()
        try:
            gas = await self._gateway.estimate_gas(sender, self._contract.address, data)
        except ContractReverted as error:  # collected by hand a moment ago, or one is not as signed
            _log.warning("not collected", reason=error.message, **facts)
            self._rest()
            return False
        # What waits here for coin would hold up every answer that is sent after it.
        needed = (with_headroom(gas) + _KEPT_GAS) * max_fee
        if await self._gateway.balance(sender) < needed:
            if len(wanted) > 1:
                return await self._send(wanted[: len(wanted) // 2], max_fee)
            lack = f"{sender} has too little coin: {format_wad(needed)} are needed"
            _log.warning("not collected", reason=lack, **facts)
            self._rest()
            return False
        if self._wei_per_opg:
            cost = gas * max_fee
            worth = amount * self._wei_per_opg // 10**18
            if worth < cost:
                _log.info("not worth collecting", cost_wei=cost, worth_wei=worth, **facts)
                self._rest()
                return False
        reason = "a withdrawal is announced" if wanted[0].leaving else "enough is owed"
        _log.info("collecting", reason=reason, **facts)
        await self._transact.submit(
            Purpose.COLLECT, Call(self._contract.address, data, gas), request_ids=[]
        )
        return True
