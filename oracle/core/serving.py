"""How a transaction moves the jobs that it serves: when sent, and back if nothing comes of it.

Pure. What is mined moves jobs by its logs, which is not told here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oracle.core.job import JobState, Trigger
from oracle.core.transaction import Purpose

SENT: Final[Mapping[Purpose, Trigger]] = {
    Purpose.ACCEPT: Trigger.ACCEPT_SENT,
    Purpose.ANSWER: Trigger.ANSWER_SENT,
    Purpose.SETTLE: Trigger.SETTLE_SENT,
}

UNDONE: Final[Mapping[Purpose, tuple[JobState, Trigger]]] = {
    Purpose.ACCEPT: (JobState.ACCEPTING, Trigger.ACCEPT_FAILED),
    Purpose.ANSWER: (JobState.ANSWERING, Trigger.ANSWER_FAILED),
    Purpose.SETTLE: (JobState.SETTLING, Trigger.SETTLE_FAILED),
}
"""Where a job waits for its transaction, and what takes it a step back."""
