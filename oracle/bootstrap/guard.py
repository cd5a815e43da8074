"""What keeps a failing or penniless node from taking on more: breaker, purse and intake, joined.

Knows which step achieves what, and nothing of how either is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from oracle.core.transaction import Attempt, SendOutcome
from oracle.core.types import Address
from oracle.inference.supervised import SupervisedEngine
from oracle.ports.clock import Clock
from oracle.ports.sending import TransactionGateway
from oracle.service.breaker import Breaker, Kind
from oracle.service.funds import Funds, FundsPolicy
from oracle.service.intake import Intake
from oracle.service.node import Step
from oracle.settings import Settings

FUNDS_SECONDS: Final = 30.0
"""Between looks at the balance: two calls each."""

_ACHIEVES: Final[Mapping[str, tuple[Kind, ...]]] = {
    "watch": (Kind.STORAGE,),
    "admit": (Kind.STORAGE,),
    "accept": (Kind.STORAGE, Kind.SIGNING),
    "infer": (Kind.STORAGE, Kind.SIGNING),
    "answer": (Kind.STORAGE, Kind.SIGNING),
    "settle": (Kind.STORAGE, Kind.SIGNING),
    "follow": (Kind.STORAGE,),
}
"""What a round of a step that did something shows to be in order. Whether a model could be run is
said by `infer` itself, of each request, and whether something could be sent by the gateway."""

_INTAKE: Final = ("accept",)
_RUNS_MODELS: Final = ("admit", "infer", "reveal")


@dataclass(frozen=True, slots=True)
class Guard:
    """The three, and the gateway through which sends are seen."""

    breaker: Breaker
    funds: Funds
    intake: Intake
    gateway: TransactionGateway

    def watch(self, steps: Sequence[Step], settings: Settings, engine: SupervisedEngine) -> None:
        """Has failures of the steps counted, acceptances rest where nothing is to be taken on, and
        each step's patience set."""
        for step in steps:
            step.cycle = self.breaker.watching(step.cycle, *_ACHIEVES.get(step.name, ()))
            if step.name in _INTAKE:
                step.cycle = self.intake.guarded(step.cycle)
            step.patience_seconds = settings.hang_seconds
            if step.name in _RUNS_MODELS:
                # A round of many requests takes long; each of them has limits of its own.
                step.patience_seconds += (
                    settings.inference_timeout_seconds + settings.model_load_seconds
                )
                step.progress = lambda: engine.last_progress


def guard(
    settings: Settings,
    clock: Clock,
    gateway: TransactionGateway,
    senders: Callable[[], Collection[Address]],
) -> Guard:
    """A guard as settings want it.

    Args:
        senders: whose coin pays now.
    """
    breaker = Breaker(
        clock,
        failures=settings.breaker_failures,
        pause_seconds=settings.breaker_pause_seconds,
    )
    policy = FundsPolicy(settings.minimum_balance_wei, settings.floor_balance_wei)
    funds = Funds(gateway, senders, policy)
    seen = cast("TransactionGateway", _SeenSends(gateway, breaker))
    return Guard(breaker, funds, Intake(breaker, funds), seen)


class _SeenSends:
    """A gateway like the one it holds, whose sends the breaker is told of."""

    def __init__(self, gateway: TransactionGateway, breaker: Breaker) -> None:
        self._gateway = gateway
        self._breaker = breaker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    async def send(self, attempt: Attempt) -> tuple[SendOutcome, str | None]:
        outcome, reason = await self._gateway.send(attempt)
        self._breaker.sent(outcome, reason)
        return outcome, reason
