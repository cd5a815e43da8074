"""The coin that pays for gas: looked at now and then, warned of early, spared when it is scarce.

Below the minimum the operator is told what to send. Below the floor nothing new is taken on, so
that what is left pays for what is bound: a few answers, one of them of the largest result, and
showing a trace that somebody demands. Many large ones at once take more; whoever offers them keeps
more (`minimum_balance_wei`, `floor_balance_wei`). Knows neither requests nor offers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog

from oracle.core.types import Address, format_wad
from oracle.court.message import MAX_RESULT_BYTES
from oracle.ports.sending import TransactionGateway
from oracle.service.attempts import with_headroom
from oracle.service.policy import ANSWER_GAS, result_gas

_log = structlog.get_logger("oracle.funds")

GAS_OF_AN_ANSWER = 150_000
"""An answer of a small result and its settlement, each sent alone, with room (`oracle bench gas`).
"""

GAS_OF_THE_LARGEST_ANSWER = with_headroom(
    ANSWER_GAS + result_gas(MAX_RESULT_BYTES, for_consumer=False)
)
"""The limit of a transaction that answers with as many bytes as a result may have: 4.8 million.
Without its settlement, which can wait until there is coin; the answer has a deadline."""

GAS_OF_A_REVEAL = 3_300_000
"""The limit of a transaction that shows as much as one demand may ask for (`MAX_REVEAL_BYTES` of
the court, 65,536): 2.7 million, all of it the floor price of its calldata (EIP-7623), as
tests/contracts/test_largest_reveal.py measures it, and the headroom that a gas limit has. Kept for
operators of UNPROVEN models too, who have nothing to show: it is little coin, and offers change."""


@dataclass(frozen=True, slots=True)
class FundsPolicy:
    """Amounts in wei; None stands for as many answers and reveals at the day's price.

    Attributes:
        minimum_wei: below it the operator is warned.
        floor_wei: below it nothing new is taken on.
    """

    minimum_wei: int | None = None
    floor_wei: int | None = None
    minimum_answers: int = 20
    minimum_largest: int = 4
    minimum_reveals: int = 3
    floor_answers: int = 3
    floor_largest: int = 1
    floor_reveals: int = 1


def gas_of(answers: int, largest: int, reveals: int) -> int:
    """Gas of so many small answers, of so many of the largest, and of so many largest reveals."""
    return (
        answers * GAS_OF_AN_ANSWER + largest * GAS_OF_THE_LARGEST_ANSWER + reveals * GAS_OF_A_REVEAL
    )


def gas_in_words(balance: int, price: int) -> str:
    """What coin pays for at a price, both in wei: the one or the other."""
    each = (GAS_OF_AN_ANSWER, GAS_OF_THE_LARGEST_ANSWER, GAS_OF_A_REVEAL)
    answers, largest, reveals = (balance // max(1, gas * price) for gas in each)
    return (
        f"gas for {answers:,} small answers, for {largest:,} of the largest results, or for "
        f"{reveals:,} of the largest demands for a trace"
    )


class Funds:
    """One step's cycle, and what it found."""

    def __init__(
        self,
        gateway: TransactionGateway,
        senders: Callable[[], Collection[Address]],
        policy: FundsPolicy,
    ) -> None:
        """Args: senders: whose coin pays now."""
        self._gateway = gateway
        self._senders = senders
        self._policy = policy
        self.trouble: str | None = None
        """What is scarce and what to do; None where nothing is."""
        self.exhausted: str | None = None
        """Why nothing new may be taken on; None where it may."""
        self.balances: Mapping[Address, int] = {}
        """What was found at the last look, in wei, and what should be left then at least."""
        self.minimum = self.floor = 0

    async def cycle(self) -> bool:
        """Looks at the balances. Never has more to do at once.

        Raises:
            ChainUnreachable: what was found before stands.
        """
        price = (await self._gateway.fees()).max_fee
        minimum, floor = self._limits(price)
        scarce: list[str] = []
        spent: list[str] = []
        balances: dict[Address, int] = {}
        for sender in dict.fromkeys(self._senders()):
            balance = balances[sender] = await self._gateway.balance(sender)
            if balance >= max(minimum, floor):
                continue
            missing = max(minimum, floor) - balance
            told = (
                f"{sender} holds {format_wad(balance)} of the chain's coin, now "
                f"{gas_in_words(balance, price)}: send it {format_wad(missing)} or more"
            )
            scarce.append(told)
            if balance < floor:
                spent.append(told)
        self.balances, self.minimum, self.floor = balances, minimum, floor
        self._say(scarce, spent)
        return False

    def _limits(self, price: int) -> tuple[int, int]:
        policy = self._policy
        minimum, floor = policy.minimum_wei, policy.floor_wei
        if minimum is None:
            minimum = price * gas_of(
                policy.minimum_answers, policy.minimum_largest, policy.minimum_reveals
            )
        if floor is None:
            floor = price * gas_of(policy.floor_answers, policy.floor_largest, policy.floor_reveals)
        return minimum, floor

    def _say(self, scarce: list[str], spent: list[str]) -> None:
        was_low, was_out = self.trouble is not None, self.exhausted is not None
        self.trouble = "; ".join(scarce) or None
        self.exhausted = "; ".join(spent) or None
        if self.exhausted is not None and not was_out:
            _log.critical("INTAKE STOPS: too little coin for gas", why=self.exhausted)
        elif self.trouble is not None and not was_low:
            _log.warning("little coin is left for gas", why=self.trouble)
        elif was_out and self.exhausted is None:
            _log.info("intake goes on: there is coin for gas again")
