"""Binds us to open requests that were admitted: ADMITTED -> ACCEPTING, by a signed acceptance."""

from __future__ import annotations

from oracle.core.job import JobState, Trigger
from oracle.core.receipt import Accept as AcceptMessage
from oracle.core.transaction import Call, Purpose
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.errors import ContractReverted, SignedTwice
from oracle.ports import Clock, JobMove, JobStore, OracleContract, Signer, TransactionGateway
from oracle.service import journal
from oracle.service.transact import Transact

SIGNATURE_KIND = "accept"


class Accept:
    def __init__(
        self,
        jobs: JobStore,
        contract: OracleContract,
        gateway: TransactionGateway,
        transact: Transact,
        signer: Signer,
        clock: Clock,
        domain: Domain,
        operator: Address,
        *,
        margin_seconds: int = 0,
        attempts: int = 3,
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

    async def cycle(self) -> bool:
        """Sends an acceptance for each job that is due. True where one was sent or given up."""
        room = await self._transact.room()
        if room <= 0:
            return False
        jobs = await self._jobs.jobs([JobState.ADMITTED], limit=room, due_at=self._clock.now())
        if not jobs:
            return False
        chain_time = await self._gateway.chain_time()
        for job in jobs:
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
            data = self._contract.accept_data(
                job.request, message, self._signer.sign_digest(digest)
            )
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
