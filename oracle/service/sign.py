"""Signs what was computed: one answer a request, ever, with the trigger that it earns.

What is about to be signed is on record first, so that no second result of a request is signed, by
whichever key; nor one beside what the chain had of us before a reorg. A signer that gives nothing,
or something else, costs no result: it is saved, and signed when there is a signature to be had.
Runs nothing and sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from oracle.core.job import Job, Trigger
from oracle.core.receipt import Answer
from oracle.core.signing import signature_over
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_BYTES32, Address
from oracle.errors import SignedTwice, SignerError
from oracle.ports.inference import CommittedTrace
from oracle.ports.jobs import JobMove, JobPatch, JobStore
from oracle.ports.signing import Signer
from oracle.service.journal import short

_log = structlog.get_logger("oracle.sign")

UNANSWERABLE = b""
"""The result that says: the model gives no output for this input."""

SIGNATURE_KIND = "answer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to, before it is signed."""

    job: Job
    result: bytes
    session: str | None
    seconds: float
    note: str | None
    trace: CommittedTrace | None = None
    unrun_root: bytes = ZERO_BYTES32
    """What is committed to where nothing was run now."""

    @property
    def trace_root(self) -> bytes:
        return self.unrun_root if self.trace is None else self.trace.root


class SignAnswers:
    def __init__(self, jobs: JobStore, signer: Signer, domain: Domain, operator: Address) -> None:
        self._jobs = jobs
        self._signer = signer
        self._domain = domain
        self._operator = operator

    async def sign(self, outcomes: Sequence[Outcome]) -> tuple[list[JobMove], SignerError | None]:
        """Moves for all of these, and why some were not signed."""
        if not outcomes:
            return [], None
        answers = [
            Answer.of(
                done.job.request_id, done.job.request, self._operator, done.result, done.trace_root
            )
            for done in outcomes
        ]
        digests = [answer.digest(self._domain) for answer in answers]
        try:
            _require_as_posted(outcomes, answers)
            await self._jobs.reserve_signatures(
                SIGNATURE_KIND,
                [
                    (done.job.request_id, digest)
                    for done, digest in zip(outcomes, digests, strict=True)
                ],
            )
        except SignedTwice as error:
            return await self._apart(outcomes, error)
        signatures = await asyncio.gather(
            *(signature_over(self._signer, one.preimage(self._domain)) for one in answers),
            return_exceptions=True,
        )
        moves: list[JobMove] = []
        refusal: SignerError | None = None
        for done, answer, signature in zip(outcomes, answers, signatures, strict=True):
            patch: JobPatch = {
                "result": done.result,
                "answer": answer,
                "session": done.session,
                "inference_seconds": done.seconds,
                "reason": done.note,
                "attempts": 0,
                "not_before": 0.0,
            }
            if isinstance(signature, SignerError):
                refusal = signature
                patch["reason"] = done.note or signature.message
                moves.append(JobMove(done.job.request_id, Trigger.POSTPONE, patch))
            elif isinstance(signature, BaseException):
                raise signature
            else:
                patch["signature"] = signature
                moves.append(JobMove(done.job.request_id, Trigger.COMPUTED, patch))
        return moves, refusal

    async def _apart(
        self, outcomes: Sequence[Outcome], error: SignedTwice
    ) -> tuple[list[JobMove], SignerError | None]:
        """One of these must not be signed: it fails alone."""
        if len(outcomes) > 1:
            apart = [await self.sign([done]) for done in outcomes]
            moves = [move for found, _ in apart for move in found]
            return moves, next((why for _, why in apart if why is not None), None)
        request_id = outcomes[0].job.request_id
        _log.error("not signed", request=short(request_id), error=error.message)
        return [JobMove(request_id, Trigger.COMPUTE_FAILED, {"reason": error.message})], None


def _require_as_posted(outcomes: Sequence[Outcome], answers: Sequence[Answer]) -> None:
    """Raises SignedTwice where the chain had another answer of ours: its signature is out there,
    though the record of it may be lost with a database."""
    for done, answer in zip(outcomes, answers, strict=True):
        posted = done.job.answer
        if posted is not None and posted != answer:
            raise SignedTwice(
                f"refused to sign another result for request 0x{answer.request_id.hex()} than the "
                "one that was posted before a reorg",
                hint="the model gives other results here than where that one was computed",
            )


def saved_outcome(job: Job, answer: Answer, result: bytes) -> Outcome:
    """What was saved when the signer gave no signature. Its trace is kept already."""
    note = job.reason if result == UNANSWERABLE else None
    seconds = job.inference_seconds or 0.0
    return Outcome(job, result, job.session, seconds, note, unrun_root=answer.trace_root)
