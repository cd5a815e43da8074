"""One log line per change of a job, for people and machines. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from oracle.core.job import Job
from oracle.core.types import format_opg

_log = structlog.get_logger("oracle.job")


def record(jobs: Iterable[Job]) -> None:
    """Logs where each job stands now."""
    for job in jobs:
        _log.info(
            "job",
            request=short(job.request_id),
            state=job.state.value,
            **({"reason": job.reason} if job.reason else {}),
            **({"earned_opg": format_opg(job.fee_earned)} if job.fee_earned else {}),
        )


def short(request_id: bytes) -> str:
    """The first 5 bytes of an id, enough to find it by."""
    return "0x" + request_id[:5].hex()
