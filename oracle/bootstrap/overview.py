"""Gathers what the operator's page shows: the database's figures, the chain's, the node's own.

What costs is made seldom: sums at most every few seconds and never more than a small part of the
time, the chain's facts in the background. Nothing is asked while nobody looks. Decides nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from oracle.bootstrap.troubles import Troubles
from oracle.chain.gateway import Gateway
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.client.market import OwnOffers
from oracle.core.economics import Estimate, outcome
from oracle.core.explanation import explain, objection_to_retry
from oracle.core.health import Health
from oracle.core.operator import Offer
from oracle.core.types import Address
from oracle.errors import NotFound, OracleError, SchemaError
from oracle.inference.model_library import ModelLibrary
from oracle.ports.overview import JobStory, OfferedModel, OperatorFacts, Overview, Sums
from oracle.service import journal
from oracle.service.funds import GAS_OF_AN_ANSWER
from oracle.service.node import Node
from oracle.service.retry import retry
from oracle.storage.overview import SqlOverview
from oracle.storage.storage import Storage

_JOBS: Final = 15
_SUMS_SECONDS: Final = 3.0
_SUMS_SHARE: Final = 20
"""Sums that take long are made after so many times as long."""
_CHAIN_SECONDS: Final = 8.0
_OFFERS_SECONDS: Final = 60.0
_FIRST_WAIT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Sources:
    """What the figures are read from.

    Attributes:
        senders: the keys that pay for transactions now.
        health: the judgement of this moment.
        credit: the contract that pays for answers in views, where there is one.
    """

    node: Node
    storage: Storage
    figures: SqlOverview
    chain: ChainSide
    troubles: Troubles
    health: Callable[[], Health]
    credit: Address | None = None


class ChainSide:
    """What the chain holds for an operator."""

    def __init__(
        self,
        rpc: Rpc,
        oracle: OracleBinding,
        staking: StakingBinding,
        models: RegistryBinding,
        library: ModelLibrary,
        operator: Address,
        payer: Callable[[], Address],
        senders: Callable[[], Collection[Address]],
        offers: OwnOffers,
    ) -> None:
        self._gateway = Gateway(rpc)
        self._oracle = oracle
        self._staking = staking
        self._models = models
        self._library = library
        self._operator = operator
        self._payer = payer
        self._senders = senders
        self._own_offers = offers
        self._offers: dict[bytes, Offer] = {}
        self._offers_at: float | None = None
        self.names: dict[bytes, str] = {}
        """Of every model that was looked up."""

    async def facts(self, wanted: Collection[bytes]) -> OperatorFacts:
        """All of it, and the names of these models. Raises ChainUnreachable or ChainRefused."""
        await self._read_offers()
        await self._name({*wanted, *self._offers})
        status = await self._staking.status(self._operator)
        account, claimable, fees = await asyncio.gather(
            self._oracle.account(status.payout),
            self._staking.claimable(self._operator),
            self._gateway.fees(),
        )
        payer = self._payer()
        senders = tuple(dict.fromkeys((payer, *self._senders())))
        coin = await asyncio.gather(*(self._gateway.balance(one) for one in senders))
        return OperatorFacts(
            read_at=time.time(),
            signer=status.signer,
            payout=status.payout,
            stake=status.stake,
            locked=status.locked,
            free=status.free,
            unanswered=status.unanswered,
            credit=account.balance,
            claimable=claimable,
            payer=payer,
            coin_wei=dict(zip(senders, coin, strict=True)),
            answer_wei=GAS_OF_AN_ANSWER * fees.max_fee,
            offers=[await self._offered(one, offer) for one, offer in self._offers.items()],
        )

    async def _read_offers(self) -> None:
        now = time.monotonic()
        if self._offers_at is None or now - self._offers_at > _OFFERS_SECONDS:
            self._offers = await self._own_offers.standing()
            self._offers_at = now

    async def _name(self, wanted: Collection[bytes]) -> None:
        new = [one for one in wanted if one not in self.names]
        if not new:
            return
        await self._models.look_up(new)
        for model_id in new:
            try:
                self.names[model_id] = (await self._models.model(model_id)).name
            except (NotFound, SchemaError):
                self.names[model_id] = ""

    async def _offered(self, model_id: bytes, offer: Offer) -> OfferedModel:
        try:
            model = await self._models.model(model_id)
        except (NotFound, SchemaError):
            return OfferedModel(model_id, "", "unknown", offer, here=False)
        here = self._library.has(model.terms.program_root, model.terms.tier)
        return OfferedModel(model_id, model.name, model.terms.tier.name.lower(), offer, here)


class NodeOverview:
    """Implements `ports.OverviewSource`, and `ports.OperatorActions`."""

    def __init__(self, sources: Sources) -> None:
        self._of = sources
        self._sums: dict[tuple[float, int], tuple[float, Sums]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._facts: OperatorFacts | None = None
        self._chain_trouble: str | None = None
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    async def overview(self, bucket_seconds: float, buckets: int) -> Overview:
        of = self._of
        jobs = await of.figures.latest(_JOBS)
        sums = await self._summed(bucket_seconds, buckets)
        wanted = {one.model_id for one in jobs} | {one.model_id for one in sums.models}
        await self._look_at_chain(wanted)
        return Overview(
            heartbeat=of.node.heartbeat(),
            health=of.health(),
            counts=await of.figures.counts(),
            jobs=jobs,
            sums=sums,
            chain=self._facts,
            chain_trouble=self._chain_trouble,
            demands=await of.storage.demands.pending(),
            troubles=of.troubles.latest(),
            names=of.chain.names,
        )

    async def story(self, request_id: bytes) -> JobStory:
        storage = self._of.storage
        job = await storage.jobs.job(request_id)
        line = await self._of.figures.line(request_id)
        if job is None or line is None:
            raise NotFound(f"there is no job 0x{request_id.hex()} here")
        transactions = await storage.transactions.transactions_for(request_id)
        now = time.time()
        return JobStory(
            job=job,
            line=line,
            model=self._of.chain.names.get(job.request.model_id),
            transactions=transactions,
            estimate=Estimate.from_json(job.economics) if job.economics else None,
            outcome=outcome(job, transactions),
            explanation=explain(job, transactions, now),
            retry_refused=objection_to_retry(job, now),
        )

    async def retry(self, request_id: bytes) -> str:
        job = await self._of.storage.jobs.job(request_id)
        if job is None:
            raise NotFound(f"there is no job 0x{request_id.hex()} here")
        moved = await retry(self._of.storage.jobs, job, time.time())
        journal.record([moved])
        return f"it was {job.state.value}, and is {moved.state.value}"

    def drain(self) -> str:
        self._of.node.drain()
        return "the node takes on no more, and ends when what is begun is finished"

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _summed(self, bucket_seconds: float, buckets: int) -> Sums:
        """The sums as they were a moment ago, or now."""
        async with self._one_at_a_time:
            key = (bucket_seconds, buckets)
            made = self._sums.get(key)
            began = time.monotonic()
            if made is not None and began < made[0]:
                return made[1]
            found = await self._of.figures.sums(time.time(), bucket_seconds, buckets)
            if self._of.credit is not None:
                views = await self._of.storage.vouchers.totals(self._of.credit)
                found = replace(found, views=views)
            took = time.monotonic() - began
            again = began + max(_SUMS_SECONDS, _SUMS_SHARE * took)
            self._sums[key] = (again, found)
            return found

    async def _look_at_chain(self, wanted: Collection[bytes]) -> None:
        """Has the facts read anew where they are old; waits only for the first, and not long."""
        now = time.monotonic()
        idle = self._reading is None or self._reading.done()
        if idle and (self._read_at is None or now - self._read_at > _CHAIN_SECONDS):
            self._reading = asyncio.create_task(self._read_chain(tuple(wanted)))
        if self._facts is None and self._chain_trouble is None and self._reading is not None:
            await asyncio.wait([self._reading], timeout=_FIRST_WAIT_SECONDS)

    async def _read_chain(self, wanted: Sequence[bytes]) -> None:
        try:
            self._facts = await self._of.chain.facts(wanted)
            self._chain_trouble = None
        except OracleError as error:
            self._chain_trouble = error.message
        finally:
            self._read_at = time.monotonic()
