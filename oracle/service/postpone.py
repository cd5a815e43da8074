"""The move of a job whose step failed and is tried again, ever more slowly."""

from __future__ import annotations

from oracle.core.backoff import backoff_seconds
from oracle.core.job import Job, Trigger
from oracle.ports.jobs import JobMove


def postponed(
    job: Job, reason: str, now: float, slowest_seconds: float, *, unit_seconds: float = 1.0
) -> JobMove:
    """Counts one more try, and leaves the job alone for as long as `backoff_seconds` says."""
    tried = job.attempts + 1
    wait = backoff_seconds(tried, slowest_seconds, unit_seconds=unit_seconds)
    return JobMove(
        job.request_id,
        Trigger.POSTPONE,
        {"attempts": tried, "not_before": now + wait, "reason": reason},
    )
