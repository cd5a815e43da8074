"""What a node offers and cannot serve: said as trouble until it can, or offers it no more.

Responsible for looking again and again: an offer may be set while the node runs, and a file may go.
Says of each lack once in the log what it is and what to do; refuses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import structlog

from oracle.bootstrap.readiness import Lack, Stored, missing_models
from oracle.chain.registry_contract import RegistryBinding
from oracle.client.market import OwnOffers
from oracle.core.health import Cause, Reason
from oracle.core.model import Model
from oracle.core.types import Address

_log = structlog.get_logger("oracle.node")


class UnservedOffers:
    """One step's cycle, and what it found.

    Args:
        allowance: the deployment's, for disputes, in seconds.
    """

    def __init__(
        self,
        offers: OwnOffers,
        registry: RegistryBinding,
        stored: Stored,
        allowance: int,
        operator: Address,
    ) -> None:
        self._offers = offers
        self._registry = _Remembered(registry)
        self._stored = stored
        self._allowance = allowance
        self._operator = operator
        self._wanting: list[Lack] = []

    def note(self, found: Iterable[Lack]) -> None:
        """Takes up what is wanting now, and has what is new of it logged."""
        known = self._wanting
        self._wanting = [one for one in found if one.kind == "model"]
        for one in self._wanting:
            if one not in known:
                _log.warning(one.what, kind=one.kind, next=one.next_step)

    @property
    def reasons(self) -> Sequence[Reason]:
        """What is offered and cannot be served, and what to do."""
        return [Reason(Cause.MODELS, one.what, one.next_step) for one in self._wanting]

    @property
    def trouble(self) -> str | None:
        """The same in words; None where all can be."""
        return "; ".join(f"{one.what}: {one.next_step}" for one in self._wanting) or None

    async def cycle(self) -> bool:
        """Looks again. Never has more to do at once. Raises ChainUnreachable or ChainRefused."""
        offered = await self._offers.standing()
        self.note(
            await missing_models(
                self._registry, offered, self._stored, self._allowance, self._operator
            )
        )
        return False


class _Remembered:
    """Models as they were first read: what is asked of them here does not change."""

    def __init__(self, registry: RegistryBinding) -> None:
        self._registry = registry
        self._models: dict[bytes, Model] = {}

    async def look_up(self, model_ids: Collection[bytes]) -> None:
        await self._registry.look_up(model_ids)

    async def model(self, model_id: bytes) -> Model:
        if model_id not in self._models:
            self._models[model_id] = await self._registry.model(model_id)
        return self._models[model_id]
