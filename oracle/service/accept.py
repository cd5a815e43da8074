"""Binds us to open requests that were admitted: ADMITTED -> ACCEPTING, by a signed acceptance."""

from __future__ import annotations

from oracle.core.job import JobState, Trigger
from oracle.core.receipt import Accept as AcceptMessage
from oracle.core.signing import signature_over
from oracle.core.transaction import Call, Purpose
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.errors import ContractReverted, SignedTwice
from oracle.ports.clock import Clock
from oracle.ports.contracts import OracleContract
from oracle.ports.jobs import JobMove, JobStore
from oracle.ports.sending import Sending, TransactionGateway
from oracle.ports.signing import Handover, Signer
from oracle.service import journal

SIGNATURE_KIND = "accept"


class Accept:
    def __init__(
        self,
        jobs: JobStore,
        contract: OracleContract,
        gateway: TransactionGateway,
        transact: Sending,
        signer: Signer,
        clock: Clock,
        domain: Domain,
        operator: Address,
        *,
        margin_seconds: int = 0,
        attempts: int = 3,
        handover: Handover | None = None,
    ) -> None:
        self._jobs = jobs
        self._contract = contract
        self._gateway = gateway
        self._transact = transact
        self._signer = signer
        self._clock = clock
        self._domain = domain
        self._operator = operator
        self._attempts = attempts
        self._margin_seconds = margin_seconds
        self._handover = handover

    async def cycle(self) -> bool:
        """Sends an acceptance for each job that is due. True where one was sent or given up."""
        room = await self._transact.room()
        if room <= 0:
            return False
        jobs = await self._jobs.jobs([JobState.ADMITTED], limit=room, due_at=self._clock.now())
        if not jobs:
            return False
        chain_time = await self._gateway.chain_time()
        if self._handover is not None and self._handover.pause_until(chain_time) is not None:
            return False  # it would be refused if it were mined after the change of the signer
        served = await self._transact.under_way(Purpose.ACCEPT)
        for job in jobs:
            if job.request_id in served:  # reopened by the reorg that brought the job here again
                sent = JobMove(job.request_id, Trigger.ACCEPT_SENT)
                journal.record(await self._jobs.move([sent]))
                continue
            # An acceptance that is mined too late to be followed by an answer costs a penalty.
            valid_until = job.request.deadline - self._margin_seconds
            message = AcceptMessage(job.request_id, self._operator, max(0, valid_until))
            digest = message.digest(self._domain)
            reason = "too little time is left to accept it" if valid_until < chain_time else None
            if reason is None:
                try:
                    await self._jobs.reserve_signatures(SIGNATURE_KIND, [(job.request_id, digest)])
                except SignedTwice as error:  # the margin was set anew since the last try
                    reason = error.message
            if reason is not None:
                decline = JobMove(job.request_id, Trigger.DECLINE, {"reason": reason})
                journal.record(await self._jobs.move([decline]))
                continue
            signature = await signature_over(self._signer, message.preimage(self._domain))
            data = self._contract.accept_data(job.request, message, signature)
            sender, to = self._signer.address, self._contract.address
            try:
                gas = await self._gateway.estimate_gas(sender, to, data)
                await self._transact.submit(Purpose.ACCEPT, Call(to, data, gas), [job.request_id])
            except ContractReverted as error:
                # Somebody else was first, or it was cancelled: the logs will say; if they do not,
                # it is declined after a few tries.
                tried = job.attempts + 1
                gone = tried >= self._attempts
                trigger = Trigger.DECLINE if gone else Trigger.POSTPONE
                move = JobMove(
                    job.request_id,
                    trigger,
                    {
                        "attempts": tried,
                        "not_before": self._clock.now() + 2.0**tried,
                        "reason": error.message,
                    },
                )
                journal.record(await self._jobs.move([move]))
        return bool(jobs)
