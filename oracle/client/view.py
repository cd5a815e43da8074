"""What anybody can read of a deployment: models, offers, requests, answers, receipts.

Needs no key. Everything it returns comes from the chain; it trusts no operator. Waiting polls the
contract's state, so that it works with any endpoint.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Literal

from oracle.chain.deployment import Deployment
from oracle.chain.gateway import Gateway
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.token_contract import TokenBinding
from oracle.client.answer import InferenceAnswer
from oracle.client.endpoint import endpoint_of
from oracle.client.market import StandingOffer, standing_offers
from oracle.client.receipt_reader import read_receipt
from oracle.client.story import Story, read_story
from oracle.core.model import Model
from oracle.core.receipt import Receipt
from oracle.core.request import RequestState
from oracle.core.tensor import decode_outputs, input_batch
from oracle.core.types import Address, bytes32
from oracle.errors import InputError, NoAnswer, NotFound, SignatureError
from oracle.ports import OnChainRequest


class OracleView:
    """One deployment through one endpoint, as anybody sees it."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self.rpc = rpc
        self.gateway = Gateway(rpc)
        self.deployment = deployment
        self.oracle = OracleBinding(rpc, deployment.oracle)
        self.staking = StakingBinding(rpc, deployment.staking)
        self.registry = RegistryBinding(
            rpc, deployment.registry, deployed_block=deployment.deployed_block
        )
        self.token = TokenBinding(rpc, deployment.token)

    # ---- models and offers

    async def model(self, reference: bytes | str) -> Model:
        """A model by its id, its 0x-hex id, or its name where that is unique among live models.

        Raises:
            NotFound: no such model.
            InputError: several live models have this name.
        """
        if isinstance(reference, bytes):
            return await self.registry.model(reference)
        if reference.startswith("0x") and len(reference) == 66:
            return await self.registry.model(bytes32(reference, what="model id"))
        named = [m for m in await self.registry.models() if m.name == reference and m.live]
        if not named:
            raise NotFound(f"no live model is named {reference!r}", hint="see `oracle model list`")
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

    async def offers(self, model_id: bytes) -> list[StandingOffer]:
        """Standing offers for a model, cheapest first."""
        return await standing_offers(
            self.rpc, self.staking, model_id, self.deployment.deployed_block
        )

    # ---- requests

    async def state(self, request_id: bytes) -> OnChainRequest:
        """What the oracle stores of a request."""
        return await self.oracle.state_of(request_id)

    async def story(self, request_id: bytes) -> Story:
        """Everything that happened to a request. Raises NotFound."""
        return await read_story(
            self.rpc, self.oracle.address, request_id, self.deployment.deployed_block
        )

    async def wait(
        self,
        request_id: bytes,
        *,
        until: Literal["answered", "final"] = "final",
        timeout: float = 600.0,
        poll_seconds: float = 0.25,
    ) -> InferenceAnswer:
        """Waits for the answer; by default until it can no longer be disputed.

        Raises:
            NoAnswer: the request ended without one, or `timeout` seconds passed.
            NotFound: the oracle has never seen this id.
        """
        give_up_at = time.monotonic() + timeout
        while True:
            state = await self.state(request_id)
            if state.state is RequestState.NONE:
                raise NotFound(f"the oracle has no request 0x{request_id.hex()}")
            if state.state is RequestState.SETTLED:
                return await self.result(request_id)
            if state.state.terminal:
                raise NoAnswer(f"the request ended {state.state.name.lower()}, without an answer")
            if state.state is RequestState.ANSWERED and (
                until == "answered" or (await self.rpc.latest()).timestamp >= state.settle_at
            ):
                return await self.result(request_id)
            if time.monotonic() >= give_up_at:
                raise NoAnswer(
                    f"no answer after {timeout:g} s; the request is {state.state.name.lower()}",
                    hint="after the deadline, `oracle reclaim` gets the fee back",
                )
            await asyncio.sleep(poll_seconds)

    async def result(self, request_id: bytes) -> InferenceAnswer:
        """The answer as it stands on chain.

        Raises:
            NoAnswer: there is none (yet), or it was voided.
            NotFound: the oracle has never seen this id.
            TensorError: the posted result does not fit the model's schema.
        """
        story = await self.story(request_id)
        answered = story.answered
        state = await self.state(request_id)
        if answered is None or state.state is RequestState.SLASHED:
            raise NoAnswer(f"the request is {state.state.name.lower()} and has no answer")
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

    async def receipt(self, request_id: bytes) -> Receipt:
        """The signed receipt of the answer, read back from the chain.

        Raises:
            NoAnswer: there is no answer.
            NotFound: its signature cannot be read from calldata.
        """
        story = await self.story(request_id)
        if story.answered is None:
            raise NoAnswer("the request has no answer, so there is no receipt")
        model = await self.registry.model(story.created.request.model_id)
        return await read_receipt(
            self.rpc, self.deployment.domain, story.answered, model.terms.tier
        )

    async def verify_signature(self, receipt: Receipt) -> None:
        """Checks that the receipt's signer signed it, and that it was the operator's to sign with.

        Raises:
            SignatureError: it did not, or it was never a signer of that operator here.
        """
        if receipt.domain != self.deployment.domain:
            raise SignatureError("the receipt is of another chain or another oracle")
        receipt.verify()
        operator = receipt.answer.operator
        if not await self.staking.was_signer(operator, receipt.signer):
            raise SignatureError(f"{receipt.signer} was never a signer of {operator}")
