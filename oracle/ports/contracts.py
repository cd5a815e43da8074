"""The contracts: what is asked of them, and the calldata for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from oracle.core.dispute import RevealDemand
from oracle.core.model import Model
from oracle.core.operator import Offer, OperatorStatus
from oracle.core.receipt import Accept, AnswerCommitment
from oracle.core.request import DeliveryState, Request, RequestState
from oracle.core.types import Address


@dataclass(frozen=True, slots=True)
class OnChainRequest:
    """What the oracle stores of a request. `accepted_by` is zero unless it is ACCEPTED."""

    state: RequestState
    delivery: DeliveryState
    settle_at: int
    accepted_by: Address


@dataclass(frozen=True, slots=True)
class AnswerItem:
    """One answer as it is posted."""

    request: Request
    result: bytes
    trace_root: bytes


@dataclass(frozen=True, slots=True)
class SettleItem:
    """One settlement; `result` may be empty where no notice is due."""

    request: Request
    commitment: AnswerCommitment
    result: bytes


class ItemCode:
    """Per-item outcome of a batch; mirrors `IInferenceOracle.ItemCode`."""

    NAMES = (
        "Done",
        "WrongState",
        "WrongOperator",
        "TooLate",
        "TooEarly",
        "CommitmentMismatch",
        "ResultMismatch",
    )
    DONE = 0
    WRONG_STATE = "WrongState"


class OracleContract(Protocol):
    """The oracle's verbs as calldata, and its views."""

    @property
    def address(self) -> Address: ...

    def accept_data(self, request: Request, acceptance: Accept, signature: bytes) -> bytes: ...
    def answer_data(self, item: AnswerItem, operator: Address, signature: bytes) -> bytes: ...
    def answer_batch_data(
        self, items: Sequence[AnswerItem], operator: Address, signature: bytes
    ) -> bytes: ...
    def settle_batch_data(self, items: Sequence[SettleItem]) -> bytes: ...
    def decode_codes(self, returned: bytes) -> tuple[int, ...]:
        """The item codes that a simulated batch returned. Raises ChainUnreachable for others."""
        ...

    async def state_of(self, request_id: bytes) -> OnChainRequest: ...


class CourtContract(Protocol):
    """The court's verbs that an operator needs, as calldata, and a look."""

    @property
    def address(self) -> Address: ...

    def reveal_data(
        self, request: Request, demand: RevealDemand, leaves: bytes, path: Sequence[bytes]
    ) -> bytes: ...
    def dismiss_data(
        self, request: Request, demand: RevealDemand, rows: int, tree_root: bytes
    ) -> bytes: ...

    def meets(self, data: bytes, request: Request, demand: RevealDemand) -> bool:
        """Whether calldata is a reveal or a dismissal of this demand, whatever it shows."""
        ...

    async def is_pending(self, demand: RevealDemand) -> bool:
        """As of the head. Raises ChainUnreachable where the endpoint may not know it yet."""
        ...

    async def demands(self, request_id: bytes) -> tuple[int, int]:
        """Demands ever made on an answer, and how many of them are not over; as of the head."""
        ...

    async def demands_against(self, operator: Address, block: int) -> int:
        """How many demands were ever made on answers of an operator, as of a block.

        Raises:
            ChainUnreachable: also where the node no longer has the state of that block.
        """
        ...


class RegistryContract(Protocol):
    async def model(self, model_id: bytes) -> Model:
        """The model by its registration event and stored facts.

        Raises:
            NotFound: never registered.
        """
        ...


class StakingContract(Protocol):
    async def status(self, operator: Address) -> OperatorStatus:
        """Raises NotFound for an address that never registered."""
        ...

    async def offer(self, operator: Address, model_id: bytes) -> Offer: ...

    async def accepted(self, operator: Address, block: int) -> int:
        """How many requests had ever bound an operator, as of a block; 0 where it is unknown.

        Raises:
            ChainUnreachable: also where the node no longer has the state of that block.
        """
        ...
