"""The `InferenceOracle` contract: its verbs as calldata, and its views.

Implements `ports.OracleContract` and adds what clients, watchers and the command line need. Knows
nothing of who signs or sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from oracle.chain.binding import Binding
from oracle.chain.coder import UnreadableData
from oracle.chain.rpc import Rpc
from oracle.core.receipt import Accept, AnswerCommitment
from oracle.core.request import DeliveryState, Request, RequestState
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.errors import ChainUnreachable
from oracle.ports.contracts import AnswerItem, OnChainRequest, SettleItem


@dataclass(frozen=True, slots=True)
class RequestParams:
    """Terms that a direct caller chooses, in ABI order; units as in `core.request.Request`."""

    consumer: Address
    model_id: bytes
    operator: Address
    fee: int
    bond: int
    value_at_risk: int
    deadline: int
    window: int
    callback_gas_limit: int
    eager: bool

    def as_tuple(self) -> tuple[object, ...]:
        return astuple(self)


@dataclass(frozen=True, slots=True)
class Account:
    """A requester's account: OPG base units that are free, and the nonce of the next request."""

    balance: int
    nonce: int


@dataclass(frozen=True, slots=True)
class OracleLimits:
    """What the deployment allows. Times in seconds, gas in units, shares in basis points."""

    max_ttl: int
    max_window: int
    dispute_allowance: int
    max_input_bytes: int
    max_callback_gas: int
    bond_multiple: int
    liveness_multiple: int
    default_requester_bps: int
    fraud_requester_bps: int
    fraud_watcher_bps: int


@dataclass(frozen=True, slots=True)
class OracleWiring:
    """The addresses that the oracle was deployed with."""

    token: Address
    staking: Address
    registry: Address
    court: Address


class OracleBinding(Binding):
    """One deployed oracle."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        super().__init__(rpc, "InferenceOracle", address)
        self.domain = Domain(rpc.chain_id, address)

    # ---- the ledger

    def deposit_data(self, account: Address, amount: int) -> bytes:
        return self.encode("deposit", account, amount)

    def withdraw_data(self, to: Address, amount: int) -> bytes:
        return self.encode("withdraw", to, amount)

    # ---- asking

    def request_data(self, params: RequestParams, request_input: bytes) -> bytes:
        """Paid from the caller's account."""
        return self.encode("request", params.as_tuple(), request_input)

    def request_with_pull_data(self, params: RequestParams, request_input: bytes) -> bytes:
        """Paid by the caller's token allowance."""
        return self.encode("requestWithPull", params.as_tuple(), request_input)

    def request_by_signature_data(
        self, request: Request, request_input: bytes, signature: bytes
    ) -> bytes:
        """Sent by anyone, signed by the requester: a signature of the request's id."""
        return self.encode("requestBySignature", request.as_tuple(), request_input, signature)

    def cancel_data(self, request: Request) -> bytes:
        return self.encode("cancel", request.as_tuple())

    # ---- answering

    def accept_data(self, request: Request, acceptance: Accept, signature: bytes) -> bytes:
        return self.encode("accept", request.as_tuple(), astuple(acceptance), signature)

    def answer_data(self, item: AnswerItem, operator: Address, signature: bytes) -> bytes:
        return self.encode("answer", _answer_item(item), operator, signature)

    def answer_batch_data(
        self, items: Sequence[AnswerItem], operator: Address, signature: bytes
    ) -> bytes:
        return self.encode("answerBatch", _answer_items(items), operator, signature)

    # ---- ending

    def settle_data(self, item: SettleItem) -> bytes:
        return self.encode("settle", _settle_item(item))

    def settle_batch_data(self, items: Sequence[SettleItem]) -> bytes:
        return self.encode("settleBatch", [_settle_item(item) for item in items])

    def expire_data(self, request: Request) -> bytes:
        return self.encode("expire", request.as_tuple())

    def mark_defaulted_data(self, request: Request, operator: Address) -> bytes:
        return self.encode("markDefaulted", request.as_tuple(), operator)

    def retry_notice_data(
        self, request: Request, commitment: AnswerCommitment, result: bytes
    ) -> bytes:
        """Where there was no answer, the commitment and the result are not looked at."""
        return self.encode("retryNotice", request.as_tuple(), commitment.as_tuple(), result)

    # ---- views

    async def state_of(self, request_id: bytes) -> OnChainRequest:
        """What is stored of a request; in state NONE where nothing is."""
        state, delivery, settle_at, accepted_by = await self.view("stateOf", request_id)
        return OnChainRequest(RequestState(state), DeliveryState(delivery), settle_at, accepted_by)

    async def account(self, owner: Address) -> Account:
        balance, nonce = await self.view("accounts", owner)
        return Account(balance, nonce)

    async def minimum_bond(self, model_id: bytes, fee: int) -> int:
        bond: int = await self.view("minimumBond", model_id, fee)
        return bond

    async def dispute_limit(self, request: Request) -> int:
        """Unix second to which disputes can push the finality of a request's answer."""
        limit: int = await self.view("disputeLimit", request.as_tuple())
        return limit

    async def limits(self) -> OracleLimits:
        """Constants of the deployment; they never change."""
        return OracleLimits(
            max_ttl=await self.view("MAX_TTL"),
            max_window=await self.view("MAX_WINDOW"),
            dispute_allowance=await self.view("DISPUTE_ALLOWANCE"),
            max_input_bytes=await self.view("MAX_INPUT_BYTES"),
            max_callback_gas=await self.view("MAX_CALLBACK_GAS"),
            bond_multiple=await self.view("BOND_MULTIPLE"),
            liveness_multiple=await self.view("LIVENESS_MULTIPLE"),
            default_requester_bps=await self.view("DEFAULT_REQUESTER_BPS"),
            fraud_requester_bps=await self.view("FRAUD_REQUESTER_BPS"),
            fraud_watcher_bps=await self.view("FRAUD_WATCHER_BPS"),
        )

    async def wiring(self) -> OracleWiring:
        return OracleWiring(
            token=await self.view("TOKEN"),
            staking=await self.view("STAKING"),
            registry=await self.view("REGISTRY"),
            court=await self.view("COURT"),
        )

    def decode_codes(self, returned: bytes) -> tuple[int, ...]:
        """The item codes that a simulated `answerBatch` or `settleBatch` returned.

        Raises:
            ChainUnreachable: it returned something else.
        """
        try:
            codes: tuple[int, ...] = self.abi.functions["answerBatch"].decode(returned)[0]
        except UnreadableData as error:
            raise ChainUnreachable(f"a simulated batch returned no codes: {error}") from error
        return codes


def _answer_item(item: AnswerItem) -> tuple[object, ...]:
    return item.request.as_tuple(), item.result, item.trace_root


def _answer_items(items: Iterable[AnswerItem]) -> list[tuple[object, ...]]:
    return [_answer_item(item) for item in items]


def _settle_item(item: SettleItem) -> tuple[object, ...]:
    return item.request.as_tuple(), item.commitment.as_tuple(), item.result
