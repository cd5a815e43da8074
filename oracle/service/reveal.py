"""Meets demands to reveal leaves of our traces: found, kept, answered in time, loudly.

Whoever demands and gets nothing has our bond, so a demand is on record before it is answered, and
is tried until it is met or too late. A trace that is not here is made again. A demand of more rows
than there are is dismissed. Knows neither who demands nor why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from oracle.core.dispute import RevealDemand
from oracle.core.event import BlockRef
from oracle.core.job import Job, JobState
from oracle.core.transaction import Call, Purpose, Transaction, TransactionState
from oracle.core.types import ZERO_BYTES32, Address
from oracle.court.commitment import no_rows_root
from oracle.errors import NotFound, OracleError, StorageError
from oracle.ports.clock import Clock
from oracle.ports.contracts import CourtContract
from oracle.ports.demands import DemandSource, DemandStore
from oracle.ports.jobs import JobStore
from oracle.ports.publishing import TraceOpener
from oracle.ports.reading import HeadReader
from oracle.ports.sending import Sending, TransactionGateway, TransactionStore
from oracle.ports.traces import TraceHold, TraceStore
from oracle.service.completeness import Completeness, demands_on
from oracle.service.journal import short
from oracle.service.lead import Lead
from oracle.service.remake import Remake
from oracle.service.retain import owed_until

_log = structlog.get_logger("oracle.reveal")

_DISPUTABLE = (
    JobState.COMPUTED,
    JobState.ANSWERING,
    JobState.ANSWERED,
    JobState.SETTLING,
    JobState.ORPHANED,
)
"""What may be answered on chain and is not final, though our logs may not say so yet."""

_OTHERS_HAVE_SECONDS = 20.0
"""Twice a lease's life: by then a worker that has the trace has shown it, or is gone."""


@dataclass(frozen=True, slots=True)
class RevealPolicy:
    """How demands are looked for.

    Attributes:
        start_block: first block that can hold one.
        range_blocks: most blocks a read spans.
        overlap_blocks: read again each time: a reorg, or a log that came late.
    """

    start_block: int
    range_blocks: int = 2_000
    overlap_blocks: int = 64


class Reveal:
    def __init__(
        self,
        reader: HeadReader,
        source: DemandSource,
        demands: DemandStore,
        jobs: JobStore,
        transactions: TransactionStore,
        court: CourtContract,
        gateway: TransactionGateway,
        transact: Sending,
        traces: TraceStore,
        opener: TraceOpener,
        remake: Remake,
        clock: Clock,
        operator: Address,
        sender: Address,
        policy: RevealPolicy,
        lead: Lead | None = None,
    ) -> None:
        """Args: lead: what this worker leads among several; None where there never are others."""
        self._reader = reader
        self._source = source
        self._demands = demands
        self._jobs = jobs
        self._transactions = transactions
        self._court = court
        self._gateway = gateway
        self._transact = transact
        self._traces = traces
        self._opener = opener
        self._remake = remake
        self._completeness = Completeness(demands_on(court, demands, operator))
        self._clock = clock
        self._operator = operator
        self._sender = sender
        self._policy = policy
        self._calldata: dict[RevealDemand, bytes] = {}
        self._refused: set[RevealDemand] = set()
        self._followed: BlockRef | None = None
        self._lead = lead
        self._held: set[RevealDemand] = set()
        self._missed: dict[RevealDemand, float] = {}

    @property
    def trouble(self) -> str | None:
        """What keeps demands from us, though every round goes well; None where nothing does."""
        return self._completeness.trouble

    async def cycle(self) -> bool:
        """Looks for demands and answers those that wait. True where something was sent.

        Raises:
            OracleError: the first demand that cannot be met; the others were seen to.
        """
        if self._lead is None or self._lead.chain.held:
            await self._follow()
        else:
            self._completeness, self._followed = self._completeness.afresh(), None
        worked, failure = False, None
        for demand in await self._demands.pending():
            try:
                if not await self._is_ours(demand):
                    self._refused.add(demand)
                    continue
                worked |= await self._answer(demand)
                self._refused.discard(demand)
            except OracleError as error:
                self._refused.add(demand)
                _log.critical("a demand cannot be met", error=error.message, **demand_facts(demand))
                failure = failure or error
        if failure is not None:
            raise failure
        return worked

    async def owed(self) -> list[RevealDemand]:
        """Demands that wait and can still be met, as far as is known: not too late, and of traces
        that are here. The most urgent first.

        Raises:
            OracleError: the database, or the chain's time, cannot be read.
        """
        pending = await self._demands.pending()
        if not pending:
            return []
        now = await self._gateway.chain_time()
        return [one for one in pending if one.deadline >= now and one not in self._refused]

    async def _follow(self) -> None:
        """Reads on, as long as there is an answer of ours that a demand could be about."""
        if not await self._jobs.jobs(_DISPUTABLE, limit=1):
            self._completeness = self._completeness.afresh()  # nothing can be demanded any more
            return
        head = await self._reader.head()
        if head == self._followed:
            return
        cursor = await self._demands.cursor()
        first = self._policy.start_block
        if cursor is not None:
            first = max(first, min(cursor, head.number) - self._policy.overlap_blocks)
        await self._read(first, head)
        if await self._completeness.check(head):
            await self._read(self._policy.start_block, head)
            await self._completeness.check(head)
        self._followed = None if self._completeness.trouble else head

    async def _read(self, first: int, head: BlockRef) -> None:
        while first <= head.number:
            last = min(first + self._policy.range_blocks - 1, head.number)
            found = await self._source.demands(first, last, self._operator)
            closed = await self._demands.closed(found)
            for demand in await self._demands.note(last, found):
                self._tell(demand)
            await self._reopen(closed, head)
            first = last + 1

    def _tell(self, demand: RevealDemand) -> None:
        _log.error(
            "DEMAND: leaves of a trace must be shown, or the bond is lost",
            seconds_left=round(demand.deadline - self._clock.now()),
            **demand_facts(demand),
        )

    async def _reopen(self, closed: Sequence[RevealDemand], head: BlockRef) -> None:
        """Those that the chain has pending all the same: what ended them was on another fork."""
        for demand in closed:
            job = await self._jobs.job(demand.request_id)
            if job is None or job.state.terminal or head.timestamp > demand.deadline:
                continue
            # What we met is pending for an endpoint that is behind; a reorg opens its transaction.
            states = {one.state for one in await self._meeting(demand, job)}
            if TransactionState.MINED not in states and await self._court.is_pending(demand):
                await self._demands.reopen(demand)
                self._tell(demand)

    async def _hold(self, demand: RevealDemand) -> None:
        """The answer may be disputed for longer now, so its trace is kept for longer."""
        job = await self._jobs.job(demand.request_id)
        if job is None:
            return
        until = owed_until(job.request, extended_to=demand.deadline + demand.window)
        hold = TraceHold(demand.commitment.trace_root, demand.request_id, until)
        await self._traces.keep_until([hold])

    async def _is_ours(self, demand: RevealDemand) -> bool:
        """Whether this worker is to see to a demand: it has the trace, or leads where nobody has
        it."""
        root = demand.commitment.trace_root
        if await self._traces.find(root) is not None:
            if demand not in self._held:
                await self._hold(demand)
                self._held.add(demand)
            return True
        return self._lead is None or self._lead.chain.held

    async def _is_left_to_others(self, demand: RevealDemand) -> bool:
        """Whether to wait for the worker that has the trace; not for ever."""
        root = demand.commitment.trace_root
        if self._lead is None or self._lead.alone or root == no_rows_root(demand.program_root):
            return False
        if await self._traces.find(root) is not None:
            return False
        if demand.request_id in await self._transactions.under_way(Purpose.REVEAL):
            return True
        now = self._clock.now()
        return now - self._missed.setdefault(demand, now) < _OTHERS_HAVE_SECONDS

    async def _answer(self, demand: RevealDemand) -> bool:
        job = await self._jobs.job(demand.request_id)
        if job is None:
            raise StorageError(
                f"the job of request {short(demand.request_id)} is not in this database",
                hint="run the node on the data directory that gave the answer",
            )
        if job.state.terminal or not await self._court.is_pending(demand):
            _log.info("demand over", **demand_facts(demand))
            await self._close(demand)
            return False
        if await self._gateway.chain_time() > demand.deadline:
            _log.critical("a demand was not met in time: the bond is lost", **demand_facts(demand))
            await self._close(demand)
            return False
        data = await self._unsent(demand, job)
        if data is None:
            return False
        gas = await self._gateway.estimate_gas(self._sender, self._court.address, data)
        call = Call(self._court.address, data, gas)
        await self._transact.submit(Purpose.REVEAL, call, [demand.request_id])
        return True

    async def _unsent(self, demand: RevealDemand, job: Job) -> bytes | None:
        """What meets a demand; None where it is under way, or left to another worker.

        Anybody may send it: what a worker that is gone has saved is sent again with our key.
        """
        saved = await self._meeting(demand, job)
        if any(one.state is TransactionState.OPEN for one in saved):
            return None
        if saved and await self._traces.find(demand.commitment.trace_root) is None:
            return saved[-1].call.data
        if await self._is_left_to_others(demand):
            return None
        data = self._calldata.get(demand)
        if data is None:
            data = self._calldata[demand] = await self._written(demand, job)
        return data

    async def _meeting(self, demand: RevealDemand, job: Job) -> list[Transaction]:
        """Every transaction that was ever saved to meet a demand, by any worker, oldest first."""
        return [
            one
            for one in await self._transactions.transactions_for(demand.request_id)
            if self._court.meets(one.call.data, job.request, demand)
        ]

    async def _close(self, demand: RevealDemand) -> None:
        await self._demands.close(demand)
        self._calldata.pop(demand, None)
        self._held.discard(demand)
        self._missed.pop(demand, None)
        self._refused.discard(demand)

    async def _written(self, demand: RevealDemand, job: Job) -> bytes:
        root = demand.commitment.trace_root
        if root == no_rows_root(demand.program_root):
            return self._court.dismiss_data(job.request, demand, 0, ZERO_BYTES32)
        try:
            return await self._shown(self._opener, demand, job)
        except (NotFound, StorageError) as lost:
            return await self._shown(await self._made_again(demand, job, lost), demand, job)

    async def _shown(self, opener: TraceOpener, demand: RevealDemand, job: Job) -> bytes:
        root, leaves = demand.commitment.trace_root, demand.leaves
        rows, tree_root = await opener.claim(root)
        if rows != leaves.rows:
            return self._court.dismiss_data(job.request, demand, rows, tree_root)
        opening = await opener.open_leaves(
            root, row=leaves.row, tensor=leaves.tensor, first=leaves.first, count=leaves.count
        )
        return self._court.reveal_data(job.request, demand, opening.data, opening.path)

    async def _made_again(
        self, demand: RevealDemand, job: Job, lost: NotFound | StorageError
    ) -> TraceOpener:
        root = demand.commitment.trace_root
        try:
            opener = await self._remake.opener(job, root)
        except OracleError as error:
            raise StorageError(
                f"the trace is lost: {lost.message}; and it is not made again: {error.message}",
                hint="put the traces back, or start the worker that computed it on its data "
                "directory, before the deadline",
            ) from error
        _log.warning("a trace was made again", root=f"0x{root.hex()}", why=lost.message)
        return opener


def demand_facts(demand: RevealDemand) -> dict[str, object]:
    """What is demanded, of whom and until when, by name."""
    leaves = demand.leaves
    return {
        "request": short(demand.request_id),
        "number": demand.number,
        "row": leaves.row,
        "tensor": leaves.tensor,
        "leaves": f"{leaves.first} to {leaves.first + leaves.count - 1}",
        "demander": demand.demander,
        "deadline": demand.deadline,
    }
