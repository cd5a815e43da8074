"""The `ModelRegistry` contract: models by their registration event and stored facts.

Implements `ports.RegistryContract`. Everything of a model but its deprecation is immutable, so it
is read once; what can change is read again when it is a few seconds old. Knows nothing of ONNX.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from oracle.chain.binding import Binding
from oracle.chain.coder import UnreadableData
from oracle.chain.logs import LogScanner, Topic
from oracle.chain.rpc import Rpc
from oracle.chain.wire import RawLog, to_bytes, to_hex
from oracle.core.model import Model, ModelTerms
from oracle.core.schema import ModelSchema
from oracle.core.types import Address, Tier
from oracle.errors import ChainUnreachable, NotFound, SchemaError

FRESH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Known:
    model: Model
    read_at: float


class RegistryBinding(Binding):
    """One deployed registry.

    Args:
        deployed_block: no model was registered before it.
        fresh_seconds: for how long a deprecation may go unnoticed.
    """

    def __init__(
        self,
        rpc: Rpc,
        address: Address,
        *,
        deployed_block: int = 0,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        super().__init__(rpc, "ModelRegistry", address)
        self._scanner = LogScanner(rpc, address)
        self._deployed_block = deployed_block
        self._fresh_seconds = fresh_seconds
        self._known: dict[bytes, _Known] = {}
        self._looked_up: dict[bytes, RawLog] = {}

    def register_data(self, terms: ModelTerms, name: str, schema: ModelSchema, uri: str) -> bytes:
        """The caller becomes the registrar, who is part of the model's id."""
        return self.encode("register", terms.as_tuple(), name, schema.to_json(), uri)

    def deprecate_data(self, model_id: bytes) -> bytes:
        return self.encode("deprecate", model_id)

    async def model(self, model_id: bytes) -> Model:
        """The model by its registration event and stored facts.

        Raises:
            NotFound: never registered.
            SchemaError: its registrar registered a schema that nobody can follow.
        """
        known = self._known.get(model_id)
        if known is not None and time.monotonic() - known.read_at < self._fresh_seconds:
            return known.model
        *_, registered_at, deprecated_at, _tier = await self.view("models", model_id)
        if registered_at == 0:
            self._known.pop(model_id, None)  # it was there before a reorg
            raise NotFound(
                f"no model has the id 0x{model_id.hex()}",
                hint="see `oracle model list`, and check that the endpoint is of the right chain",
            )
        if known is None or known.model.registered_at != registered_at:
            model = self._from_log(await self._registration(model_id))
        else:
            model = known.model
        return self._remember(
            replace(model, registered_at=registered_at, deprecated_at=deprecated_at)
        )

    async def look_up(self, model_ids: Collection[bytes]) -> None:
        """Reads the registrations of several models at once, for `model` to take up.

        One by one each takes a reading of the whole chain.
        """
        wanted = [one for one in model_ids if one not in self._known]
        if wanted:
            for log in await self._logs([to_hex(one) for one in wanted]):
                with suppress(SchemaError):  # said of the model itself, when it is asked for
                    self._looked_up[self._from_log(log).id] = log

    async def models(self) -> tuple[Model, ...]:
        """Every model, oldest first; those whose schema cannot be read are left out."""
        found = []
        for log in await self._logs():
            try:
                model = self._from_log(log)
            except SchemaError:
                continue
            *_, registered_at, deprecated_at, _tier = await self.view("models", model.id)
            found.append(
                self._remember(
                    replace(model, registered_at=registered_at, deprecated_at=deprecated_at)
                )
            )
        return tuple(found)

    def _remember(self, model: Model) -> Model:
        self._known[model.id] = _Known(model, time.monotonic())
        return model

    async def _logs(self, *more_topics: Topic) -> list[RawLog]:
        head = await self._rpc.latest()
        topics: list[Topic] = [to_hex(self.abi.events["ModelRegistered"].topic), *more_topics]
        return await self._scanner.scan(self._deployed_block, head.number, topics)

    async def _registration(self, model_id: bytes) -> RawLog:
        found = self._looked_up.pop(model_id, None)
        if found is not None:
            return found
        logs = await self._logs(to_hex(model_id))
        if not logs:
            raise ChainUnreachable(
                f"the node has model 0x{model_id.hex()} in storage but not its registration log",
                hint="use an endpoint that keeps old logs, and check `deployed_block`",
            )
        return logs[-1]

    def _from_log(self, log: RawLog) -> Model:
        """The model that a registration log describes, without its times."""
        event = self.abi.events["ModelRegistered"]
        try:
            topics = b"".join(to_bytes(topic) for topic in log["topics"][1:])
            (model_id, registrar), (terms, name, schema, uri) = event.decode(
                topics, to_bytes(log["data"])
            )
        except (UnreadableData, KeyError, ValueError) as error:
            raise ChainUnreachable(f"the node sent an unreadable log: {error}") from error
        model_terms = _terms(terms)
        if model_terms.model_id(registrar) != model_id:
            raise ChainUnreachable("the node sent a registration whose id is not of its terms")
        return Model(
            id=model_id,
            registrar=registrar,
            terms=model_terms,
            name=name,
            schema=ModelSchema.from_json(schema),
            uri=uri,
            registered_at=0,
            deprecated_at=0,
        )


def _terms(values: tuple[Any, ...]) -> ModelTerms:
    program_root, profile_hash, schema_hash, tier, *rest = values
    return ModelTerms(program_root, profile_hash, schema_hash, Tier(tier), *rest)
