"""What anybody can read of a deployment: models, offers, requests, answers, receipts.

Needs no key. Everything it returns comes from the chain; it trusts no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from oracle.chain.credit_contract import CreditBinding
from oracle.chain.deployment import Deployment
from oracle.chain.gateway import Gateway
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.token_contract import TokenBinding
from oracle.chain.views_contract import ViewsBinding
from oracle.client import arguments
from oracle.client.answer import InferenceAnswer
from oracle.client.deprecated import WHAT_THEN, ended, require_live
from oracle.client.endpoint import endpoint_of
from oracle.client.market import StandingOffer, all_offers, standing_offers
from oracle.client.offchain_lookup import is_local
from oracle.client.receipt_reader import read_receipt
from oracle.client.story import Story, read_story
from oracle.client.view_call import Inputs, ViewedAnswer, view, views_at, with_gateways
from oracle.client.view_payment import SpendingLimit
from oracle.client.waiting import Until, Waiting, wait_for_answer
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.receipt import Receipt
from oracle.core.request import RequestState
from oracle.core.signing import Signing
from oracle.core.tensor import decode_outputs, input_batch
from oracle.core.types import Address, bytes32
from oracle.errors import (
    ConfigurationError,
    InputError,
    NoAnswer,
    NoAnswerYet,
    NotFound,
    SignatureError,
)
from oracle.ports.contracts import OnChainRequest

_MOST_DEADLINES: Final = 10_000


class OracleReader:
    """One deployment through one endpoint, as anybody sees it."""

    def __init__(
        self, rpc: Rpc, deployment: Deployment, private_endpoints: bool | None = None
    ) -> None:
        self.rpc = rpc
        self.asks_private: bool = (
            all(is_local(one["address"]) for one in rpc.reports())
            if private_endpoints is None
            else private_endpoints
        )
        """Whether URLs that operators announced are asked where they lead to private addresses."""
        self.gateway = Gateway(rpc)
        self.deployment = deployment
        self.oracle = OracleBinding(rpc, deployment.oracle)
        self.staking = StakingBinding(rpc, deployment.staking)
        self.registry = RegistryBinding(
            rpc, deployment.registry, deployed_block=deployment.deployed_block
        )
        self.token = TokenBinding(rpc, deployment.token)
        self._deadlines: dict[bytes, int] = {}

    # ---- models and offers

    async def model(self, reference: bytes | str) -> Model:
        """A model by its id, its 0x-hex id, or its name where that is unique among live models.

        Raises:
            NotFound: no such model.
            InputError: several live models have this name.
        """
        reference = arguments.reference(reference)
        if isinstance(reference, bytes):
            return await self.registry.model(bytes32(reference, what="model id"))
        if reference.startswith("0x") and len(reference) == 66:
            return await self.registry.model(bytes32(reference, what="model id"))
        models = await self.registry.models()
        live = [model for model in models if model.live]
        named = [model for model in live if model.name == reference]
        if not named:
            gone = [model for model in models if model.name == reference]
            if gone:
                latest = max(gone, key=lambda model: model.deprecated_at)
                raise NotFound(
                    f"no live model is named {reference!r}: {ended(latest)}", hint=WHAT_THEN
                )
            raise NotFound(
                f"no live model is named {reference!r}",
                hint=_what_was_meant(reference, [model.name for model in live]),
            )
        if len(named) > 1:
            raise InputError(
                f"{len(named)} live models are named {reference!r}: "
                + ", ".join("0x" + model.id.hex() for model in named),
                hint="name it by its id",
            )
        return named[0]

    async def endpoint(self, operator: Address) -> str | None:
        """Where an operator's services are found, if it has announced an http(s) URL."""
        return await endpoint_of(self.rpc, self.staking, operator, self.deployment.deployed_block)

    async def offers(self, model_id: bytes | str) -> list[StandingOffer]:
        """Standing offers for a model, cheapest first."""
        key = bytes32(model_id, what="model id")
        return await standing_offers(self.rpc, self.staking, key, self.deployment.deployed_block)

    async def all_offers(self) -> dict[bytes, list[Offer]]:
        """Every operator's offers by model id, cheapest first."""
        return await all_offers(self.rpc, self.staking, self.deployment.deployed_block)

    # ---- answers in views

    @property
    def views(self) -> ViewsBinding:
        """The contract that checks them. Raises ConfigurationError where there is none."""
        return views_at(self.rpc, self.deployment)

    @property
    def credit(self) -> CreditBinding:
        """The contract of the credit for views. Raises ConfigurationError where there is none."""
        if self.deployment.credit is None:
            raise ConfigurationError(
                "this deployment has no credit for views",
                hint="deploy ViewCredit, and name it as `credit` in the deployment file",
            )
        return CreditBinding(self.rpc, self.deployment.credit)

    @property
    def own_address(self) -> Address | None:
        """Whose views these are where it is not said; whoever only reads has none."""
        return None

    async def view(
        self,
        model: bytes | str,
        inputs: Inputs,
        *,
        caller: Address | None = None,
        operator: Address | None = None,
        allow_rounding: bool | None = None,
        max_price: int | None = None,
    ) -> ViewedAnswer:
        """A signed answer without a transaction, checked by the contract as of the latest block.

        Until its receipt is posted (`OracleClient.post`) nothing is locked behind it.

        Args:
            model: id or name.
            caller: whom the answer is for, and who alone can post its receipt; the client's own
                address by default.
            operator: who is to answer; the cheapest with gateways by default.
            max_price: base units that the answer may cost, of the credit with the operator; the
                client's key signs a voucher for it where the gateway asks. Free ones by default.

        Raises:
            PaymentRequired: it costs more; says how much.
            ViewRefused: no gateway gives an answer.
            ContractReverted: what it gave is not to be believed, and why.
        """
        caller = None if caller is None else arguments.account(caller, "caller")
        operator = None if operator is None else arguments.account(operator, "operator")
        max_price = None if max_price is None else arguments.amount(max_price, "max_price")
        inputs = arguments.arrays(inputs)
        asker = caller or self.own_address
        if asker is None:
            raise InputError(
                "an answer in a view is given to an address, and none is named",
                hint="name the one whose key could post the receipt (--from)",
            )
        chosen = await self.model(model)
        require_live(chosen)
        if operator is None:
            operator = await with_gateways(self.views, chosen, await self.offers(chosen.id))
        return await view(
            self.rpc,
            self.deployment,
            chosen,
            inputs,
            caller=asker,
            operator=operator,
            allow_rounding=allow_rounding,
            limit=None if max_price is None else SpendingLimit(self._paying, max_price),
            public_only=not self.asks_private,
        )

    @property
    def _paying(self) -> Signing:
        """The key that signs vouchers."""
        raise ConfigurationError(
            "an answer that costs something is paid by a key, and this client has none",
            hint="connect with a signer: `LocalSigner.from_keystore(file, password)`",
            cli_hint="set requester_keystore and password_file",
        )

    # ---- requests

    # Ids are bytes, or 0x-hex as it is printed.

    async def state(self, request_id: bytes | str) -> OnChainRequest:
        """What the oracle stores of a request."""
        return await self.oracle.state_of(bytes32(request_id, what="request id"))

    async def story(self, request_id: bytes | str) -> Story:
        """Everything that happened to a request. Raises NotFound."""
        key = bytes32(request_id, what="request id")
        return await read_story(self.rpc, self.oracle.address, key, self.deployment.deployed_block)

    async def deadline(self, request_id: bytes | str) -> int:
        """Unix second after which a request cannot be answered. Raises NotFound."""
        key = bytes32(request_id, what="request id")
        if key not in self._deadlines:
            self._keep_deadline(key, (await self.story(key)).created.request.deadline)
        return self._deadlines[key]

    def _keep_deadline(self, request_id: bytes, deadline: int) -> None:
        while len(self._deadlines) >= _MOST_DEADLINES:
            del self._deadlines[next(iter(self._deadlines))]
        self._deadlines[request_id] = deadline

    async def wait(
        self,
        request_id: bytes | str,
        *,
        until: Until = "final",
        timeout: float = 600.0,
        poll_seconds: float = 0.25,
        look: Callable[[Waiting], None] | None = None,
    ) -> InferenceAnswer:
        """Waits for the answer; by default until it can no longer be disputed.

        Args:
            until: "answered" for an answer that can still be disputed.
            timeout: seconds on this machine's clock.
            look: is told at each look at the chain what is waited for.

        Raises:
            NoAnswerYet: `timeout` seconds passed, and the answer may still come.
            NoAnswer: none will: the request ended without one, or its deadline passed without one
                by the chain's clock.
            NotFound: the oracle has never seen this id.
        """
        if until not in ("answered", "final"):
            raise InputError(
                f"{until!r} is nothing to wait for", hint='wait until="answered" or until="final"'
            )
        return await wait_for_answer(
            self,
            bytes32(request_id, what="request id"),
            until=until,
            timeout=arguments.duration(timeout, "timeout"),
            poll_seconds=arguments.duration(poll_seconds, "poll_seconds"),
            look=look,
        )

    async def result(self, request_id: bytes | str) -> InferenceAnswer:
        """The answer as it stands on chain.

        Raises:
            NoAnswerYet: there is none so far.
            NoAnswer: there will be none, or it was voided.
            NotFound: the oracle has never seen this id.
            TensorError: the posted result does not fit the model's schema.
        """
        request_id = bytes32(request_id, what="request id")
        story = await self.story(request_id)
        answered = story.answered
        state = await self.state(request_id)
        if answered is None or state.state is RequestState.SLASHED:
            kind = NoAnswer if state.state.terminal else NoAnswerYet
            raise kind(f"the request is {state.state.name.lower()} and has no answer")
        model = await self.registry.model(story.created.request.model_id)
        outputs: Mapping[str, Any] = {}
        if answered.result:
            batch = input_batch(model.schema, len(story.created.input))
            outputs = decode_outputs(model.schema, answered.result, batch)
        final = state.state is RequestState.SETTLED or (
            state.state is RequestState.ANSWERED
            and (await self.rpc.latest()).timestamp >= state.settle_at
        )
        return InferenceAnswer(
            request_id=request_id,
            operator=answered.operator,
            outputs=outputs,
            result=answered.result,
            tier=model.terms.tier,
            final=final,
            settle_at=state.settle_at,
            epsilon=model.terms.epsilon,
        )

    async def receipt(self, request_id: bytes | str) -> Receipt:
        """The signed receipt of the answer, read back from the chain.

        Raises:
            NoAnswerYet, NoAnswer: as `result`.
            NotFound: its signature cannot be read from calldata.
        """
        story = await self.story(request_id)
        if story.answered is None:
            kind = NoAnswer if story.state.terminal else NoAnswerYet
            raise kind("the request has no answer, so there is no receipt")
        model = await self.registry.model(story.created.request.model_id)
        return await read_receipt(
            self.rpc, self.deployment.domain, story.answered, model.terms.tier
        )

    async def verify_signature(self, receipt: Receipt) -> None:
        """Checks that the receipt's signer signed it, and that it was the operator's to sign with.

        Raises:
            SignatureError: it did not, or it was never a signer of that operator here.
        """
        arguments.receipt(receipt)
        if receipt.domain != self.deployment.domain:
            raise SignatureError("the receipt is of another chain or another oracle")
        receipt.verify()
        operator = receipt.answer.operator
        if not await self.staking.was_signer(operator, receipt.signer):
            raise SignatureError(f"{receipt.signer} was never a signer of {operator}")


def _what_was_meant(reference: str, names: Sequence[str]) -> str:
    """The next step for who gave what names no live model."""
    if reference.startswith("0x"):
        return (
            f"an id is 0x and 64 hex digits, and this has {len(reference) - 2}; `oracle model list "
            "--json` has them whole"
        )
    near = get_close_matches(reference, sorted(set(names)), n=1)
    return f"did you mean {near[0]}? See `oracle model list`" if near else "see `oracle model list`"
