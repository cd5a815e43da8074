"""What was promised in views, for jobs that turn out to be theirs.

A request that is sent after it was answered in a view is answered by what is on record, whatever
another run would give. Runs and signs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oracle.core.job import Job
from oracle.core.receipt import Answer
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_BYTES32
from oracle.ports.jobs import JobStore
from oracle.ports.traces import TraceHold, TraceStore
from oracle.ports.views import ViewAnswer, ViewStore
from oracle.service.retain import owed_until
from oracle.service.sign import SIGNATURE_KIND


class ViewPromises:
    """What was promised in views, for jobs that turn out to be theirs."""

    def __init__(
        self, views: ViewStore, traces: TraceStore, jobs: JobStore, domain: Domain
    ) -> None:
        self._views = views
        self._traces = traces
        self._jobs = jobs
        self._domain = domain

    async def __call__(self, jobs: Sequence[Job]) -> Mapping[bytes, tuple[Answer, bytes]]:
        """The answers that are on record already, with their results, by request; their traces are
        held as those of jobs from now on.

        What was not about to be signed and has no trace here was promised to nobody, and could not
        be shown: it is run as any other job.
        """
        known = await self._views.views_of([job.request_id for job in jobs])
        reserved = await self._jobs.reserved_signatures(SIGNATURE_KIND, list(known))
        found = {
            key: one for key, one in known.items() if await self._stands(one, reserved.get(key))
        }
        holds = [
            TraceHold(one.trace_root, one.request_id, owed_until(one.request))
            for one in found.values()
            if one.trace_root != ZERO_BYTES32
        ]
        if holds:
            await self._traces.keep_until(holds)
        return {key: (answer_of(one), one.result) for key, one in found.items()}

    async def _stands(self, answer: ViewAnswer, reserved: bytes | None) -> bool:
        """Args: reserved: the digest of all that may ever be signed for its request."""
        if answer.answer_signature or answer.trace_root == ZERO_BYTES32:
            return True
        if reserved is not None:
            return reserved == answer_of(answer).digest(self._domain)
        return await self._traces.find(answer.trace_root) is not None


def answer_of(answer: ViewAnswer) -> Answer:
    """What is signed of it."""
    request = answer.request
    return Answer.of(answer.request_id, request, request.operator, answer.result, answer.trace_root)
