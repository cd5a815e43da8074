"""Takes a proof to the court: weighed against its gas, announced, shown, and paid for.

What was done before a restart is on the chain, so each step looks there first. Somebody else's
conviction is as good. Finds nothing wrong itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

import structlog

from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader
from oracle.client.reader import OracleReader
from oracle.core.case import Case, CaseState
from oracle.core.dispute import announcement_of
from oracle.core.event import AnswerVoided
from oracle.core.request import RequestState
from oracle.core.transaction import Purpose
from oracle.core.types import ZERO_ADDRESS, format_opg
from oracle.errors import ChainRefused, ContractReverted, OracleError
from oracle.watcher.examine import ended
from oracle.watcher.outbox import Outbox
from oracle.watcher.overtaken import is_overtaken
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.purse import Purse
from oracle.watcher.subject import Subject, Subjects
from oracle.watcher.window import Window, look

_log = structlog.get_logger("oracle.watcher")

_BPS = 10_000
_BLOCKS_OF_MARGIN = 3
"""An announcement and a proof need a block each, and the proof may have to wait for another."""

_MEASURED_BLOCKS = 6
_SLOWEST_BLOCK_SECONDS = 15.0

_PROVABLE = frozenset({RequestState.ANSWERED, RequestState.REVEAL_PENDING})


class Convict:
    def __init__(
        self,
        reader: OracleReader,
        court: CourtBinding,
        proceedings: CourtReader,
        subjects: Subjects,
        outbox: Outbox,
        purse: Purse,
        policy: WatcherPolicy,
    ) -> None:
        self._reader = reader
        self._court = court
        self._proceedings = proceedings
        self._subjects = subjects
        self._outbox = outbox
        self._purse = purse
        self._policy = policy
        self._held_up: dict[bytes, str] = {}
        """What last kept a proof from being sent, by request."""

    async def step(self, case: Case) -> Case:
        """Where an ACCUSED or HELD case stands after the next thing to do.

        Raises:
            OracleError: not now; try again.
        """
        window = await look(self._reader, case.request_id)
        state = window.request
        if state.state is RequestState.SLASHED:
            return await self._paid(case, window.now)
        if window.is_closed or state.state is RequestState.SETTLED:
            unseen = window.by_clock and await self._under_way(case)
            return case if unseen else self._missed(case)
        if state.state.terminal:
            text = f"too late, the request is {state.state.name.lower()}: {case.reason}"
            return ended(case, CaseState.OVER, text)
        if case.proof is None:  # a reorg took somebody else's conviction away
            return replace(case, state=CaseState.OPEN, reason="")
        if case.state is CaseState.HELD:  # or this watcher's
            case = replace(case, state=CaseState.ACCUSED)
        try:
            after = await self._proven(case, await self._subjects.subject(case), window)
        except OracleError as error:
            if not is_overtaken(error):
                self._held_up[case.request_id] = error.message
            raise
        self._held_up.pop(case.request_id, None)
        return after

    async def _under_way(self, case: Case) -> bool:
        """Whether our proof was sent and is not known to be mined."""
        if case.proof is None or case.salt is None:
            return False
        subject = await self._subjects.subject(case)
        data = self._court.prove_fraud_data(subject.disputed, case.proof, case.salt)
        return await self._outbox.under_way(data)

    def _missed(self, case: Case) -> Case:
        """The window closed on an answer that is provably wrong."""
        why = self._held_up.get(case.request_id, "its window closed before the proof was mined")
        return ended(case, CaseState.MISSED, f"{why}; {case.reason}")

    async def _proven(self, case: Case, subject: Subject, window: Window) -> Case:
        assert case.proof is not None
        assert case.salt is not None
        announcement = announcement_of(self._outbox.sender, case.request_id, case.proof, case.salt)
        data = self._court.prove_fraud_data(subject.disputed, case.proof, case.salt)
        announce = self._court.announce_data(announcement)
        # Before the chain is asked, as what is mined meanwhile is on its way no more.
        announcing = await self._outbox.under_way(announce)
        if await self._outbox.under_way(data):
            return case
        announced = await self._court.announced_at(announcement)
        age, now = (await self._court.limits()).announcement_age, window.now
        if not announced:
            has_time = self._policy.announce and await self._has_time(window, age)
            if announcing and has_time:
                return case
            estimate = await self._weighed(case, subject, data)
            if estimate is not None:
                return estimate
            # The court forgets an announcement that has convicted: ours may have, a block ago.
            if (await self._reader.state(case.request_id)).state not in _PROVABLE:
                return case
            if has_time:
                await self._outbox.send(Purpose.ANNOUNCE, announce)
                return case
        elif now < announced + age and await self._has_time(window, announced + age - now):
            return case
        await self._outbox.send(Purpose.PROVE, data, notice_gas=subject.request.notice_gas)
        return case

    async def _weighed(self, case: Case, subject: Subject, data: bytes) -> Case | None:
        """Says what a conviction brings and costs; a case that is over where it is never worth it.

        Raises:
            ChainRefused: it is not worth its gas now.
        """
        await self._purse.look(now=True)
        limits = await self._reader.oracle.limits()
        reward = subject.request.bond * limits.fraud_watcher_bps // _BPS
        try:
            estimate = await self._outbox.estimate(data)
        except ContractReverted as error:
            if error.name == "NotViolated":
                _log.critical(
                    "the court does not see what this program sees",
                    request="0x" + case.request_id.hex(),
                    error=error.message,
                )
                return ended(case, CaseState.OVER, f"the court disagrees: {case.reason}")
            raise
        _log.info(
            "proof",
            request="0x" + case.request_id.hex(),
            reward_opg=format_opg(reward),
            gas=estimate.gas,
            cost_wei=estimate.cost_wei,
            min_reward_opg=format_opg(self._policy.min_reward),
            wei_per_opg=self._policy.wei_per_opg or "unknown",
        )
        if reward < self._policy.min_reward:
            text = f"a reward of {format_opg(reward)} OPG is below the minimum: {case.reason}"
            return ended(case, CaseState.OVER, text)
        worth_wei = reward * self._policy.wei_per_opg // 10**18
        if self._policy.wei_per_opg and worth_wei < estimate.cost_wei:
            # Gas is dear for a while, and an answer stays wrong as long as its window is open.
            raise ChainRefused(
                f"{estimate.cost_wei} wei of gas for a reward worth {worth_wei} wei",
                hint="wait until gas is cheaper",
            )
        return None

    async def _has_time(self, window: Window, wait: int) -> bool:
        """Whether a proof can be shown that many seconds later, and some blocks to spare."""
        if window.request.state is RequestState.REVEAL_PENDING:
            return True
        margin = _BLOCKS_OF_MARGIN * await self._block_seconds()
        return window.now + wait + margin < window.request.settle_at

    async def _block_seconds(self) -> float:
        """How long a transaction waits for its block: the middle one of the last gaps.

        A long one by itself says only that nobody sent anything to a chain that mines on demand.
        """
        head = await self._reader.rpc.latest()
        numbers = range(max(0, head.number - _MEASURED_BLOCKS), head.number)
        found = await asyncio.gather(*(self._reader.rpc.block(number) for number in numbers))
        times = [*(block.timestamp for block in found if block is not None), head.timestamp]
        gaps = [float(after - before) for before, after in pairwise(times)]
        middle = median(gaps) if gaps else 1.0
        return min(max(1.0, middle), _SLOWEST_BLOCK_SECONDS)

    async def _paid(self, case: Case, now: int) -> Case:
        """Who is paid for the conviction, and whether it is ours to fetch."""
        story = await self._subjects.story(case)
        voided = story.find(AnswerVoided)
        me = self._outbox.sender
        if voided is not None and voided.watcher == me:
            return ended(case, CaseState.CONVICTED, f"by this watcher: {case.reason}")
        held = await self._court.held_share(case.request_id)
        if held.holder == ZERO_ADDRESS:
            return await self._by_whom(case)
        if held.holder == me:
            if now > held.priority_until:
                await self._outbox.send(Purpose.SHARE, self._court.collect_data(case.request_id))
            return self._waiting(case, held.priority_until)
        if case.proof is None or case.salt is None or now > held.priority_until:
            return ended(case, CaseState.CONVICTED, f"by {held.holder}: {case.reason}")
        mine = await self._court.announced_at(
            announcement_of(me, case.request_id, case.proof, case.salt)
        )
        if not mine or mine >= held.announced_at:
            return ended(case, CaseState.CONVICTED, f"by {held.holder}: {case.reason}")
        subject = await self._subjects.subject(case)
        await self._outbox.send(
            Purpose.SHARE,
            self._court.claim_priority_data(
                case.request_id, subject.disputed.claim, case.proof, case.salt
            ),
        )
        return replace(case, state=CaseState.HELD)

    def _waiting(self, case: Case, until: int) -> Case:
        """The share is this watcher's once nobody can show an earlier announcement any more."""
        if case.state is not CaseState.HELD:
            ends = datetime.fromtimestamp(until, UTC).isoformat()
            _log.info("convicted; the share is held", until=ends)
        return replace(case, state=CaseState.HELD)

    async def _by_whom(self, case: Case) -> Case:
        head = await self._reader.rpc.latest()
        found = await self._proceedings.proceedings(case.request_id, case.block_number, head.number)
        if found.proven is not None:
            mine = found.proven.watcher == self._outbox.sender
            who = "this watcher" if mine else found.proven.watcher
            return ended(case, CaseState.CONVICTED, f"by {who}: {case.reason}")
        return ended(case, CaseState.CONVICTED, f"the answer was voided: {case.reason}")
