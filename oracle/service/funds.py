"""The coin that pays for gas: looked at now and then, warned of early, spared when it is scarce.

Below the minimum the operator is told what to send. Below the floor nothing new is taken on, so
that what is left pays for what is bound. Knows neither requests nor offers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog

from oracle.core.types import Address, format_wad
from oracle.ports.sending import TransactionGateway

_log = structlog.get_logger("oracle.funds")

GAS_OF_AN_ANSWER = 150_000
"""An answer and its settlement, each sent alone, with room (`oracle bench gas`)."""


@dataclass(frozen=True, slots=True)
class FundsPolicy:
    """Amounts in wei; None stands for as many answers at the price of the day.

    Attributes:
        minimum_wei: below it the operator is warned.
        floor_wei: below it nothing new is taken on.
    """

    minimum_wei: int | None = None
    floor_wei: int | None = None
    minimum_answers: int = 20
    floor_answers: int = 3


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
            answers = balance // max(1, GAS_OF_AN_ANSWER * price)
            missing = max(minimum, floor) - balance
            told = (
                f"{sender} holds {format_wad(balance)} of the chain's coin, gas for {answers} "
                f"answers now: send it {format_wad(missing)} or more"
            )
            scarce.append(told)
            if balance < floor:
                spent.append(told)
        self.balances, self.minimum, self.floor = balances, minimum, floor
        self._say(scarce, spent)
        return False

    def _limits(self, price: int) -> tuple[int, int]:
        an_answer = GAS_OF_AN_ANSWER * price
        policy = self._policy
        minimum, floor = policy.minimum_wei, policy.floor_wei
        return (
            policy.minimum_answers * an_answer if minimum is None else minimum,
            policy.floor_answers * an_answer if floor is None else floor,
        )

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
