"""The client: asks as a requester and reads as anybody.

Reading needs no key. Everything it returns comes from the chain; it trusts no operator. Waiting
polls the contract's state, so that it works with any endpoint.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from oracle.chain.deployment import Deployment
from oracle.chain.gateway import Gateway
from oracle.chain.keystore import LocalSigner
from oracle.chain.oracle_contract import OracleBinding, RequestParams
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.sender import Sent, TransactionSender
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.token_contract import TokenBinding
from oracle.client.answer import InferenceAnswer
from oracle.client.market import StandingOffer, standing_offers
from oracle.client.receipt_reader import read_receipt
from oracle.client.story import Story, read_story
from oracle.core.event import RequestAccepted, RequestSeen
from oracle.core.model import Model
from oracle.core.receipt import Receipt
from oracle.core.request import Request, RequestState, minimum_bond
from oracle.core.tensor import decode_outputs, encode_inputs, input_batch
from oracle.core.types import ZERO_ADDRESS, Address, bytes32, format_opg
from oracle.errors import ConfigurationError, InputError, NoAnswer, NotFound, SignatureError
from oracle.ports import OnChainRequest

DEFAULT_TIME_TO_ANSWER_SECONDS = 600

Inputs = Mapping[str, ArrayLike] | Sequence[ArrayLike]


@dataclass(frozen=True, slots=True)
class Requested:
    """A request that was mined. `accepted` says whether an operator is already bound to it."""

    id: bytes
    request: Request
    accepted: bool
    sent: Sent


class OracleClient:
    """One deployment through one endpoint, with or without a key. Made by `connect`."""

    def __init__(self, rpc: Rpc, deployment: Deployment, signer: LocalSigner | None) -> None:
        self.rpc = rpc
        self.gateway = Gateway(rpc)
        self.deployment = deployment
        self.oracle = OracleBinding(rpc, deployment.oracle)
        self.staking = StakingBinding(rpc, deployment.staking)
        self.registry = RegistryBinding(
            rpc, deployment.registry, deployed_block=deployment.deployed_block
        )
        self.token = TokenBinding(rpc, deployment.token)
        self._sender = TransactionSender(rpc, signer) if signer else None
        self._allowance = asyncio.Lock()

    @property
    def sender(self) -> TransactionSender:
        """Sends for the client's key. Raises ConfigurationError where it has none."""
        if self._sender is None:
            raise ConfigurationError(
                "this needs a key and the client has none",
                hint="give a keystore: requester_keystore and password_file",
            )
        return self._sender

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

    async def offers(self, model_id: bytes) -> list[StandingOffer]:
        """Standing offers for a model, cheapest first."""
        return await standing_offers(
            self.rpc, self.staking, model_id, self.deployment.deployed_block
        )

    # ---- asking

    async def request(
        self,
        model: bytes | str,
        inputs: Inputs,
        *,
        fee: int | None = None,
        operator: Address | None = None,
        open_to_all: bool = False,
        bond: int | None = None,
        value_at_risk: int = 0,
        time_to_answer: int = DEFAULT_TIME_TO_ANSWER_SECONDS,
        window: int | None = None,
        consumer: Address = ZERO_ADDRESS,
        callback_gas_limit: int = 0,
        eager: bool = False,
        allow_rounding: bool | None = None,
    ) -> Requested:
        """Makes a request, from the prepaid account if it suffices, else by token allowance.

        Args:
            model: id or name.
            inputs: arrays by the schema's names, or in its order.
            fee: base units; the chosen offer's price by default.
            operator: who is to answer; the cheapest standing offer that takes it by default.
            open_to_all: let any operator accept; needs a fee.
            bond: base units; by default the smallest that the oracle and the value at risk allow.
            value_at_risk: what a wrong answer could cost, in base units.
            time_to_answer: seconds to the deadline.
            window: seconds to finality; the model's by default.
            consumer, callback_gas_limit, eager: who is notified, if anybody.
            allow_rounding: as in `core.tensor.encode_inputs`.

        Raises:
            TensorError: the inputs do not fit the model's schema.
            NotFound: no such model, or no standing offer takes the request.
            ContractReverted: the oracle refused the terms.
        """
        chosen = await self.model(model)
        data = encode_inputs(chosen.schema, inputs, allow_rounding=allow_rounding)
        fee, operator = await self._price(
            chosen, fee, operator, open_to_all, bond, value_at_risk, time_to_answer
        )
        params = RequestParams(
            consumer=consumer,
            model_id=chosen.id,
            operator=operator,
            fee=fee,
            bond=self._bond(chosen, fee, bond, value_at_risk),
            value_at_risk=value_at_risk,
            deadline=(await self.rpc.latest()).timestamp + time_to_answer,
            window=chosen.terms.challenge_window if window is None else window,
            callback_gas_limit=callback_gas_limit,
            eager=eager,
        )
        return await self.send_request(params, data)

    async def send_request(self, params: RequestParams, data: bytes) -> Requested:
        """Makes a request of given terms and input bytes; pays as `request` does."""
        account = await self.oracle.account(self.sender.address)
        if account.balance >= params.fee:
            calldata = self.oracle.request_data(params, data)
            sent = await self.sender.send(self.oracle.address, calldata)
        else:
            calldata = self.oracle.request_with_pull_data(params, data)
            sent = await self._send_paid(params.fee, calldata)
        seen = next(event for event in sent.events if isinstance(event, RequestSeen))
        return Requested(
            id=seen.request_id,
            request=seen.request,
            accepted=any(isinstance(event, RequestAccepted) for event in sent.events),
            sent=sent,
        )

    async def _price(
        self,
        model: Model,
        fee: int | None,
        operator: Address | None,
        open_to_all: bool,
        bond: int | None,
        value_at_risk: int,
        time_to_answer: int,
    ) -> tuple[int, Address]:
        if open_to_all:
            if fee is None or operator is not None:
                raise InputError("an open request needs a fee and names no operator")
            return fee, ZERO_ADDRESS
        if operator is not None:
            if fee is None:
                fee = (await self.staking.offer(operator, model.id)).price
            return fee, operator
        offers = await self.offers(model.id)
        for one in offers:
            price = one.offer.price if fee is None else fee
            needed = self._bond(model, price, bond, value_at_risk)
            if one.takes(price, needed, time_to_answer - 5):
                return price, one.operator
        known = ", ".join(
            f"{one.operator} from {format_opg(one.offer.price)} OPG" for one in offers
        )
        raise NotFound(
            f"no standing offer for {model.name} takes this request"
            + (f" (there are: {known})" if known else " (there are none)"),
            hint="raise the fee, lower the bond, or make it open to all with a fee",
        )

    @staticmethod
    def _bond(model: Model, fee: int, bond: int | None, value_at_risk: int) -> int:
        if bond is not None:
            return bond
        return max(minimum_bond(model.terms.min_bond, fee), value_at_risk)

    async def _send_paid(self, amount: int, calldata: bytes) -> Sent:
        """Allows the oracle to pull an amount, and has it pulled before another is allowed."""
        async with self._allowance:
            await self._allow(amount)
            return await self.sender.send(self.oracle.address, calldata)

    async def _allow(self, amount: int) -> None:
        allowance = await self.token.allowance(self.sender.address, self.oracle.address)
        if allowance < amount:
            await self.sender.send(
                self.token.address, self.token.approve_data(self.oracle.address, amount)
            )

    # ---- money

    async def deposit(self, amount: int) -> Sent:
        """Moves base units from the key's tokens to its account at the oracle."""
        return await self._send_paid(amount, self.oracle.deposit_data(self.sender.address, amount))

    async def withdraw(self, amount: int) -> Sent:
        """Moves base units from the key's account at the oracle to its tokens."""
        return await self.sender.send(
            self.oracle.address, self.oracle.withdraw_data(self.sender.address, amount)
        )

    # ---- ending what nobody answered

    async def cancel(self, request_id: bytes) -> Sent:
        """Takes back a request that nobody has accepted."""
        request = (await self.story(request_id)).created.request
        return await self.sender.send(self.oracle.address, self.oracle.cancel_data(request))

    async def reclaim(self, request_id: bytes) -> Sent:
        """Ends a request whose deadline has passed: expires it, or defaults its operator.

        Raises:
            InputError: it is already over, or it has been answered.
            ContractReverted: the deadline has not passed.
        """
        state = await self.state(request_id)
        request = (await self.story(request_id)).created.request
        if state.state is RequestState.REQUESTED:
            data = self.oracle.expire_data(request)
        elif state.state is RequestState.ACCEPTED:
            data = self.oracle.mark_defaulted_data(request, state.accepted_by)
        else:
            raise InputError(f"the request is {state.state.name.lower()}: nothing to reclaim")
        return await self.sender.send(self.oracle.address, data)

    # ---- reading

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


@asynccontextmanager
async def connect(
    rpc_url: str,
    deployment: Deployment | Path,
    signer: LocalSigner | None = None,
    *,
    timeout_seconds: float = 10.0,
) -> AsyncIterator[OracleClient]:
    """Opens a client and closes it.

    Raises:
        ConfigurationError: a bad deployment file.
        WrongChain: the endpoint does not serve the deployment's chain.
        ChainUnreachable: the endpoint does not answer.
    """
    where = Deployment.load(deployment) if isinstance(deployment, Path) else deployment
    rpc = await Rpc.connect(rpc_url, timeout_seconds=timeout_seconds)
    try:
        await where.verify(rpc)
        yield OracleClient(rpc, where, signer)
    finally:
        await rpc.close()
