"""How endpoints are judged, and who is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Notice: TypeAlias = Callable[[str, str, str], None]
"""Told of what changes: how bad ("info", "warning", "error"), the masked endpoint, and what."""


def log_notice(level: str, endpoint: str, what: str) -> None:
    """For whoever has no log of its own: a line of logging's, under `oracle.rpc`."""
    logging.getLogger("oracle.rpc").log(
        getattr(logging, level.upper()), "endpoint %s: %s", endpoint, what
    )


@dataclass(frozen=True, slots=True)
class RpcPolicy:
    """How endpoints are judged.

    Attributes:
        max_lag_blocks: an endpoint further behind the best one is not asked.
        check_seconds: how often those that are not in use show that they are well.
        calls_per_minute: most calls to each; 0 for no bound. Transactions are never held back.
        first_pause_seconds: how long one that failed is left alone; doubles while it fails.
        longest_pause_seconds: where the doubling ends.
    """

    max_lag_blocks: int = 5
    check_seconds: float = 15.0
    calls_per_minute: int = 0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 300.0
