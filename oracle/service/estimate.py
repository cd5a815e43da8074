"""The sum of a request that a standing offer took on: what it is expected to earn and to cost.

Such a request was judged by nobody here, and is served whatever the sum says; the operator still
wants to see it. Holds up nothing: where the price of gas is not to be had at once, there is no sum.
"""

from __future__ import annotations

import asyncio

from oracle.core.job import Job
from oracle.errors import OracleError
from oracle.ports.clock import Clock
from oracle.ports.sending import TransactionGateway
from oracle.service.policy import Circumstances, Policy, judged

_PRICE_LASTS_SECONDS = 12.0
_PATIENCE_SECONDS = 1.0


class Estimator:
    def __init__(self, gateway: TransactionGateway, clock: Clock, policy: Policy) -> None:
        self._gateway = gateway
        self._clock = clock
        self._policy = policy
        self._price: int | None = None
        self._asked_at = float("-inf")

    async def bound(self, job: Job) -> str | None:
        """The sum as `core.economics` writes it; None where there is no price."""
        price = await self._gas_price()
        if price is None:
            return None
        now = self._clock.now()
        # The bond is locked already: what is free does not matter any more.
        circumstances = Circumstances(int(now), job.request.bond, price)
        return judged(job.request, circumstances, self._policy, bound=True, now=now).to_json()

    async def _gas_price(self) -> int | None:
        now = self._clock.now()
        if now - self._asked_at >= _PRICE_LASTS_SECONDS:
            self._asked_at = now
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    self._price = (await self._gateway.fees()).max_fee
            except (OracleError, TimeoutError):
                self._price = None
        return self._price
