"""Demands on our answers: closed on the word of an endpoint that knows, answered by whoever can."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oracle.chain.court_contract import CourtBinding
from oracle.core.dispute import DemandedLeaves, RevealDemand
from oracle.core.event import BlockRef
from oracle.core.job import Job, JobState
from oracle.core.receipt import AnswerCommitment
from oracle.core.transaction import Attempt, Call, Fees, Purpose, TransactionState
from oracle.core.types import Address
from oracle.errors import (
    ChainUnreachable,
    ContractReverted,
    NotFound,
    OracleError,
    StorageError,
    TraceMismatch,
)
from oracle.ports.inference import CommittedTrace
from oracle.ports.publishing import PublishedTrace
from oracle.ports.traces import LeftOut
from oracle.program.instruction import Trace
from oracle.service import follow_demands
from oracle.service.attempts import TransactPolicy
from oracle.service.follow_demands import FollowDemands, FollowPolicy
from oracle.service.reveal import Reveal
from oracle.service.transact import Transact
from oracle.storage.storage import open_storage
from tests.service.fakes import (
    NOW,
    OPERATOR,
    ORACLE,
    SIGNER,
    STRANGER,
    Clock,
    Gateway,
    Jobs,
    Traces,
    Transactions,
    block,
)

MADE_AT = 10
"""The block that holds the demand; a block's number is its second."""
WINDOW = 30
PROGRAM_ROOT, TRACE_ROOT = b"\x01" * 32, b"\x09" * 32


class Chain:
    """An endpoint as the court's binding asks it: `ended_at` is the block that met the demand."""

    def __init__(self, head: int) -> None:
        self.number = head
        self.ended_at: int | None = None
        self.fork = 0
        self.demands: list[RevealDemand] = []
        self.made: dict[bytes, int] = {}
        """Demands that the court has counted, by request, whatever logs say."""
        self.fails = False

    async def latest(self) -> BlockRef:
        return block(self.number, self.fork)

    async def head(self) -> BlockRef:
        return await self.latest()

    async def call(self, to: Address, data: bytes, *, sender: object, block: int | str) -> bytes:
        if self.fails:
            raise ChainUnreachable("no reply")
        number = self.number if isinstance(block, str) else block
        if number > self.number:
            raise ChainUnreachable("header not found")
        ended = self.ended_at is not None and number >= self.ended_at
        known = bool(self.demands) and number >= MADE_AT and not ended
        return int(known).to_bytes(32, "big")


class Court(CourtBinding):
    """Asks the endpoint that the bench has chosen."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(None, ORACLE)  # type: ignore[arg-type]
        self._bench = bench
        self.asked = 0

    async def is_pending(self, demand: RevealDemand) -> bool:
        self._rpc = self._bench.chain  # type: ignore[assignment]
        self.asked += 1
        return await super().is_pending(demand)

    async def demands_against(self, operator: Address, block: int) -> int:
        assert (operator, block) == (OPERATOR, self._bench.chain.number)
        return sum(self._bench.chain.made.values())

    async def demands(self, request_id: bytes) -> tuple[int, int]:
        return self._bench.chain.made.get(request_id, 0), 0


@dataclass
class Shown:
    data: bytes = b"leaves"
    path: tuple[bytes, ...] = (b"\x05" * 32,)


class Opener:
    """Opens what is kept; `damaged` is kept and no good."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self.damaged = False

    async def claim(self, root: bytes) -> tuple[int, bytes]:
        if await self._traces.find(root) is None:
            raise NotFound(f"trace 0x{root.hex()} is not kept here")
        return 1, b"\x01" * 32

    async def open_leaves(self, root: bytes, **_: int) -> Shown:
        if self.damaged:
            raise StorageError(f"trace 0x{root.hex()} is damaged")
        return Shown()


class Made(Opener):
    def __init__(self, root: bytes) -> None:
        kept = Kept()
        kept.here = {root}
        super().__init__(kept)
        self.committed = CommittedTrace(root, PROGRAM_ROOT, Trace(()))


class Again:
    """Makes traces again, unless there is a reason why not."""

    def __init__(self) -> None:
        self.made: list[bytes] = []
        self.fails: OracleError | None = TraceMismatch("it comes out otherwise")

    async def opener(self, job: Job, root: bytes) -> Made:
        if self.fails is not None:
            raise self.fails
        if self.made[-1:] != [root]:  # the last is remembered
            self.made.append(root)
        return Made(root)

    def forget_old(self) -> None:
        pass


class Kept(Traces):
    """`here` are the roots of the traces on this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.here: set[bytes] = {TRACE_ROOT}

    async def find(self, root: bytes) -> PublishedTrace | None:
        return PublishedTrace(root, PROGRAM_ROOT, 1, 1) if root in self.here else None


class Bench:
    """A worker with an answer on which leaves were demanded in block 10; `chain` is asked."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.jobs, self.gateway = Clock(), Jobs(), Gateway()
        self.gateway.time = MADE_AT
        self.transactions, self.traces = Transactions(self.jobs), Kept()
        self.storage = open_storage(directory / "node.sqlite", self.clock)
        self.job = self.jobs.add(JobState.ANSWERED)
        self.demand = RevealDemand(
            request_id=self.job.request_id,
            number=0,
            demander=STRANGER,
            deposit=5,
            deadline=MADE_AT + WINDOW,
            window=WINDOW,
            program_root=PROGRAM_ROOT,
            commitment=AnswerCommitment(OPERATOR, b"\x02" * 32, TRACE_ROOT),
            leaves=DemandedLeaves(1, 0, 0, 0, 1, 4, 4, 0, 1),
        )
        self.chain = self.endpoint(MADE_AT)
        self.court = Court(self)
        transact = Transact(
            self.jobs,
            self.transactions,
            self.gateway,
            SIGNER,
            self.clock,
            31337,
            TransactPolicy(),
        )
        self.opener, self.again = Opener(self.traces), Again()
        self.follow = FollowDemands(
            self,
            self,
            self.storage.demands,
            self.jobs,
            self.transactions,
            self.court,
            self.clock,
            OPERATOR,
            FollowPolicy(0, range_blocks=100),
        )
        self.reveal = Reveal(
            self.follow,
            self.storage.demands,
            self.jobs,
            self.transactions,
            self.court,
            self.gateway,
            transact,
            self.traces,
            self.opener,  # type: ignore[arg-type]
            self.again,  # type: ignore[arg-type]
            SIGNER.address,
            elapsed=self.clock.now,
        )

    def has_company(self, *, leads: bool) -> None:
        lead = SimpleNamespace(chain=SimpleNamespace(held=leads), alone=False)
        self.reveal._lead = lead  # type: ignore[assignment]

    def endpoint(self, head: int) -> Chain:
        chain = Chain(head)
        chain.demands = [self.demand]
        chain.made = {self.demand.request_id: 1}
        return chain

    async def head(self) -> BlockRef:
        return await self.chain.head()

    async def demands(self, first: int, last: int, operator: Address) -> Sequence[RevealDemand]:
        return self.chain.demands if first <= MADE_AT <= last else []

    async def noted(self) -> None:
        """The demand is on record, and not answered yet."""
        self.chain.fails = True
        with pytest.raises(ChainUnreachable):
            await self.reveal.cycle()
        self.chain.fails = False

    async def pending(self) -> list[RevealDemand]:
        return await self.storage.demands.pending()

    async def sent_by(self, sender: Address, state: TransactionState, data: bytes) -> None:
        """A reveal that another worker saved."""
        made = await self.transactions.prepare(
            sender=sender,
            nonce=7,
            purpose=Purpose.REVEAL,
            call=Call(ORACLE, data, 50_000),
            request_ids=[self.job.request_id],
            attempt=Attempt(b"\x01" * 32, b"raw", Fees(2, 1), NOW, NOW, None),
            moves=[],
        )
        self.transactions.table[made.id] = replace(made, state=state)

    def own(self) -> list[bytes]:
        """Calldata that was sent with our key."""
        table = self.transactions.table.values()
        return [one.call.data for one in table if one.sender == SIGNER.address]

    def reveal_data(self, demand: RevealDemand | None = None) -> bytes:
        shown = Shown()
        return self.court.reveal_data(
            self.job.request, demand or self.demand, shown.data, shown.path
        )


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.storage.close()


async def test_an_endpoint_that_is_behind_does_not_close_a_demand(bench: Bench) -> None:
    await bench.noted()
    bench.chain = bench.endpoint(MADE_AT - 1)
    with pytest.raises(ChainUnreachable, match="behind"):
        await bench.reveal.cycle()
    assert await bench.pending() == [bench.demand]
    bench.chain.number = MADE_AT
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]


async def test_a_demand_that_was_met_is_closed_and_stays_so(bench: Bench) -> None:
    await bench.noted()
    bench.chain.number = bench.chain.ended_at = MADE_AT + 1
    for _ in range(5):
        assert not await bench.reveal.cycle()
        assert await bench.pending() == []
        bench.chain.number += 1
    assert bench.own() == []


async def test_a_demand_whose_block_is_gone_goes_away(bench: Bench) -> None:
    await bench.noted()
    bench.chain.demands, bench.chain.fork = [], 1
    with pytest.raises(ChainUnreachable):
        await bench.reveal.cycle()  # of the same second: it may be to come
    bench.chain.number += 1
    assert not await bench.reveal.cycle()
    assert await bench.pending() == []


async def test_a_closed_demand_that_the_chain_has_pending_is_met_all_the_same(
    bench: Bench,
) -> None:
    await bench.noted()
    bench.chain.ended_at = bench.chain.number = MADE_AT + 1
    await bench.reveal.cycle()
    assert await bench.pending() == []
    bench.chain.number, bench.chain.ended_at, bench.chain.fork = MADE_AT + 2, None, 1
    assert await bench.reveal.cycle()
    assert await bench.pending() == [bench.demand]
    assert bench.own() == [bench.reveal_data()]


async def test_what_we_met_is_not_opened_again_by_an_endpoint_that_is_behind(
    bench: Bench,
) -> None:
    assert await bench.reveal.cycle()
    bench.transactions.table[1] = replace(bench.transactions.table[1], state=TransactionState.MINED)
    bench.chain.number = bench.chain.ended_at = MADE_AT + 1
    await bench.reveal.cycle()
    assert await bench.pending() == []
    bench.chain = bench.endpoint(MADE_AT)
    assert not await bench.reveal.cycle()
    assert await bench.pending() == []
    # A reorg undid it: what was mined is open again, and then given up.
    bench.transactions.table[1] = replace(
        bench.transactions.table[1], state=TransactionState.ABANDONED
    )
    bench.chain.number, bench.chain.fork = MADE_AT + 1, 1
    assert await bench.reveal.cycle()
    assert len(bench.own()) == 2


@pytest.mark.parametrize("why", ["too late", "its request is over"])
async def test_a_closed_demand_that_nobody_can_meet_is_not_opened_again(
    bench: Bench, why: str
) -> None:
    await bench.noted()
    if why == "too late":
        bench.chain.number = bench.gateway.time = bench.demand.deadline + 1
    else:
        over = replace(bench.job, state=JobState.SLASHED)
        bench.jobs.table[over.request_id] = over
        bench.jobs.add(JobState.ANSWERED)
    for _ in range(3):
        assert not await bench.reveal.cycle()
        assert await bench.pending() == []
        bench.chain.number += 1
    assert bench.own() == []


# ---- logs that are not handed out


async def test_a_demand_without_a_log_is_seen_by_the_count_and_met_once_it_is_found(
    bench: Bench,
) -> None:
    withheld, bench.chain.demands = bench.chain.demands, []
    assert not await bench.reveal.cycle()
    assert "lack demands on 1 of our answers" in (bench.reveal.trouble or "")
    bench.chain.number += 1
    assert not await bench.reveal.cycle()
    bench.chain.demands = withheld
    bench.chain.number += 1
    assert await bench.reveal.cycle()
    assert bench.reveal.trouble is None
    assert bench.own() == [bench.reveal_data()]


async def test_demands_of_answers_that_are_over_are_nobodys_trouble(bench: Bench) -> None:
    bench.chain.made[b"\x77" * 32] = 3
    assert await bench.reveal.cycle()
    assert bench.reveal.trouble is None
    bench.chain.made[b"\x77" * 32] = 4
    bench.chain.made[bench.job.request_id] = 2
    bench.chain.number += 1
    await bench.reveal.cycle()
    assert bench.reveal.trouble is not None


async def test_a_search_is_bounded_newest_first_and_keeps_no_demand_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search for one that is missing must not cost those that are known."""
    early = replace(bench.job, block_number=250)
    bench.jobs.table[early.request_id] = early
    bench.chain.made[bench.job.request_id] = 2
    bench.chain.number = 1_000
    await bench.storage.demands.note(1_000, [])
    read: list[tuple[int, int]] = []

    async def demands(first: int, last: int, operator: Address) -> Sequence[RevealDemand]:
        assert not await bench.pending() or bench.own(), "one that was known had to wait"
        read.append((first, last))
        return bench.chain.demands if first <= 400 <= last else []

    monkeypatch.setattr(bench, "demands", demands)
    while bench.follow.trouble is None or len(read) < 9:
        await bench.reveal.cycle()
    assert read[:3] == [(936, 1_000), (901, 1_000), (801, 900)]
    assert read[-1] == (250, 300), "before its request there is no demand"
    assert bench.own() == [bench.reveal_data()]
    assert await bench.storage.demands.cursor() == 1_000
    for _ in range(5):
        await bench.reveal.cycle()
    assert len(read) == 9, "after a search in vain, no other on the same head"


async def test_a_search_in_vain_pauses_for_ever_longer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.chain.demands = []
    read: list[int] = []

    async def demands(first: int, last: int, operator: Address) -> Sequence[RevealDemand]:
        read.append(last - first)
        return []

    monkeypatch.setattr(bench, "demands", demands)
    for _ in range(200):
        bench.chain.number += 1
        await bench.reveal.cycle()
    searches = len(read) - 200
    assert 6 <= searches <= 40, searches


async def test_an_endpoint_that_refuses_to_tell_of_demands_keeps_none_from_being_met(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.noted()

    async def demands(first: int, last: int, operator: Address) -> Sequence[RevealDemand]:
        raise ChainUnreachable("no logs today")

    monkeypatch.setattr(bench, "demands", demands)
    bench.chain.number += 1
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]
    assert "no logs today" in (bench.reveal.trouble or "")
    with pytest.raises(ChainUnreachable, match="no logs today"):
        await bench.reveal.cycle()


async def test_a_long_way_is_read_piece_by_piece(bench: Bench) -> None:
    bench.chain.number = 2_000
    for _ in range(2):
        assert await bench.reveal.cycle(), "there is more to read at once"
    assert await bench.storage.demands.cursor() == 1_599


async def test_an_endpoint_of_tiny_ranges_is_read_to_the_head_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose ranges are shorter than what is read again each time."""
    bench.follow._policy = FollowPolicy(0, range_blocks=1)
    await bench.storage.demands.note(190, [])
    bench.chain.number = 200

    async def demands(first: int, last: int, operator: Address) -> Sequence[RevealDemand]:
        return bench.chain.demands if first <= 199 <= last else []

    monkeypatch.setattr(bench, "demands", demands)
    for _ in range(20):
        await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]
    assert await bench.storage.demands.cursor() == 200


async def test_a_demand_that_goes_missing_as_another_is_found_is_not_overlooked(
    bench: Bench,
) -> None:
    over = bench.jobs.add(JobState.SETTLED).request_id
    bench.chain.made[over] = 1
    assert await bench.reveal.cycle()
    assert bench.reveal.trouble is None
    bench.chain.made[bench.job.request_id] = 2
    bench.chain.demands.append(replace(bench.demand, request_id=over))
    bench.chain.number += 1
    await bench.reveal.cycle()
    assert "lack demands on 1 of our answers" in (bench.reveal.trouble or "")


async def test_more_answers_than_are_looked_at_are_no_reason_to_be_calm(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_demands, "_MOST_LOOKED_AT", 1)
    bench.chain.made[bench.jobs.add(JobState.ANSWERED).request_id] = 1
    await bench.reveal.cycle()
    assert "more answers than are looked at" in (bench.reveal.trouble or "")


async def test_who_has_nothing_that_can_be_demanded_asks_for_nothing(bench: Bench) -> None:
    bench.chain.demands = []
    await bench.reveal.cycle()
    assert bench.reveal.trouble is not None
    bench.jobs.table[bench.job.request_id] = replace(bench.job, state=JobState.SETTLED)
    bench.chain.number += 1
    await bench.reveal.cycle()
    assert bench.reveal.trouble is None


# ---- traces that are not here, or no good


@pytest.mark.parametrize("why", ["lost", "damaged"])
async def test_a_trace_that_is_not_to_be_had_is_made_again(bench: Bench, why: str) -> None:
    bench.again.fails = None
    bench.opener.damaged = why == "damaged"
    bench.traces.here = set() if why == "lost" else bench.traces.here
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]
    assert bench.again.made == [TRACE_ROOT]


async def test_what_comes_out_otherwise_is_not_shown_and_tried_again(bench: Bench) -> None:
    bench.traces.here = set()
    with pytest.raises(StorageError, match=r"is not kept here; .* it comes out otherwise") as found:
        await bench.reveal.cycle()
    assert "before the deadline" in (found.value.hint or "")
    assert (bench.own(), await bench.reveal.owed()) == ([], [])
    bench.again.fails = None
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]


async def test_a_trace_that_is_here_is_not_made_again(bench: Bench) -> None:
    bench.again.fails = None
    assert await bench.reveal.cycle()
    assert bench.again.made == []


async def test_another_worker_has_a_while_to_show_what_it_may_have(bench: Bench) -> None:
    bench.traces.here, bench.again.fails = set(), None
    bench.has_company(leads=True)
    assert not await bench.reveal.cycle()
    bench.clock.seconds += 19
    assert not await bench.reveal.cycle()
    assert bench.again.made == []
    bench.clock.seconds += 2
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]


async def test_where_the_leader_cannot_a_worker_without_the_trace_makes_it_again(
    bench: Bench,
) -> None:
    await bench.noted()
    bench.traces.here, bench.again.fails = set(), None
    bench.has_company(leads=False)
    for _ in range(59):
        assert not await bench.reveal.cycle()
        bench.clock.seconds += 1
    assert (bench.again.made, await bench.reveal.owed()) == ([], [])
    bench.clock.seconds += 2
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]


async def test_what_was_made_again_is_kept_where_there_is_room(bench: Bench) -> None:
    bench.traces.here, bench.again.fails = set(), None
    await bench.reveal.cycle()
    assert bench.traces.kept[TRACE_ROOT].holder == bench.job.request_id
    assert bench.traces.until[bench.job.request_id] >= bench.demand.deadline + WINDOW


async def test_without_room_for_what_was_made_again_it_is_shown_all_the_same(
    bench: Bench,
) -> None:
    bench.traces.here, bench.again.fails = set(), None
    bench.traces.full = True
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]


async def test_what_is_here_is_shown_first_and_each_trace_is_made_again_once_in_a_round(
    bench: Bench,
) -> None:
    bench.again.fails = None
    jobs = [bench.jobs.add(JobState.ANSWERED) for _ in range(2)]
    others = [
        replace(
            bench.demand,
            request_id=job.request_id,
            number=number,
            deadline=MADE_AT + 5 + number,
            commitment=AnswerCommitment(OPERATOR, b"\x02" * 32, bytes([20 + index]) * 32),
        )
        for number in range(2)
        for index, job in enumerate(jobs)
    ]
    for demand in others:
        bench.chain.demands.append(demand)
        bench.chain.made[demand.request_id] = 2
    turns = await bench.reveal._in_turn([*others, bench.demand])
    assert turns[0] == bench.demand
    roots = [one.commitment.trace_root[0] for one in turns[1:]]
    assert roots == [20, 20, 21, 21]
    for made in ([20], [20, 21]):
        assert await bench.reveal.cycle()
        assert [root[0] for root in bench.again.made] == made, "one a round"
    assert len(bench.own()) == 5


async def test_between_two_that_are_made_again_what_is_demanded_meanwhile_has_its_turn(
    bench: Bench,
) -> None:
    bench.again.fails = None
    slow = [on_another_answer(bench, number) for number in range(3)]
    for demand in slow:
        await bench.storage.demands.note(None, [demand])
    assert await bench.reveal.cycle(), "one of them, and the urgent one is found"
    assert len(bench.again.made) == 1
    assert await bench.reveal.cycle()
    assert bench.reveal_data() in bench.own()
    assert len(bench.again.made) == 2


async def test_what_cannot_be_made_again_keeps_none_of_the_others_waiting(bench: Bench) -> None:
    """And is tried again when the step is next due, not at once."""
    bench.chain.demands, bench.chain.made = [], {}
    first, second = on_another_answer(bench, 0), on_another_answer(bench, 1)
    bench.again.fails = TraceMismatch("it comes out otherwise")
    assert await bench.reveal.cycle(), "one was tried, the other has its turn at once"
    assert "it comes out otherwise" in (bench.reveal.trouble or "")
    with pytest.raises(StorageError):
        await bench.reveal.cycle()
    bench.again.fails = None
    await bench.reveal.cycle()
    await bench.reveal.cycle()
    assert {one.commitment.trace_root for one in (first, second)} == set(bench.again.made)
    assert bench.reveal.trouble is None


async def test_with_company_all_demands_on_one_answer_are_met_in_a_round(bench: Bench) -> None:
    bench.traces.here, bench.again.fails, bench.traces.full = set(), None, True
    for number in (1, 2):
        bench.chain.demands.append(replace(bench.demand, number=number))
    bench.chain.made[bench.job.request_id] = 3
    bench.has_company(leads=True)
    await bench.reveal.cycle()
    bench.clock.seconds += 21
    await bench.reveal.cycle()
    bench.clock.seconds += 21
    await bench.reveal.cycle()
    assert len(bench.own()) == 3


async def test_who_left_a_trace_out_waits_for_nobody(bench: Bench) -> None:
    await bench.noted()
    bench.traces.here, bench.again.fails = set(), None
    left = LeftOut(TRACE_ROOT, bench.job.request_id, 3.0, WINDOW)
    await bench.traces.leave_out(left, NOW)
    bench.has_company(leads=False)
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]
    assert bench.traces.until[bench.job.request_id] >= bench.demand.deadline + WINDOW


@pytest.mark.parametrize("what", ["find", "keep_until"])
async def test_an_index_that_cannot_be_read_keeps_nothing_from_being_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async def fails(*_: object) -> None:
        raise StorageError("database or disk is full")

    monkeypatch.setattr(bench.traces, what, fails)
    bench.again.fails = None
    await bench.noted()
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]


async def test_a_demand_without_a_job_is_over_when_its_time_is(bench: Bench) -> None:
    await bench.noted()
    del bench.jobs.table[bench.job.request_id]
    with pytest.raises(StorageError, match="not in this database"):
        await bench.reveal.cycle()
    bench.chain.number = bench.gateway.time = bench.demand.deadline + 1
    await bench.reveal.cycle()
    assert (await bench.pending(), bench.reveal.trouble) == ([], None)


def on_another_answer(bench: Bench, number: int) -> RevealDemand:
    """A demand on an answer of its own, whose trace is not here."""
    job = bench.jobs.add(JobState.ANSWERED)
    commitment = AnswerCommitment(OPERATOR, b"\x02" * 32, bytes([20 + number]) * 32)
    demand = replace(bench.demand, request_id=job.request_id, commitment=commitment)
    bench.chain.demands.append(demand)
    bench.chain.made[job.request_id] = 1
    return demand


# ---- what a worker that is gone has saved


async def test_what_a_worker_that_is_gone_saved_is_sent_with_our_key_once(bench: Bench) -> None:
    bench.traces.here = set()
    await bench.sent_by(STRANGER, TransactionState.ABANDONED, bench.reveal_data())
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]
    assert not await bench.reveal.cycle()
    assert len(bench.own()) == 1


async def test_what_another_worker_has_open_is_left_to_it(bench: Bench) -> None:
    bench.traces.here = set()
    await bench.sent_by(STRANGER, TransactionState.OPEN, bench.reveal_data())
    assert not await bench.reveal.cycle()
    assert bench.own() == []


async def test_a_failure_to_send_what_was_saved_is_tried_again(bench: Bench) -> None:
    bench.traces.here = set()
    await bench.sent_by(STRANGER, TransactionState.ABANDONED, bench.reveal_data())
    bench.gateway.reverts = ContractReverted("NotRevealed", {})
    with pytest.raises(ContractReverted):
        await bench.reveal.cycle()
    bench.gateway.reverts = None
    assert await bench.reveal.cycle()
    assert bench.own() == [bench.reveal_data()]


@pytest.mark.parametrize("change", [{"number": 1}, {"deadline": MADE_AT + WINDOW + 1}])
async def test_what_was_saved_for_another_demand_is_of_no_use(
    bench: Bench, change: dict[str, Any]
) -> None:
    bench.traces.here = set()
    other = bench.reveal_data(replace(bench.demand, **change))
    await bench.sent_by(STRANGER, TransactionState.ABANDONED, other)
    with pytest.raises(StorageError, match="not kept here"):
        await bench.reveal.cycle()
    assert bench.own() == []


async def test_a_saved_dismissal_is_sent_with_our_key(bench: Bench) -> None:
    bench.traces.here = set()
    dismissal = bench.court.dismiss_data(bench.job.request, bench.demand, 3, b"\x07" * 32)
    await bench.sent_by(STRANGER, TransactionState.ABANDONED, dismissal)
    assert await bench.reveal.cycle()
    assert bench.own() == [dismissal]
