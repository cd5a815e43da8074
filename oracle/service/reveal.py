"""Meets demands to reveal leaves of our traces: found, kept, answered in time, loudly.

Whoever demands and gets nothing has our bond, so a demand is on record before it is answered, and
is tried until it is met or too late. What is known is seen to before more is looked for, and what
lies on the disk before what must be made again. A demand of more rows than there are is dismissed.
Knows neither who demands nor why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from oracle.core.dispute import RevealDemand
from oracle.core.job import Job
from oracle.core.transaction import Call, Purpose, TransactionState
from oracle.core.types import ZERO_BYTES32, Address
from oracle.court.commitment import no_rows_root
from oracle.errors import NotFound, OracleError, StorageError
from oracle.ports.contracts import CourtContract
from oracle.ports.demands import DemandStore
from oracle.ports.jobs import JobStore
from oracle.ports.publishing import TraceOpener
from oracle.ports.sending import Sending, TransactionGateway, TransactionStore
from oracle.ports.traces import TraceHold, TraceStore, TraceToKeep
from oracle.service.follow_demands import FollowDemands, demand_facts, meeting
from oracle.service.journal import short
from oracle.service.lead import Lead, elapsed_seconds
from oracle.service.remake import Remake
from oracle.service.retain import owed_until

_log = structlog.get_logger("oracle.reveal")

_OTHERS_HAVE_SECONDS: Final = 20.0
"""Twice a lease's life: by then a worker that has the trace has shown it, or is gone."""

_LEADER_HAS_SECONDS: Final = 60.0
"""Then a worker that neither leads nor has the trace makes it again: who leads may not be able."""


class Reveal:
    def __init__(
        self,
        follow: FollowDemands,
        demands: DemandStore,
        jobs: JobStore,
        transactions: TransactionStore,
        court: CourtContract,
        gateway: TransactionGateway,
        transact: Sending,
        traces: TraceStore,
        opener: TraceOpener,
        remake: Remake,
        sender: Address,
        lead: Lead | None = None,
        *,
        elapsed: Callable[[], float] = elapsed_seconds,
    ) -> None:
        """
        Args:
            lead: what this worker leads among several; None where there never are others.
            elapsed: seconds of a clock that is never set.
        """
        self._follow = follow
        self._demands = demands
        self._jobs = jobs
        self._transactions = transactions
        self._court = court
        self._gateway = gateway
        self._transact = transact
        self._traces = traces
        self._opener = opener
        self._remake = remake
        self._sender = sender
        self._lead = lead
        self._elapsed = elapsed
        self._calldata: dict[RevealDemand, bytes] = {}
        self._refused: set[RevealDemand] = set()
        self._held: set[RevealDemand] = set()
        self._missed: dict[RevealDemand, float] = {}
        self._runs = 0
        self._tried: dict[bytes, int] = {}
        """When each trace was last made again, or tried to be, counted in runs."""
        self._cannot: str | None = None

    @property
    def trouble(self) -> str | None:
        """What keeps demands from us or from being met, though every round goes well; None where
        nothing does."""
        return "; ".join(filter(None, (self._cannot, self._follow.trouble))) or None

    async def cycle(self) -> bool:
        """Answers the demands that wait, and looks for more. True where something was sent, or
        there is more to do at once.

        Raises:
            OracleError: the first demand that cannot be met, or why none can be looked for; the
                others were seen to. Not where there is more to do: then `trouble` has it.
        """
        runs = self._runs
        more, failure = await self._meet(await self._demands.pending())
        if self._leads:
            try:
                found, unread = await self._follow.cycle()
            except OracleError as error:
                failure = failure or error
                found, unread = [], False
            if found and self._runs == runs:
                sent, cannot = await self._meet(found)
                more, failure = more or sent, failure or cannot
            elif found:
                more = True  # that run took its time: all have their turn anew
            more = more or unread
        else:
            self._follow.forget()
        self._remake.forget_old()
        self._cannot = None if failure is None else failure.message
        if failure is not None and not more:
            raise failure
        return more

    @property
    def _leads(self) -> bool:
        return self._lead is None or self._lead.chain.held

    async def _meet(self, demands: Sequence[RevealDemand]) -> tuple[bool, OracleError | None]:
        """Sees to each, but to one trace that must be made again: what is demanded meanwhile may be
        more urgent. Whether something was sent or is left, and the first that cannot be met."""
        more, failure = False, None
        ran: bytes | None = None
        for demand in await self._in_turn(demands):
            root = demand.commitment.trace_root
            if ran is not None and root != ran:
                more = more or root not in self._tried  # others wait until the step is next due
                break
            runs = self._runs
            try:
                if not await self._is_ours(demand):
                    self._refused.add(demand)
                    continue
                more |= await self._answer(demand)
                self._refused.discard(demand)
            except OracleError as error:
                self._refused.add(demand)
                _log.critical("a demand cannot be met", error=error.message, **demand_facts(demand))
                failure = failure or error
            if self._runs != runs:
                ran = root
        return more, failure

    async def _in_turn(self, demands: Sequence[RevealDemand]) -> Sequence[RevealDemand]:
        """Those first whose traces are here; then each trace's together, for one run, and those
        last whose last turn was last."""
        absent: set[bytes] = set()
        first: dict[bytes, int] = {}
        for demand in demands:
            root = demand.commitment.trace_root
            first[root] = min(first.get(root, demand.deadline), demand.deadline)
            if not await self._is_here(demand):
                absent.add(root)

        def turn(demand: RevealDemand) -> tuple[bool, int, int, bytes, int]:
            root = demand.commitment.trace_root
            tried = self._tried.get(root, 0)
            return root in absent, tried, first[root], root, demand.deadline

        return sorted(demands, key=turn)

    async def _is_here(self, demand: RevealDemand) -> bool:
        root = demand.commitment.trace_root
        return root == no_rows_root(demand.program_root) or await self._finds(root)

    async def _finds(self, root: bytes) -> bool:
        """Where the index cannot be read, a trace is made again."""
        try:
            return await self._traces.find(root) is not None
        except StorageError as error:
            _log.warning("traces cannot be looked up", error=error.message)
            return False

    async def owed(self) -> list[RevealDemand]:
        """Demands that wait and can still be met, as far as is known: not too late, not left to
        another worker, and not tried in vain. The most urgent first.

        Raises:
            OracleError: the database, or the chain's time, cannot be read.
        """
        pending = await self._demands.pending()
        if not pending:
            return []
        now = await self._gateway.chain_time()
        return [one for one in pending if one.deadline >= now and one not in self._refused]

    async def _hold(self, demand: RevealDemand) -> None:
        """The answer may be disputed for longer now, so its trace is kept for longer."""
        job = await self._jobs.job(demand.request_id)
        if job is None:
            return
        until = owed_until(job.request, extended_to=demand.deadline + demand.window)
        hold = TraceHold(demand.commitment.trace_root, demand.request_id, until)
        await self._traces.keep_until([hold])

    async def _is_ours(self, demand: RevealDemand) -> bool:
        """Whether this worker is to see to a demand: it has the trace, or has left it out, or leads
        where nobody has it, or nobody has met it for long."""
        if await self._finds(demand.commitment.trace_root):
            if demand not in self._held:
                try:
                    await self._hold(demand)
                    self._held.add(demand)
                except StorageError as error:
                    _log.warning("traces cannot be looked up", error=error.message)
            return True
        if self._leads or self._waited(demand) >= _LEADER_HAS_SECONDS:
            return True
        return await self._left_out_here(demand)

    async def _left_out_here(self, demand: RevealDemand) -> bool:
        """Whether it is this worker that has signed without keeping the trace."""
        try:
            left_out = await self._traces.left_out()
        except StorageError:
            return False
        return any(one.root == demand.commitment.trace_root for one in left_out)

    async def _is_left_to_others(self, demand: RevealDemand) -> bool:
        """Whether to wait for the worker that has the trace; not for ever."""
        if self._lead is None or self._lead.alone or await self._is_here(demand):
            return False
        if await self._left_out_here(demand):
            return False
        return self._waited(demand) < _OTHERS_HAVE_SECONDS

    def _waited(self, demand: RevealDemand) -> float:
        now = self._elapsed()
        return now - self._missed.setdefault(demand, now)

    async def _answer(self, demand: RevealDemand) -> bool:
        job = await self._jobs.job(demand.request_id)
        if (job is not None and job.state.terminal) or not await self._court.is_pending(demand):
            _log.info("demand over", **demand_facts(demand))
            await self._close(demand)
            return False
        if await self._gateway.chain_time() > demand.deadline:
            _log.critical("a demand was not met in time: the bond is lost", **demand_facts(demand))
            await self._close(demand)
            return False
        if job is None:
            raise StorageError(
                f"the job of request {short(demand.request_id)} is not in this database",
                hint="run the node on the data directory that gave the answer",
            )
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
        saved = await meeting(self._transactions, self._court, demand, job)
        if any(one.state is TransactionState.OPEN for one in saved):
            return None
        if saved and not await self._finds(demand.commitment.trace_root):
            return saved[-1].call.data
        if await self._is_left_to_others(demand):
            return None
        data = self._calldata.get(demand)
        if data is None:
            data = self._calldata[demand] = await self._written(demand, job)
        return data

    async def _close(self, demand: RevealDemand) -> None:
        await self._demands.close(demand)
        self._calldata.pop(demand, None)
        self._held.discard(demand)
        self._missed.pop(demand, None)
        self._tried.pop(demand.commitment.trace_root, None)
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
        self._runs += 1
        self._tried[root] = self._runs
        try:
            opener = await self._remake.opener(job, root)
        except OracleError as error:
            raise StorageError(
                f"the trace is lost: {lost.message}; and it is not made again: {error.message}",
                hint="put the traces back, or start the worker that computed it on its data "
                "directory, before the deadline",
            ) from error
        _log.warning("a trace was made again", root=f"0x{root.hex()}", why=lost.message)
        with contextlib.suppress(StorageError):
            await self._hold(demand)  # of what was left out, too
        # Where there is room, the demands that follow need no run, and watchers are served.
        with contextlib.suppress(StorageError):
            await self._traces.save([TraceToKeep(demand.request_id, opener.committed)])
            await self._hold(demand)
        return opener
