"""Whether the node of a data directory lives: by its heartbeat, and by the process that wrote it.

Knows the system's processes, and nothing of what a node does.
"""

from __future__ import annotations

from typing import Final

import psutil

from oracle.ports.health import Heartbeat

START: Final = "`oracle up`"
"""The verb that starts a node where none runs, wherever one is wanted."""


def process_of(heartbeat: Heartbeat | None) -> psutil.Process | None:
    """The node's process, if it lives and its number was not given to another."""
    if heartbeat is None or heartbeat.ended:
        return None
    try:
        process = psutil.Process(heartbeat.process_id)
        return process if process.create_time() <= heartbeat.started_at else None
    except psutil.Error:
        return None


def process_ended(process: psutil.Process, seconds: float) -> bool:
    """Waits for its end; whether it came in time."""
    gone, _ = psutil.wait_procs([process], timeout=seconds)
    return bool(gone)
