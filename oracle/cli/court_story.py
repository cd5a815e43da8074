"""What the court did about one answer, told to people: who convicted it, how, and who was paid.

The oracle's own log names the court where a share is held back; who it really was, and how the
stake was split, is in the logs of court and staking. Reads them; judges and sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from oracle.chain import court_contract
from oracle.chain.court_contract import CourtBinding
from oracle.chain.log_decoder import LogDecoder
from oracle.chain.logs import LogScanner
from oracle.client import OracleClient, Story
from oracle.core import dispute as court
from oracle.core.event import AnswerVoided, ChainEvent, Position
from oracle.core.types import ZERO_ADDRESS, Address, format_opg
from oracle.errors import ChainUnreachable

_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Slashed(ChainEvent):
    """The staking contract's split of a slash, in base units; of a request, by its id."""

    amount: int
    to_requester: int
    to_watcher: int
    burned: int


def _slashed(at: Position, *values: Any) -> ChainEvent:
    _, cause, amount, _, to_requester, _, to_watcher, burned = values
    return Slashed(at, cause, amount, to_requester, to_watcher, burned)


_SLASHES: Final = LogDecoder[ChainEvent]("OperatorStaking", {"Slashed": _slashed})

_HOW: Final[dict[type[ChainEvent], str]] = {
    court.FraudProven: "by a proof",
    court.RevealTimedOut: "by a demand that was not met",
    court.EquivocationSlashed: "by two answers that contradict each other",
}


@dataclass(frozen=True, slots=True)
class Conviction:
    """How an answer ended. Amounts in base units; `share_held_until` is a Unix second, or 0.

    `share_of` is whose the watcher's share is: another than `by` where it was announced earlier.
    """

    by: Address
    how: str
    refund: int
    split: Slashed
    share_of: Address
    share_held_until: int

    def facts(self) -> dict[str, Any]:
        """For scripts."""
        held = self.share_held_until
        return {
            "by": self.by,
            "how": self.how,
            "refunded_opg": format_opg(self.refund),
            "slashed_opg": format_opg(self.split.amount),
            "requester_share_opg": format_opg(self.split.to_requester),
            "watcher_share_opg": format_opg(self.split.to_watcher),
            "watcher_share_of": self.share_of,
            "watcher_share_held_until": moment(held) if held else None,
            "burned_opg": format_opg(self.split.burned),
        }

    def __str__(self) -> str:
        split = self.split
        held = f", held until {moment(self.share_held_until)}" if self.share_held_until else ""
        return (
            f"convicted by {self.by}, {self.how}: {format_opg(self.refund)} OPG back to the "
            f"requester, {format_opg(split.amount)} OPG slashed: {_part(split, split.to_requester)}"
            f" to the requester, {_part(split, split.to_watcher)} to {self.share_of}{held}, "
            f"{_part(split, split.burned)} burned"
        )


@dataclass(frozen=True, slots=True)
class CourtStory:
    """The court's events about one answer, in chain order. `conviction` is None without one."""

    events: tuple[ChainEvent, ...]
    conviction: Conviction | None
    reveal_burn_bps: int

    @property
    def demands(self) -> dict[int, court.RevealDemand]:
        """By their numbers."""
        return {
            one.demand.number: one.demand
            for one in self.events
            if isinstance(one, court.RevealDemanded)
        }

    def sentence(self, event: ChainEvent) -> str | None:
        """An event of the court for people; None for one that the conviction tells."""
        match event:
            case court.RevealDemanded():
                leaves, deposit = event.demand.leaves, format_opg(event.demand.deposit)
                return (
                    f"demand {event.demand.number} by {event.demander}, for a deposit of {deposit} "
                    f"OPG: leaves {leaves.first} to {leaves.first + leaves.count - 1} of tensor "
                    f"{leaves.tensor}, row {leaves.row}, until {moment(event.demand.deadline)}"
                )
            case court.Revealed():
                return f"demand {event.number} was met{self._paid(event.number)}"
            case court.DemandDismissed():
                paid = self._paid(event.number)
                return f"demand {event.number} was dismissed, of {event.rows} rows{paid}"
            case court.RevealTimedOut():
                return f"demand {event.number} was not met{self._back(event.number)}"
            case court.DemandRefunded():
                return f"demand {event.number} came to nothing{self._back(event.number)}"
            case court.PriorityClaimed():
                return f"{event.holder} had announced it earlier: the watcher's share is its own"
            case court.ShareCollected():
                return f"the watcher's share, {format_opg(event.amount)} OPG, to {event.holder}"
        return None

    def _paid(self, number: int) -> str:
        demand = self.demands.get(number)
        if demand is None:
            return ""
        burned = demand.deposit * self.reveal_burn_bps // _BPS
        return (
            f": of its deposit {format_opg(demand.deposit - burned)} OPG to the operator, "
            f"{format_opg(burned)} OPG burned"
        )

    def _back(self, number: int) -> str:
        demand = self.demands.get(number)
        if demand is None:
            return ""
        return f": its deposit of {format_opg(demand.deposit)} OPG back to {demand.demander}"


async def read_court_story(client: OracleClient, story: Story) -> CourtStory:
    """What the court did about a request. Raises ChainUnreachable."""
    address = client.deployment.court
    if story.answered is None or address == ZERO_ADDRESS:
        return CourtStory((), None, 0)
    first, head = story.events[0].position.block_number, await client.rpc.latest()
    request_id = "0x" + story.created.request_id.hex()
    logs = await LogScanner(client.rpc, address).scan(first, head.number, [None, request_id])
    events = sorted(court_contract.decode_logs(logs), key=lambda event: event.position)
    binding = CourtBinding(client.rpc, address)
    conviction = await _conviction(client, story, events, binding)
    return CourtStory(tuple(events), conviction, (await binding.limits()).reveal_burn_bps)


async def _conviction(
    client: OracleClient, story: Story, events: Sequence[ChainEvent], binding: CourtBinding
) -> Conviction | None:
    voided = story.find(AnswerVoided)
    if voided is None:
        return None
    at = voided.position
    cause = "0x" + voided.request_id.hex()
    logs = await LogScanner(client.rpc, client.staking.address).scan(
        at.block_number, at.block_number, [None, None, cause]
    )
    slashes = _of_transaction(_SLASHES.decode_all(logs), at)
    # Whatever voids an answer says so in the same transaction.
    causes = [one for one in _of_transaction(events, at) if type(one) in _HOW]
    if not slashes or not causes:
        raise ChainUnreachable(
            "the node has not all the logs of a conviction", hint="try again, or another endpoint"
        )
    how, split = causes[0], slashes[0]
    assert isinstance(split, Slashed)
    by = how.demander if isinstance(how, court.RevealTimedOut) else _watcher_of(how)
    earlier = [one.holder for one in events if isinstance(one, court.PriorityClaimed)]
    held = await binding.held_share(voided.request_id)
    return Conviction(
        by=by,
        how=_HOW[type(how)],
        refund=voided.refund,
        split=split,
        share_of=earlier[-1] if earlier else by,
        share_held_until=held.priority_until,
    )


def _of_transaction(events: Sequence[ChainEvent], at: Position) -> list[ChainEvent]:
    return [one for one in events if one.position.transaction_hash == at.transaction_hash]


def _watcher_of(event: ChainEvent) -> Address:
    assert isinstance(event, court.FraudProven | court.EquivocationSlashed)
    return event.watcher


def _part(split: Slashed, amount: int) -> str:
    percent = f" ({100 * amount / split.amount:.3g}%)" if split.amount else ""
    return f"{format_opg(amount)}{percent}"


def moment(timestamp: int) -> str:
    """A Unix second as people read it."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat()
