"""The usual scene: a model, an operator with stake, a requester with money, and the verbs of both.

Every verb goes through the bindings to the chain, so a test reads as the protocol happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle.chain.contracts import Contracts
from oracle.chain.oracle_contract import RequestParams
from oracle.chain.sender import Sent, TransactionSender
from oracle.core.event import RequestSeen
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.operator import Offer
from oracle.core.receipt import Accept, Answer, AnswerCommitment, answer_batch_digest
from oracle.core.request import FIRST_SIGNED_NONCE, Request, data_hash
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Address, Tier
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import deposit, fund, register_model, register_operator
from oracle.ports.contracts import AnswerItem, SettleItem
from tests.support.anvil import Chain

OPG = 10**18
FEE = OPG
BOND = 20 * FEE
STAKE = 10_000 * OPG
INPUT = bytes(range(16))
RESULT = b"\x00\x00\x80?" * 2

SCHEMA = ModelSchema(
    inputs=(TensorSpec("x", ElementType.FLOAT32, (None, 4)),),
    outputs=(TensorSpec("y", ElementType.FLOAT32, (None, 2)),),
)


def terms(number: int = 1) -> ModelTerms:
    """A model's terms; each number gives another model."""
    return ModelTerms(
        program_root=number.to_bytes(32, "big"),
        profile_hash=ZERO_BYTES32,
        schema_hash=SCHEMA.schema_hash,
        tier=Tier.UNPROVEN,
        challenge_window=5,
        reveal_window=0,
        min_bond=OPG,
        epsilon=UNCERTIFIED,
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """A model, its operator and a requester; `request_*` and the like play one verb each."""

    chain: Chain
    contracts: Contracts
    model_id: bytes
    owner: TransactionSender
    signer: TransactionSender
    requester: TransactionSender

    @classmethod
    async def set(cls, chain: Chain, contracts: Contracts, offer: Offer | None = None) -> Scene:
        treasurer = chain.sender(Person.DEPLOYER)
        owner = chain.sender(Person.OWNER)
        signer = chain.sender(Person.SIGNER)
        requester = chain.sender(Person.REQUESTER)
        model_id = await register_model(
            owner, contracts, terms(), name="test", schema=SCHEMA, uri="file:///test.onnx"
        )
        await fund(treasurer, contracts, owner.address, opg=STAKE)
        await fund(treasurer, contracts, requester.address, opg=1_000 * OPG)
        await register_operator(
            owner,
            contracts,
            signer=signer.address,
            payout=chain.sender(Person.PAYOUT).address,
            bond=STAKE,
            offers={} if offer is None else {model_id: offer},
        )
        await deposit(requester, contracts, 500 * OPG)
        return cls(chain, contracts, model_id, owner, signer, requester)

    # ---- the requester

    async def params(
        self,
        *,
        operator: Address = ZERO_ADDRESS,
        consumer: Address = ZERO_ADDRESS,
        seconds: int = 600,
        eager: bool = False,
    ) -> RequestParams:
        return RequestParams(
            consumer=consumer,
            model_id=self.model_id,
            operator=operator,
            fee=FEE,
            bond=BOND,
            value_at_risk=0,
            deadline=await self.chain.time() + seconds,
            window=5,
            callback_gas_limit=100_000,
            eager=eager,
        )

    async def request(
        self, params: RequestParams | None = None, request_input: bytes = INPUT
    ) -> RequestSeen:
        """Asks, paid from the requester's account."""
        calldata = self.contracts.oracle.request_data(params or await self.params(), request_input)
        return seen(await self.requester.send(self.contracts.oracle.address, calldata))

    def signed_terms(self, params: RequestParams, number: int = 0) -> Request:
        """The terms of a gasless request of the requester."""
        values = params.as_tuple()
        return Request(
            self.requester.address,
            FIRST_SIGNED_NONCE + number,
            params.consumer,
            params.model_id,
            data_hash(INPUT),
            *values[2:],  # type: ignore[arg-type]
        )

    async def cancel(self, request: Request) -> Sent:
        oracle = self.contracts.oracle
        return await self.requester.send(oracle.address, oracle.cancel_data(request))

    # ---- the operator

    async def accept(self, request: Request) -> Sent:
        oracle = self.contracts.oracle
        acceptance = Accept(request.id(oracle.domain), self.owner.address, request.deadline)
        signature = self.signer.signer.sign_digest(acceptance.digest(oracle.domain))
        return await self.signer.send(
            oracle.address, oracle.accept_data(request, acceptance, signature)
        )

    def answer_of(self, request: Request, result: bytes = RESULT) -> Answer:
        request_id = request.id(self.contracts.oracle.domain)
        return Answer.of(request_id, request, self.owner.address, result)

    def answer_call(self, request: Request, result: bytes = RESULT) -> bytes:
        """Calldata of an answer, signed."""
        oracle = self.contracts.oracle
        digest = self.answer_of(request, result).digest(oracle.domain)
        return oracle.answer_data(
            AnswerItem(request, result, ZERO_BYTES32),
            self.owner.address,
            self.signer.signer.sign_digest(digest),
        )

    async def answer(self, request: Request, result: bytes = RESULT) -> Sent:
        oracle = self.contracts.oracle
        return await self.signer.send(oracle.address, self.answer_call(request, result))

    def answer_batch_call(self, requests: Sequence[Request], result: bytes = RESULT) -> bytes:
        """Calldata of a batch of answers under one signature."""
        oracle = self.contracts.oracle
        answers = [self.answer_of(request, result) for request in requests]
        signature = self.signer.signer.sign_digest(answer_batch_digest(oracle.domain, answers))
        items = [AnswerItem(request, result, ZERO_BYTES32) for request in requests]
        return oracle.answer_batch_data(items, self.owner.address, signature)

    def settle_item(self, request: Request, result: bytes = RESULT) -> SettleItem:
        return SettleItem(request, self.commitment(request, result), result)

    def commitment(self, request: Request, result: bytes = RESULT) -> AnswerCommitment:
        return AnswerCommitment.of(self.answer_of(request, result))

    async def settle(self, request: Request, result: bytes = RESULT) -> Sent:
        oracle = self.contracts.oracle
        calldata = oracle.settle_data(self.settle_item(request, result))
        return await self.signer.send(oracle.address, calldata)

    async def until_final(self, request: Request) -> None:
        """Travels past the end of the challenge window."""
        state = await self.contracts.oracle.state_of(request.id(self.contracts.oracle.domain))
        await self.chain.travel_past(state.settle_at)


def seen(sent: Sent) -> RequestSeen:
    """The request that a transaction made."""
    (event,) = (event for event in sent.events if isinstance(event, RequestSeen))
    return event
