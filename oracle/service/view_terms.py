"""The terms of the requests that answers in views are given to, as the operator would take them.

They are those that the caller would have to send: its own address, a nonce for signed requests, the
price of the operator's offer and the smallest bond. The same question within a minute has the same
terms, so it has the same answer, signed once. Runs and signs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from eth_utils.crypto import keccak

from oracle.core.model import Model, untimely
from oracle.core.operator import Demand, Offer
from oracle.core.request import FIRST_SIGNED_NONCE, Request, data_hash, minimum_bond
from oracle.core.typed_data import Domain, word
from oracle.core.types import ZERO_ADDRESS
from oracle.errors import NotFound, ViewRefused
from oracle.ports.clock import Clock
from oracle.ports.contracts import RegistryContract, StakingContract
from oracle.ports.jobs import JobStore
from oracle.ports.sending import TransactionGateway
from oracle.ports.views import ViewQuestion
from oracle.service.estimate import result_bytes
from oracle.service.policy import Circumstances, Policy, objection

_STEP_SECONDS: Final = 60
"""Deadlines are whole minutes, so that the same question comes to the same request."""

_FACTS_LAST_SECONDS: Final = 1.0
"""So long the chain is not asked again: anybody may ask a gateway, and it pays for the calls."""

_MOST_POSTED: Final = 16
"""Requests of one caller, about one input, in one minute, that may have been sent already."""


@dataclass(frozen=True, slots=True)
class ViewRules:
    """What is answered in views.

    Attributes:
        prices: in base units, by names or 0x-ids; 0 for a model whose answers are free.
        seconds: shortest time for which a receipt can be posted.
        margin_seconds: so long before the deadline the acceptance ends.
        dispute_allowance: the deployment's, in seconds.
    """

    prices: Mapping[str, int]
    seconds: int
    margin_seconds: int
    dispute_allowance: int


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a question is judged by, as of one look."""

    model: Model
    offer: Offer
    free: int
    gas_price: int
    chain_time: int
    looked_at: float


class ViewTerms:
    def __init__(
        self,
        jobs: JobStore,
        registry: RegistryContract,
        staking: StakingContract,
        gateway: TransactionGateway,
        clock: Clock,
        domain: Domain,
        policy: Policy,
        rules: ViewRules,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._staking = staking
        self._gateway = gateway
        self._clock = clock
        self._domain = domain
        self._policy = policy
        self.rules = rules
        self._facts: dict[bytes, _Facts] = {}

    async def model(self, model_id: bytes) -> Model:
        """The model of a question, where it is answered in views here. Raises NotFound."""
        model = await self._registry.model(model_id)
        if self._price(model) is None:
            raise NotFound(f"model 0x{model_id.hex()} is not answered in views here")
        return model

    def price(self, model: Model) -> int:
        """What an answer of such a model costs, in base units; 0 for nothing."""
        return self._price(model) or 0

    def _price(self, model: Model) -> int | None:
        prices = self.rules.prices
        return prices.get("0x" + model.id.hex(), prices.get(model.name))

    async def request(self, question: ViewQuestion, model: Model) -> Request:
        """The request that an answer is given to; one that nobody has sent, as far as is known.

        Raises:
            NotFound: the operator's standing offer takes no such request, whenever it is asked.
            ViewRefused: it would not take such a request now.
        """
        facts = await self._look(question, model)
        base = self._plain(question, facts)
        reason = (
            _beyond(facts.offer, base)
            or (None if facts.model.live else "the model is deprecated")
            or untimely(model.terms.reveal_window, self.rules.dispute_allowance)
        )
        if reason is not None:
            raise NotFound(f"not answered in views: {reason}")
        circumstances = Circumstances(
            facts.chain_time,
            facts.free,
            facts.gas_price,
            result_bytes=result_bytes(facts.model.schema, question.input),
        )
        reason = objection(base, circumstances, _bound_by_offer(self._policy))
        if reason is not None:
            raise ViewRefused(f"not answered now: {reason}")
        candidates = [_numbered(base, number) for number in range(_MOST_POSTED)]
        ids = [one.id(self._domain) for one in candidates]
        sent = {job.request_id for job in await self._jobs.jobs_of(ids)}
        for request, request_id in zip(candidates, ids, strict=True):
            if request_id not in sent:
                return request
        raise ViewRefused(
            f"{_MOST_POSTED} requests of this caller for this input were sent in this minute"
        )

    def _plain(self, question: ViewQuestion, facts: _Facts) -> Request:
        # A chain's clock is behind ours by up to a block, or for ever where nobody sends anything.
        now = max(facts.chain_time, int(self._clock.now()))
        deadline = (now // _STEP_SECONDS + 1) * _STEP_SECONDS + self.rules.seconds
        return Request(
            requester=question.caller,
            nonce=FIRST_SIGNED_NONCE,
            consumer=ZERO_ADDRESS,
            model_id=question.model_id,
            input_hash=data_hash(question.input),
            operator=question.operator,
            fee=facts.offer.price,
            bond=minimum_bond(facts.model.terms.min_bond, facts.offer.price),
            value_at_risk=0,
            deadline=deadline,
            window=facts.model.terms.challenge_window,
            callback_gas_limit=0,
            eager=False,
        )

    async def _look(self, question: ViewQuestion, model: Model) -> _Facts:
        now = self._clock.now()
        known = self._facts.get(model.id)
        if known is not None and 0 <= now - known.looked_at < _FACTS_LAST_SECONDS:
            return known
        offer = await self._staking.offer(question.operator, model.id)
        if not offer.capacity:
            raise NotFound(
                f"the operator has no standing offer for model 0x{model.id.hex()}",
                hint="`oracle operator offer MODEL`: a view's fee is its price",
            )
        status = await self._staking.status(question.operator)
        fees = await self._gateway.fees()
        chain_time = await self._gateway.chain_time()
        facts = _Facts(model, offer, status.free, fees.max_fee, chain_time, now)
        self._facts[model.id] = facts  # of models that this operator offers: few
        return facts


def _beyond(offer: Offer, request: Request) -> str | None:
    """What of the operator's offer a request is beyond; the time, which is for the work, is not."""
    asked = Demand(request.fee, request.bond, offer.min_time, request.window, 0)
    return next(offer.objections(asked), None)


def _bound_by_offer(policy: Policy) -> Policy:
    """The policy without the bounds that stand in for the offer's: it binds the operator to these
    terms whatever they say, and a view is paid by a price of its own."""
    return replace(policy, minimum_fee=None, max_window_seconds=None)


def _numbered(base: Request, number: int) -> Request:
    """The terms with a nonce that nobody else's have, for the n-th of the same question."""
    digest = keccak(base.struct_hash() + word(number))
    nonce = FIRST_SIGNED_NONCE | int.from_bytes(digest[:8], "big") & (FIRST_SIGNED_NONCE - 1)
    return replace(base, nonce=nonce)
