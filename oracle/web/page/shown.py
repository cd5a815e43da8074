"""What the templates write, worked out of the ports' values: states' tones, stories, plots.

Pure. Knows what an operator wants to see first; neither HTML nor where values come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from oracle.core.job import JobState
from oracle.core.transaction import Purpose
from oracle.ports.overview import JobLine, JobStory, OperatorFacts, Overview, Stretch
from oracle.web.look import Plot, Series, plot
from oracle.web.look.filters import duration

_TONES: Final[Mapping[JobState, str]] = {
    JobState.SETTLED: "good",
    JobState.DECLINED: "soft",
    JobState.LOST: "soft",
    JobState.ORPHANED: "warn",
    JobState.FAILED: "bad",
    JobState.DEFAULTED: "bad",
    JobState.SLASHED: "bad",
}
"""Of what has ended; the rest is under way."""

LIVE: Final = (
    JobState.SEEN,
    JobState.ADMITTED,
    JobState.ACCEPTING,
    JobState.ACCEPTED,
    JobState.COMPUTED,
    JobState.ANSWERING,
    JobState.ANSWERED,
    JobState.SETTLING,
)
ENDED: Final = tuple(one for one in JobState if one not in LIVE)

_MENDS: Final[Mapping[str, str]] = {
    "endpoints": "mend the endpoint, or name another in rpc_url",
    "transactions": "oracle tx list --open",
    "funds": "send coin to the key that pays",
    "intake": "oracle node doctor",
    "lease": "see to the database: oracle node doctor",
}
"""What mends the trouble that a heartbeat tells of; the doctor, where nothing is named."""


PARTS: Final[Mapping[str, str]] = {
    "hour": "each minute",
    "day": "each 20 minutes",
    "week": "each 2 hours",
}
"""What a part of each stretch of time is called."""

_PLENTY: Final = 100_000


def tone(state: JobState) -> str:
    return _TONES.get(state, "busy")


def is_open(state: JobState) -> bool:
    return state in LIVE


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that is the matter, how bad, and what mends it."""

    tone: str
    what: str
    mend: str


def matters(overview: Overview) -> list[Matter]:
    """What is wrong now, the worst first. Nothing is said twice."""
    health = overview.health
    found = [Matter("bad", one.what, one.next_step) for one in health.stalled]
    found += [Matter("warn", one.what, one.next_step) for one in health.resting]
    found += [Matter("warn", one.what, one.next_step) for one in health.wanting]
    said = "; ".join(f"{one.what}: {one.mend}" for one in found)
    for where, what in overview.heartbeat.trouble.items():
        if what not in said:
            found.append(
                Matter("warn", f"{where}: {what}", _MENDS.get(where, "oracle node doctor"))
            )
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job's story: `after` is the seconds from when the request was seen."""

    name: str
    tone: str
    at: float | None = None
    after: float | None = None
    block: int | None = None
    more: str = ""
    done: bool = True


def story(told: JobStory) -> list[Step]:
    """What has happened, and what is to come."""
    line = told.line
    return [*_until_bound(told, line), *_until_sent(told, line), *_end(line)]


def _until_bound(told: JobStory, line: JobLine) -> Iterator[Step]:
    yield Step("seen", "good", line.seen_at, block=line.seen_block)
    if told.estimate is not None:
        more = told.estimate.decision
        if told.estimate.objection:
            more += f": {told.estimate.objection}"
        yield Step("judged", "good", told.estimate.judged_at, more=more)
    if line.accepted_block is not None:
        offered = line.accepted_block == line.seen_block and not any(
            one.purpose is Purpose.ACCEPT for one in told.transactions
        )
        by = "by the standing offer, in the request's own block" if offered else "by our acceptance"
        yield Step("accepted", "good", block=line.accepted_block, more=by)


def _until_sent(told: JobStory, line: JobLine) -> Iterator[Step]:
    if line.computed_at is not None:
        spent = line.inference_seconds
        more = "signed" if spent is None else f"signed; {duration(spent)} in the model"
        yield Step("computed", "good", line.computed_at, line.after(line.computed_at), more=more)
    if line.sent_at is not None:
        yield Step("answer sent", "good", line.sent_at, line.after(line.sent_at))
    if line.answered_block is not None:
        yield Step("answered", "good", block=line.answered_block, more="on the chain")


def _end(line: JobLine) -> Iterator[Step]:
    if line.ended_at is not None:
        block = line.settled_block if line.state is JobState.SETTLED else line.ended_block
        yield Step(
            line.state.value,
            tone(line.state),
            line.ended_at,
            line.after(line.ended_at),
            block,
            line.reason or "",
        )
    elif line.settle_at is not None:
        yield Step("final", "busy", float(line.settle_at), done=False, more="then it is settled")
    elif line.state in LIVE:
        yield Step(
            "answer due",
            "busy",
            float(line.deadline),
            done=False,
            more="the deadline of the answer",
        )


def throughput(stretch: Stretch) -> Plot:
    """Answers sent, part by part."""
    return plot(
        "throughput",
        "Answers sent, part by part of the time",
        [Series("answers", [float(one.answers) for one in stretch.buckets], "bars")],
        start=stretch.start,
        bucket_seconds=stretch.bucket_seconds,
        write=lambda value: f"{value:g}",
        whole=True,
    )


def latency(stretch: Stretch) -> Plot:
    """From a request being seen to its answer being sent."""
    return plot(
        "latency",
        "Time from a request being seen to its answer being sent",
        [
            Series("median", [one.median_seconds for one in stretch.buckets], "dots"),
            Series("up to 95 of 100", [one.slow_seconds for one in stretch.buckets], "reach"),
        ],
        start=stretch.start,
        bucket_seconds=stretch.bucket_seconds,
        write=duration,
    )


def answers_left(chain: OperatorFacts) -> str:
    """What the coin of the key that pays is good for, at today's price."""
    answers = chain.coin_wei[chain.payer] // max(1, chain.answer_wei)
    if answers > _PLENTY:
        return f"for more than {_PLENTY:,} answers"
    return f"for some {answers:,} answers"


@dataclass(frozen=True, slots=True)
class GasRow:
    """Gas of one purpose: in the stretch of time, and in all."""

    purpose: str
    transactions: int
    reverted: int
    wei: int
    wei_in_all: int


def gas_rows(overview: Overview) -> Sequence[GasRow]:
    lately = {one.purpose: one for one in overview.sums.money.gas}
    return [
        GasRow(
            one.purpose,
            one.transactions,
            one.reverted,
            lately[one.purpose].wei if one.purpose in lately else 0,
            one.wei,
        )
        for one in overview.sums.money_in_all.gas
    ]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model: how it was delivered, and at what it is on offer."""

    model_id: bytes
    name: str
    delivered: int
    due: int
    bad: Sequence[str]
    median_inference_seconds: float | None
    median_seconds: float | None
    price: int | None
    capacity: int | None
    tier: str
    asked: bool
    missing: bool


def model_rows(overview: Overview) -> list[ModelRow]:
    """Every model that was asked for or is on offer."""
    offers = {one.model_id: one for one in overview.chain.offers} if overview.chain else {}
    sums = {one.model_id: one for one in overview.sums.models}
    rows = []
    for model_id in [*sums, *(one for one in offers if one not in sums)]:
        offered, made = offers.get(model_id), sums.get(model_id)
        bad = []
        if made is not None:
            kinds = (
                (made.defaulted, "defaulted"),
                (made.failed, "failed"),
                (made.convicted, "wrong"),
            )
            bad = [f"{number} {word}" for number, word in kinds if number]
        rows.append(
            ModelRow(
                model_id=model_id,
                name=overview.names.get(model_id) or "",
                delivered=made.delivered if made else 0,
                due=made.due if made else 0,
                bad=bad,
                median_inference_seconds=made.median_inference_seconds if made else None,
                median_seconds=made.median_seconds if made else None,
                price=offered.offer.price if offered else None,
                capacity=offered.offer.capacity if offered else None,
                tier=offered.tier if offered else "",
                asked=made is not None,
                missing=offered is not None and not offered.here,
            )
        )
    return rows
