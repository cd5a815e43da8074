"""The `DisputeManager` contract: its verbs as calldata, its views, and its events.

For watchers, who prove and demand, and for operators, who reveal. Knows nothing of how a proof is
found, nor of who signs or sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from oracle.chain.binding import Binding
from oracle.chain.log_decoder import LogDecoder
from oracle.chain.rpc import Rpc
from oracle.chain.word_coder import WORD
from oracle.core import dispute as events
from oracle.core.dispute import (
    DemandedLeaves,
    FraudClaim,
    HeldShare,
    RevealDemand,
    SignedAnswer,
)
from oracle.core.event import ChainEvent, Position
from oracle.core.model import ModelTerms
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import Request
from oracle.core.types import ZERO_BYTES32, Address
from oracle.errors import ChainUnreachable

CONTRACT = "DisputeManager"
NO_SALT = bytes(32)
"""For a conviction that was not announced."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """An answer before the court, with what binds it to its program. `terms` are the model's."""

    request: Request
    commitment: AnswerCommitment
    registrar: Address
    terms: ModelTerms

    @property
    def claim(self) -> FraudClaim:
        """What the verifier judges."""
        return FraudClaim(
            self.terms.program_root,
            self.request.input_hash,
            self.commitment.result_hash,
            self.commitment.trace_root,
        )

    def as_arguments(self) -> tuple[object, ...]:
        """The first four arguments of the verbs that need them."""
        return (
            self.request.as_tuple(),
            self.commitment.as_tuple(),
            self.registrar,
            self.terms.as_tuple(),
        )


@dataclass(frozen=True, slots=True)
class CourtLimits:
    """Constants of the deployment. Times in seconds, the deposit in base units."""

    base_deposit: int
    max_reveal_bytes: int
    announcement_age: int
    priority_period: int
    reveal_burn_bps: int


class CourtBinding(Binding):
    """One deployed dispute manager."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        super().__init__(rpc, CONTRACT, address)

    # ---- fraud

    def announce_data(self, announcement: bytes) -> bytes:
        """Takes what `core.dispute.announcement_of` gives."""
        return self.encode("announce", announcement)

    def prove_fraud_data(self, disputed: Disputed, proof: bytes, salt: bytes = NO_SALT) -> bytes:
        """The sender is the watcher; `salt` is that of its announcement."""
        return self.encode("proveFraud", *disputed.as_arguments(), proof, salt)

    def claim_priority_data(
        self, request_id: bytes, claim: FraudClaim, proof: bytes, salt: bytes
    ) -> bytes:
        return self.encode("claimPriority", request_id, claim.as_tuple(), proof, salt)

    def collect_data(self, request_id: bytes) -> bytes:
        return self.encode("collect", request_id)

    # ---- reveals

    def demand_reveal_data(self, disputed: Disputed, place: bytes, max_deposit: int) -> bytes:
        """The sender's token allowance pays the deposit, of at most so many base units."""
        return self.encode("demandReveal", *disputed.as_arguments(), place, max_deposit)

    def reveal_data(
        self, request: Request, demand: RevealDemand, leaves: bytes, path: Sequence[bytes]
    ) -> bytes:
        return self.encode("reveal", request.as_tuple(), demand.as_tuple(), leaves, path)

    def dismiss_data(
        self, request: Request, demand: RevealDemand, rows: int, tree_root: bytes
    ) -> bytes:
        """Shows that the trace root was made for `rows` rows."""
        return self.encode("dismiss", request.as_tuple(), demand.as_tuple(), rows, tree_root)

    def meets(self, data: bytes, request: Request, demand: RevealDemand) -> bool:
        """Whether calldata is a reveal or a dismissal of this demand, whatever it shows."""
        # All but what is shown: offsets and lengths of leaves and path; rows and tree root.
        reveal = self.reveal_data(request, demand, b"", ())[: -4 * WORD]
        dismissal = self.dismiss_data(request, demand, 0, ZERO_BYTES32)[: -2 * WORD]
        return data.startswith((reveal, dismissal))

    def reveal_timeout_data(self, request: Request, demand: RevealDemand) -> bytes:
        return self.encode("revealTimeout", request.as_tuple(), demand.as_tuple())

    def refund_demand_data(self, demand: RevealDemand) -> bytes:
        return self.encode("refundDemand", demand.as_tuple())

    # ---- equivocation

    def slash_equivocation_data(
        self,
        request: Request,
        commitment: AnswerCommitment,
        first: SignedAnswer,
        second: SignedAnswer,
    ) -> bytes:
        """The commitment is not looked at where the request is over."""
        return self.encode(
            "slashEquivocation",
            request.as_tuple(),
            commitment.as_tuple(),
            first.as_tuple(),
            second.as_tuple(),
        )

    # ---- money

    def claim_data(self, to: Address) -> bytes:
        return self.encode("claim", to)

    def burn_data(self) -> bytes:
        return self.encode("burn")

    # ---- views

    async def announced_at(self, announcement: bytes) -> int:
        """Unix second of an announcement; 0 where there is none."""
        second: int = await self.view("announcedAt", announcement)
        return second

    async def held_share(self, request_id: bytes) -> HeldShare:
        return HeldShare(*await self.view("heldShareOf", request_id))

    async def deposit_for(self, request_id: bytes, byte_count: int) -> int:
        """Base units that the next demand on an answer costs, of leaves with so many bytes."""
        deposit: int = await self.view("depositFor", request_id, byte_count)
        return deposit

    async def demands(self, request_id: bytes) -> tuple[int, int]:
        """Demands ever made on an answer, and how many of them are not over."""
        made, pending = await self.view("demandsOf", request_id)
        return made, pending

    async def is_pending(self, demand: RevealDemand) -> bool:
        """As of the head.

        Raises:
            ChainUnreachable: it is not pending, and the head is no later than the demand was made:
                an endpoint that is behind does not know it yet.
        """
        head = await self._rpc.latest()
        pending: bool = await self.view("isPending", demand.as_tuple(), block=head.number)
        if not pending and head.timestamp <= demand.deadline - demand.window:
            raise ChainUnreachable(
                f"the endpoint is behind: block {head.number} is not past the demand",
                hint="wait, or name another one in rpc_url",
            )
        return pending

    async def demands_against(self, operator: Address, block: int) -> int:
        """Demands ever made on answers of an operator, as of a block."""
        made: int = await self.view("demandsAgainst", operator, block=block)
        return made

    async def claimable(self, account: Address) -> int:
        """Base units that an account may claim here; shares paid at once are at the staking."""
        amount: int = await self.view("claimable", account)
        return amount

    async def verifier(self) -> Address:
        address: Address = await self.view("VERIFIER")
        return address

    async def limits(self) -> CourtLimits:
        """They never change."""
        return CourtLimits(
            base_deposit=await self.view("BASE_DEPOSIT"),
            max_reveal_bytes=await self.view("MAX_REVEAL_BYTES"),
            announcement_age=await self.view("ANNOUNCEMENT_AGE"),
            priority_period=await self.view("PRIORITY_PERIOD"),
            reveal_burn_bps=await self.view("REVEAL_BURN_BPS"),
        )


# ---- events


def _fraud_proven(at: Position, *values: Any) -> ChainEvent:
    request_id, operator, watcher, claim, held = values
    return events.FraudProven(at, request_id, operator, watcher, FraudClaim(*claim), held)


def _reveal_demanded(at: Position, *values: Any) -> ChainEvent:
    request_id, operator, demander, terms = values
    _, number, _, deposit, deadline, window, program_root, commitment, leaves = terms
    demand = RevealDemand(
        request_id,
        number,
        demander,
        deposit,
        deadline,
        window,
        program_root,
        AnswerCommitment(*commitment),
        DemandedLeaves(*leaves),
    )
    return events.RevealDemanded(at, request_id, operator, demander, demand)


_DECODER: Final = LogDecoder[ChainEvent](
    CONTRACT,
    {
        "FraudProven": _fraud_proven,
        "PriorityClaimed": events.PriorityClaimed,
        "ShareCollected": events.ShareCollected,
        "RevealDemanded": _reveal_demanded,
        "Revealed": events.Revealed,
        "DemandDismissed": events.DemandDismissed,
        "RevealTimedOut": events.RevealTimedOut,
        "DemandRefunded": events.DemandRefunded,
        "EquivocationSlashed": events.EquivocationSlashed,
    },
)

decode_log = _DECODER.decode
decode_logs = _DECODER.decode_all
