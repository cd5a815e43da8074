"""Takes a proof to the court: weighed against its gas, announced, shown, and paid for.

What was done before a restart is on the chain, so each step looks there first. Somebody else's
conviction is as good. Finds nothing wrong itself.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader
from oracle.client.view import OracleView
from oracle.core.case import Case, CaseState
from oracle.core.dispute import announcement_of
from oracle.core.event import AnswerVoided
from oracle.core.request import RequestState
from oracle.core.transaction import Purpose
from oracle.core.types import ZERO_ADDRESS, format_opg
from oracle.errors import ContractReverted
from oracle.ports import OnChainRequest
from oracle.watcher.examine import ended
from oracle.watcher.outbox import Outbox
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.subject import Subject, Subjects

_log = structlog.get_logger("oracle.watcher")

_BPS = 10_000
_BLOCKS_OF_MARGIN = 3
"""An announcement and a proof need a block each, and the proof may have to wait for another."""

_MEASURED_BLOCKS = 8


class Convict:
    def __init__(
        self,
        view: OracleView,
        court: CourtBinding,
        proceedings: CourtReader,
        subjects: Subjects,
        outbox: Outbox,
        policy: WatcherPolicy,
    ) -> None:
        self._view = view
        self._court = court
        self._proceedings = proceedings
        self._subjects = subjects
        self._outbox = outbox
        self._policy = policy

    async def step(self, case: Case) -> Case:
        """Where an ACCUSED or HELD case stands after the next thing to do.

        Raises:
            OracleError: not now; try again.
        """
        state = await self._view.state(case.request_id)
        if state.state is RequestState.SLASHED:
            return await self._paid(case)
        if state.state.terminal:
            text = f"too late, the request is {state.state.name.lower()}: {case.reason}"
            return ended(case, CaseState.OVER, text)
        if case.state is CaseState.HELD:  # a reorg took the conviction away
            case = replace(case, state=CaseState.ACCUSED)
        return await self._proven(case, await self._subjects.subject(case), state)

    async def _proven(self, case: Case, subject: Subject, state: OnChainRequest) -> Case:
        assert case.proof is not None
        assert case.salt is not None
        announcement = announcement_of(self._outbox.sender, case.request_id, case.proof, case.salt)
        data = self._court.prove_fraud_data(subject.disputed, case.proof, case.salt)
        if await self._outbox.under_way(data):
            return case
        announced = await self._court.announced_at(announcement)
        now = (await self._view.rpc.latest()).timestamp
        age = (await self._court.limits()).announcement_age
        if not announced:
            estimate = await self._weighed(case, subject, data)
            if estimate is not None:
                return estimate
            if self._policy.announce and await self._has_time(state, now, age):
                await self._outbox.send(Purpose.ANNOUNCE, self._court.announce_data(announcement))
                return case
        elif now < announced + age and await self._has_time(state, now, announced + age - now):
            return case
        await self._outbox.send(Purpose.PROVE, data)
        return case

    async def _weighed(self, case: Case, subject: Subject, data: bytes) -> Case | None:
        """Says what a conviction brings and costs; a case that is over where it is not worth it."""
        limits = await self._view.oracle.limits()
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
        _log.warning(
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
            text = f"{estimate.cost_wei} wei of gas for {worth_wei} wei of OPG: {case.reason}"
            return ended(case, CaseState.OVER, text)
        return None

    async def _has_time(self, state: OnChainRequest, now: int, wait: int) -> bool:
        """Whether a proof can be shown that many seconds later, and some blocks to spare."""
        if state.state is RequestState.REVEAL_PENDING:
            return True
        head = await self._view.rpc.latest()
        before = await self._view.rpc.block(max(0, head.number - _MEASURED_BLOCKS))
        block_seconds = 1.0
        if before is not None and head.number > before.number:
            block_seconds = (head.timestamp - before.timestamp) / (head.number - before.number)
        return now + wait + _BLOCKS_OF_MARGIN * min(block_seconds, 15.0) < state.settle_at

    async def _paid(self, case: Case) -> Case:
        """Who is paid for the conviction, and whether it is ours to fetch."""
        story = await self._subjects.story(case)
        voided = story.find(AnswerVoided)
        me = self._outbox.sender
        if voided is not None and voided.watcher == me:
            return ended(case, CaseState.CONVICTED, f"by this watcher: {case.reason}")
        held = await self._court.held_share(case.request_id)
        if held.holder == ZERO_ADDRESS:
            return await self._by_whom(case)
        now = (await self._view.rpc.latest()).timestamp
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
            _log.warning("convicted; the share is held", until=until)
        return replace(case, state=CaseState.HELD)

    async def _by_whom(self, case: Case) -> Case:
        head = await self._view.rpc.latest()
        found = await self._proceedings.proceedings(case.request_id, case.block_number, head.number)
        if found.proven is not None:
            mine = found.proven.watcher == self._outbox.sender
            who = "this watcher" if mine else found.proven.watcher
            return ended(case, CaseState.CONVICTED, f"by {who}: {case.reason}")
        return ended(case, CaseState.CONVICTED, f"the answer was voided: {case.reason}")
