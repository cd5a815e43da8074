"""One log line per change of a job, for people and machines. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from oracle.core.job import TRANSITIONS, Job, JobState, Trigger
from oracle.core.types import format_opg
from oracle.ports.jobs import JobMove

_log = structlog.get_logger("oracle.job")

LEADS_TO: Final[Mapping[Trigger, JobState]] = {
    trigger: end
    for (_, trigger), end in TRANSITIONS.items()
    if {end} == {other for (_, same), other in TRANSITIONS.items() if same is trigger}
}
"""The state after a trigger that leads to one only: those of whatever is sent are among them."""


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
        if job.state is JobState.FAILED:
            _log.critical(
                "GIVEN UP: a bound request will not be answered",
                request=short(job.request_id),
                reason=job.reason,
                costs_opg=format_opg(job.request.price_of_silence),
            )
        elif job.state is JobState.DEFAULTED:
            _log.critical(
                "DEFAULTED: a bound request was not answered, and its price is slashed",
                request=short(job.request_id),
                costs_opg=format_opg(job.request.price_of_silence),
            )
        elif job.state is JobState.SLASHED:
            _log.critical(
                "CONVICTED: an answer of this operator was proven wrong, and its bond is lost",
                request=short(job.request_id),
                bond_opg=format_opg(job.request.bond),
                next="end the node and run `oracle selfcheck` before it answers anything else",
            )


def moved(moves: Iterable[JobMove]) -> None:
    """Logs where moves lead that were saved together with a transaction."""
    for move in moves:
        reason = move.patch.get("reason")
        _log.info(
            "job",
            request=short(move.request_id),
            state=LEADS_TO[move.trigger].value,
            **({"reason": reason} if reason else {}),
        )


def short(request_id: bytes) -> str:
    """The first 5 bytes of an id, enough to find it by."""
    return "0x" + request_id[:5].hex()
