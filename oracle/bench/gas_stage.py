"""One person for each part, so that every verb can be called as its caller would call it.

Sends real transactions and says what gas each used. Knows no budget and no table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from oracle.bench.flood import BOND, FEE, images
from oracle.bench.stage import Stage
from oracle.chain.oracle_contract import RequestParams
from oracle.chain.sender import Sent, TransactionSender
from oracle.core.event import RequestSeen
from oracle.core.receipt import Accept, Answer, AnswerCommitment, answer_batch_digest
from oracle.core.request import FIRST_SIGNED_NONCE, Request, data_hash
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Address
from oracle.devnet.accounts import Person
from oracle.ports.contracts import AnswerItem, SettleItem

RESULT = bytes(range(1, 49))
"""As long as the digit model's: a label of 8 bytes and ten probabilities of 4."""

CONSUMER = Address("0x00000000000000000000000000000000000C0Ffe")
CALLBACK_GAS = 100_000
_ACCEPTS_ANYTHING = "0x00"  # STOP
_REVERTS = "0x60006000fd"


@dataclass(slots=True)
class Players:
    """Plays the verbs on a stage that mines a block with each transaction."""

    on: Stage
    image: bytes = field(default_factory=lambda: images(1)[0])
    result: bytes = RESULT
    _signed: int = 0

    @property
    def owner(self) -> TransactionSender:
        return self.on.sender(Person.OWNER)

    @property
    def signer(self) -> TransactionSender:
        return self.on.sender(Person.SIGNER)

    @property
    def requester(self) -> TransactionSender:
        return self.on.sender(Person.REQUESTER)

    @property
    def relayer(self) -> TransactionSender:
        return self.on.sender(Person.RELAYER)

    async def to_oracle(self, who: TransactionSender, data: bytes) -> Sent:
        """Sends a call of the oracle."""
        return await who.send(self.on.contracts.oracle.address, data)

    async def to_staking(self, who: TransactionSender, data: bytes) -> Sent:
        """Sends a call of the staking contract."""
        return await who.send(self.on.contracts.staking.address, data)

    # ---- time and code

    async def pass_time(self, seconds: int) -> None:
        """Moves the chain's clock on by a block."""
        await self.on.devnet.rpc.request("evm_increaseTime", [seconds])
        await self.on.devnet.rpc.request("evm_mine")

    async def consumer_accepts(self, accepts: bool) -> None:
        """Puts a consumer in place that takes every notice at no cost, or refuses every one."""
        code = _ACCEPTS_ANYTHING if accepts else _REVERTS
        await self.on.devnet.rpc.request("anvil_setCode", [CONSUMER, code])

    # ---- asking

    async def params(self, *, named: bool = False, consumer: bool = False) -> RequestParams:
        """Terms of a request: open or named; with a consumer that is told, or without."""
        return RequestParams(
            consumer=CONSUMER if consumer else ZERO_ADDRESS,
            model_id=self.on.model_id,
            operator=self.on.operator if named else ZERO_ADDRESS,
            fee=FEE,
            bond=BOND,
            value_at_risk=0,
            deadline=(await self.on.devnet.rpc.latest()).timestamp + 60,
            window=self.on.contracts.deployment.parameters.default_window,
            callback_gas_limit=CALLBACK_GAS if consumer else 0,
            eager=False,
        )

    async def request(
        self, *, named: bool = False, consumer: bool = False, eager: bool = False
    ) -> tuple[Sent, Request]:
        """A prepaid request; a named one is accepted by the operator's standing offer."""
        params = replace(await self.params(named=named, consumer=consumer), eager=eager)
        data = self.on.contracts.oracle.request_data(params, self.image)
        return _made(await self.to_oracle(self.requester, data))

    async def request_with_pull(
        self, who: TransactionSender, *, named: bool = False
    ) -> tuple[Sent, Request]:
        """A request paid by allowance."""
        data = self.on.contracts.oracle.request_with_pull_data(
            await self.params(named=named), self.image
        )
        return _made(await self.to_oracle(who, data))

    async def request_by_signature(self) -> tuple[Sent, Request]:
        """A request that its requester signed and a relayer sent."""
        oracle = self.on.contracts.oracle
        values = (await self.params()).as_tuple()
        terms = Request(
            self.requester.address,
            FIRST_SIGNED_NONCE + self._signed,
            ZERO_ADDRESS,
            self.on.model_id,
            data_hash(self.image),
            *values[2:],  # type: ignore[arg-type]
        )
        self._signed += 1
        signature = self.requester.signer.sign_digest(terms.id(oracle.domain))
        data = oracle.request_by_signature_data(terms, self.image, signature)
        return _made(await self.to_oracle(self.relayer, data))

    async def requests(self, count: int, *, consumer: bool = False) -> list[Request]:
        """Several, each accepted by the standing offer."""
        return [(await self.request(named=True, consumer=consumer))[1] for _ in range(count)]

    # ---- serving

    async def accept(self, request: Request) -> Sent:
        oracle = self.on.contracts.oracle
        message = Accept(request.id(oracle.domain), self.on.operator, request.deadline)
        signature = self.signer.signer.sign_digest(message.digest(oracle.domain))
        return await self.to_oracle(self.signer, oracle.accept_data(request, message, signature))

    async def answer(self, request: Request) -> Sent:
        oracle = self.on.contracts.oracle
        signature = self.signer.signer.sign_digest(self._answer(request).digest(oracle.domain))
        item = AnswerItem(request, self.result, ZERO_BYTES32)
        return await self.to_oracle(
            self.signer, oracle.answer_data(item, self.on.operator, signature)
        )

    async def answer_batch(self, requests: Sequence[Request]) -> Sent:
        oracle = self.on.contracts.oracle
        answers = [self._answer(request) for request in requests]
        signature = self.signer.signer.sign_digest(answer_batch_digest(oracle.domain, answers))
        items = [AnswerItem(request, self.result, ZERO_BYTES32) for request in requests]
        return await self.to_oracle(
            self.signer, oracle.answer_batch_data(items, self.on.operator, signature)
        )

    async def settle(self, request: Request) -> Sent:
        data = self.on.contracts.oracle.settle_data(self._settlement(request))
        return await self.to_oracle(self.signer, data)

    async def settle_batch(self, requests: Sequence[Request]) -> Sent:
        items = [self._settlement(request) for request in requests]
        return await self.to_oracle(self.signer, self.on.contracts.oracle.settle_batch_data(items))

    async def retry_notice(self, request: Request) -> Sent:
        commitment = AnswerCommitment.of(self._answer(request))
        data = self.on.contracts.oracle.retry_notice_data(request, commitment, self.result)
        return await self.to_oracle(self.relayer, data)

    def _answer(self, request: Request) -> Answer:
        request_id = request.id(self.on.contracts.oracle.domain)
        return Answer.of(request_id, request, self.on.operator, self.result)

    def _settlement(self, request: Request) -> SettleItem:
        result = self.result if request.consumer != ZERO_ADDRESS else b""
        return SettleItem(request, AnswerCommitment.of(self._answer(request)), result)


def _made(sent: Sent) -> tuple[Sent, Request]:
    seen = next(event for event in sent.events if isinstance(event, RequestSeen))
    return sent, seen.request
