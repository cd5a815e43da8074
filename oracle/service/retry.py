"""An operator tries one job again: its present step at once, or what was given up once more.

Knows which states may be tried again by `core.explanation`; neither who asks nor who does the work.
"""

from __future__ import annotations

from oracle.core.explanation import objection_to_retry
from oracle.core.job import Job, JobState, Trigger
from oracle.errors import InputError
from oracle.ports.jobs import JobMove, JobPatch, JobStore


async def retry(jobs: JobStore, job: Job, now: float) -> Job:
    """The job after the move; a running node takes it up within seconds.

    Raises:
        InputError: there is nothing to try; says why.
        IllegalTransition: it has moved on meanwhile.
    """
    if (refused := objection_to_retry(job, now)) is not None:
        raise InputError(refused, hint=f"oracle job explain 0x{job.request_id.hex()}")
    given_up = job.state in (JobState.FAILED, JobState.DECLINED)
    trigger = Trigger.RETRY if given_up else Trigger.POSTPONE
    patch: JobPatch = {"attempts": 0, "strikes": 0, "not_before": 0.0, "reason": None}
    (moved,) = await jobs.move([JobMove(job.request_id, trigger, patch)])
    return moved
