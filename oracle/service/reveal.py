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

    @property
    def trouble(self) -> str | None:
        """What keeps demands from us, though every round goes well; None where nothing does."""
        return self._follow.trouble

    async def cycle(self) -> bool:
        """Answers the demands that wait, and looks for more. True where something was sent, or
        there is more to do at once.

        Raises:
            OracleError: the first demand that cannot be met, or why none can be looked for; the
                others were seen to.
        """
        worked, failure = await self._meet(await self._demands.pending())
        if self._leads:
            try:
                found, more = await self._follow.cycle()
            except OracleError as error:
                failure = failure or error
            else:
                sent, cannot = await self._meet(found)
                worked, failure = worked or more or sent, failure or cannot
        else:
            self._follow.forget()
        self._remake.forget_old()
        if failure is not None:
            raise failure
        return worked

    @property
    def _leads(self) -> bool:
        return self._lead is None or self._lead.chain.held

    async def _meet(self, demands: Sequence[RevealDemand]) -> tuple[bool, OracleError | None]:
        """Sees to each; whether something was sent, and the first that cannot be met."""
        worked, failure = False, None
        for demand in await self._in_turn(demands):
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
        return worked, failure

    async def _in_turn(self, demands: Sequence[RevealDemand]) -> Sequence[RevealDemand]:
        """Those first whose traces are here; of the others, each trace's together, for one run."""
        kept: dict[bytes, bool] = {}
        first: dict[bytes, int] = {}
        for demand in demands:
            root = demand.commitment.trace_root
            first[root] = min(first.get(root, demand.deadline), demand.deadline)
            if root not in kept:
                kept[root] = await self._is_here(demand)
        return sorted(
            demands,
            key=lambda one: (
                not kept[one.commitment.trace_root],
                first[one.commitment.trace_root],
                one.commitment.trace_root,
                one.deadline,
            ),
        )

    async def _is_here(self, demand: RevealDemand) -> bool:
        root = demand.commitment.trace_root
        return (
            root == no_rows_root(demand.program_root) or await self._traces.find(root) is not None
        )

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
        """Whether this worker is to see to a demand: it has the trace, or leads where nobody has
        it, or nobody has met it for long."""
        if await self._traces.find(demand.commitment.trace_root) is not None:
            if demand not in self._held:
                await self._hold(demand)
                self._held.add(demand)
            return True
        return self._leads or self._waited(demand) >= _LEADER_HAS_SECONDS

    async def _is_left_to_others(self, demand: RevealDemand) -> bool:
        """Whether to wait for the worker that has the trace; not for ever."""
        if self._lead is None or self._lead.alone or await self._is_here(demand):
            return False
        if demand.request_id in await self._transactions.under_way(Purpose.REVEAL):
            return True
        return self._waited(demand) < _OTHERS_HAVE_SECONDS

    def _waited(self, demand: RevealDemand) -> float:
        now = self._elapsed()
        return now - self._missed.setdefault(demand, now)

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
        saved = await meeting(self._transactions, self._court, demand, job)
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
        # Where there is room, the demands that follow need no run, and watchers are served.
        with contextlib.suppress(StorageError):
            await self._traces.save([TraceToKeep(demand.request_id, opener.committed)])
            await self._hold(demand)
        return opener
