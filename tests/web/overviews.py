"""Overviews made up for tests of the page, with texts that a stranger could have chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from oracle.core.dispute import DemandedLeaves, RevealDemand
from oracle.core.economics import Outcome
from oracle.core.explanation import explain, objection_to_retry
from oracle.core.health import Cause, Health, Reason
from oracle.core.job import Job, JobState
from oracle.core.operator import Offer
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import Request, data_hash
from oracle.core.types import Address
from oracle.errors import NotFound, StorageError
from oracle.ports.health import EndpointReport, Heartbeat
from oracle.ports.overview import (
    Bucket,
    GasSum,
    JobLine,
    JobStory,
    ModelSums,
    Money,
    OfferedModel,
    OperatorFacts,
    Overview,
    Stretch,
    Sums,
    Trouble,
)

SOMEBODY = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
FORMER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
MODEL, REQUEST = b"\x0a" * 32, b"\x0b" * 32
SCRIPT = "<script>alert('x')</script>"
NOW = 1_700_000_000.0


def line(**changes: Any) -> JobLine:
    values: dict[str, Any] = {
        "request_id": REQUEST,
        "model_id": MODEL,
        "state": JobState.SETTLED,
        "reason": None,
        "attempts": 0,
        "fee": 10**18,
        "fee_earned": 10**18,
        "bond": 20 * 10**18,
        "wei_per_opg": 0,
        "gas_wei": 80_000 * 10**9,
        "deadline": int(NOW) + 600,
        "settle_at": int(NOW),
        "seen_at": NOW - 60,
        "computed_at": NOW - 59.5,
        "sent_at": NOW - 59,
        "ended_at": NOW - 1,
        "inference_seconds": 0.002,
        "seen_block": 100,
        "accepted_block": 100,
        "answered_block": 101,
        "settled_block": 110,
        "ended_block": None,
    }
    return JobLine(**(values | changes))


def overview(**changes: Any) -> Overview:
    endpoint: EndpointReport = {
        "address": f"http://{SCRIPT}",
        "state": "away",
        "why": SCRIPT,
        "head": 5,
        "lag": 3,
        "failures": 2,
        "calls_last_minute": 7,
        "calls": {},
    }
    beat = Heartbeat(1, SOMEBODY, NOW - 100, NOW, 120, 119, False, {"infer": SCRIPT})
    buckets = [Bucket(1, 0.5, 1.0), Bucket(0, None, None)]
    stretch = Stretch(NOW - 120, 60.0, buckets, 0.5, 1.0)
    money = Money(10**18, [GasSum("answer", 1, 1, 80_000 * 10**9)])
    offer = Offer(10**18, 20 * 10**18, 5, 0, 60, 0)
    values: dict[str, Any] = {
        "heartbeat": replace(beat, endpoints=[endpoint]),
        "health": Health((Reason(Cause.CHAIN, f"no chain {SCRIPT}", "mend it"),)),
        "counts": {JobState.SETTLED: 1, JobState.ACCEPTED: 2},
        "jobs": [line(reason=SCRIPT)],
        "sums": Sums(
            stretch, money, money, [ModelSums(MODEL, {JobState.DEFAULTED: 1}, None, None)]
        ),
        "chain": OperatorFacts(
            *(NOW, SOMEBODY, SOMEBODY, 100 * 10**18, 20 * 10**18, 80 * 10**18),
            *(1, 10**18, 7, SOMEBODY, {SOMEBODY: 10**18, FORMER: 10**18}, 10**15),
            [OfferedModel(MODEL, SCRIPT, "rounded", offer, here=False)],
        ),
        "chain_trouble": SCRIPT,
        "demands": [
            RevealDemand(
                *(REQUEST, 1, SOMEBODY, 1, int(NOW), 60, MODEL),
                AnswerCommitment(SOMEBODY, MODEL, MODEL),
                DemandedLeaves(1, 0, 2, 0, 9, 64, 9, 0, 1),
            )
        ],
        "troubles": [Trouble(NOW, "error", SCRIPT, SCRIPT, f"mend {SCRIPT}", 3)],
        "names": {MODEL: SCRIPT},
    }
    return Overview(**(values | changes))


def job(**changes: Any) -> Job:
    terms = Request(
        *(SOMEBODY, 0, SOMEBODY, MODEL, data_hash(b"in"), SOMEBODY, 10**18, 20, 0),
        *(2_000_000_000, 60, 0, False),
    )
    values: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__, None)
    values |= {
        "request_id": REQUEST,
        "request": terms,
        "input": b"in",
        "block_number": 100,
        "state": JobState.FAILED,
        "reason": SCRIPT,
        "accepted": True,
        "fee_earned": 0,
        "attempts": 0,
        "not_before": 0.0,
        "seen_at": NOW,
        "updated_at": NOW,
    }
    return Job(**(values | changes))


class Source:
    """An overview that counts how often it was asked for, and notes what was done."""

    def __init__(self, shown: Overview | None = None, kept: Job | None = None) -> None:
        self.shown = shown or overview()
        self.kept = kept or job()
        self.asked = 0
        self.done: list[str] = []
        self.failing = False

    async def overview(self, bucket_seconds: float, buckets: int) -> Overview:
        self.asked += 1
        if self.failing:
            raise StorageError("the database at /secret/place is damaged")
        return self.shown

    async def story(self, request_id: bytes) -> JobStory:
        if request_id != self.kept.request_id:
            raise NotFound("there is no such job here")
        return JobStory(
            self.kept,
            line(state=self.kept.state, reason=SCRIPT),
            SCRIPT,
            (),
            None,
            Outcome(0, (), 0, None),
            explain(self.kept, (), NOW),
            objection_to_retry(self.kept, NOW),
        )

    async def retry(self, request_id: bytes) -> str:
        self.done.append(f"retry {request_id.hex()[:4]}")
        return "it was failed, and is accepted"

    def drain(self) -> str:
        self.done.append("drain")
        return "it drains"
