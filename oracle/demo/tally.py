"""What everything came to: counts and money from the chain's own logs, and whether they add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from oracle.chain.codec import decode_logs
from oracle.chain.contracts import Contracts
from oracle.chain.logs import LogScanner
from oracle.chain.wire import to_bytes
from oracle.core import event as events
from oracle.core.types import format_opg


@dataclass(frozen=True, slots=True)
class Tally:
    """Amounts in base units.

    Attributes:
        fees: put into escrow by requesters.
        earned: credited to operators.
        refunded: fees credited back.
        open: fees still in escrow.
        slashed: taken from operators' stake.
        compensation: of it, to requesters and watchers.
        burned: of it, burned.
    """

    requests: int
    answered: int
    settled: int
    defaulted: int
    fees: int
    earned: int
    refunded: int
    open: int
    slashed: int
    compensation: int
    burned: int
    notices_delivered: int
    notices_failed: int

    @property
    def adds_up(self) -> bool:
        """Whether every base unit is accounted for."""
        return (
            self.fees == self.earned + self.refunded + self.open
            and self.slashed == self.compensation + self.burned
            and self.requests >= self.answered >= self.settled
        )

    def as_facts(self) -> dict[str, Any]:
        """Counts as numbers, amounts as decimal OPG."""
        money = {"fees", "earned", "refunded", "open", "slashed", "compensation", "burned"}
        facts: dict[str, Any] = {
            (f"{name}_opg" if name in money else name): (
                format_opg(value) if name in money else value
            )
            for name, value in asdict(self).items()
        }
        facts["adds_up"] = self.adds_up
        return facts


async def tally(contracts: Contracts) -> Tally:
    """Sums the logs of both custody contracts since the deployment."""
    first, head = contracts.deployment.deployed_block, await contracts.rpc.latest()
    logs = await LogScanner(contracts.rpc, contracts.oracle.address).scan(first, head.number)
    happened = decode_logs(logs)
    counts = Counter(type(event) for event in happened)
    fees = sum(e.request.fee for e in happened if isinstance(e, events.RequestSeen))
    earned = sum(e.fee for e in happened if isinstance(e, events.RequestSettled))
    refunding = (
        events.RequestCancelled,
        events.RequestExpired,
        events.RequestDefaulted,
        events.AnswerVoided,
    )
    refunded = sum(e.refund for e in happened if isinstance(e, refunding))
    slashed, compensation, burned = await _slashes(contracts, first, head.number)
    return Tally(
        requests=counts[events.RequestSeen],
        answered=counts[events.RequestAnswered],
        settled=counts[events.RequestSettled],
        defaulted=counts[events.RequestDefaulted],
        fees=fees,
        earned=earned,
        refunded=refunded,
        open=fees - earned - refunded,
        slashed=slashed,
        compensation=compensation,
        burned=burned,
        notices_delivered=counts[events.NoticeDelivered],
        notices_failed=counts[events.NoticeFailed],
    )


async def _slashes(contracts: Contracts, first: int, last: int) -> tuple[int, int, int]:
    """What was taken, what of it went to people, what is burned."""
    event = contracts.staking.abi.events["Slashed"]
    logs = await LogScanner(contracts.rpc, contracts.staking.address).scan(
        first, last, ["0x" + event.topic.hex()]
    )
    taken = to_people = burned = 0
    for log in logs:
        topics = b"".join(to_bytes(topic) for topic in log["topics"][1:])
        _, (amount, _, to_requester, _, to_watcher, to_burn) = event.decode(
            topics, to_bytes(log["data"])
        )
        taken += amount
        to_people += to_requester + to_watcher
        burned += to_burn
    return taken, to_people, burned
