"""The sum of a request that a standing offer took on: what it is expected to earn and to cost.

Such a request was judged by nobody here, and is served whatever the sum says; the operator still
wants to see it. Holds up nothing: where the price of gas, or the model, is not to be had at once,
there is no sum.
"""

from __future__ import annotations

import asyncio

from oracle.core.job import Job
from oracle.core.schema import ModelSchema
from oracle.core.tensor import input_batch, output_bytes
from oracle.court.message import MAX_RESULT_BYTES
from oracle.errors import NotFound, OracleError, SchemaError, TensorError
from oracle.ports.clock import Clock
from oracle.ports.contracts import RegistryContract
from oracle.ports.sending import TransactionGateway
from oracle.service.policy import Circumstances, Policy, judged

_PRICE_LASTS_SECONDS = 12.0
_PATIENCE_SECONDS = 1.0


def result_bytes(schema: ModelSchema, data: bytes) -> int:
    """Bytes of the result that an input of this length will have.

    0 where no number of rows has that length, or where they would not fit a transaction: both
    are answered with the empty result. So is an input of NaN, which is not looked for here.
    """
    try:
        size = output_bytes(schema, input_batch(schema, len(data)))
    except TensorError:
        return 0
    return size if size <= MAX_RESULT_BYTES else 0


class Estimator:
    def __init__(
        self,
        gateway: TransactionGateway,
        registry: RegistryContract,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._gateway = gateway
        self._registry = registry
        self._clock = clock
        self._policy = policy
        self._price: int | None = None
        self._asked_at = float("-inf")

    async def bound(self, job: Job) -> str | None:
        """The sum as `core.economics` writes it; None where there is no price, or no model."""
        price, size = await self._gas_price(), await self._result_bytes(job)
        if price is None or size is None:
            return None
        now = self._clock.now()
        # The bond is locked already: what is free does not matter any more.
        circumstances = Circumstances(int(now), job.request.bond, price, result_bytes=size)
        return judged(job.request, circumstances, self._policy, bound=True, now=now).to_json()

    async def _result_bytes(self, job: Job) -> int | None:
        """What its result has, or will have; None where that is not to be had at once."""
        if job.result is not None:
            return len(job.result)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                model = await self._registry.model(job.request.model_id)
        except (NotFound, SchemaError):
            return 0  # it cannot be run
        except (OracleError, TimeoutError):
            return None
        return result_bytes(model.schema, job.input)

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
