"""The failures whose end is timed, in words, and the settings of the nodes that meet them. Pure.

Knows nothing of how a failure is provoked, nor of what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from oracle.settings import Settings


class Failure(StrEnum):
    """A name for `--only`."""

    KILLED_BEFORE_SENDING = "killed-before-sending"
    KILLED_AFTER_SENDING = "killed-after-sending"
    CHAIN_SUSPENDED = "chain-suspended"
    CHAIN_RESTARTED = "chain-restarted"
    RPC_REFUSES = "rpc-refuses"
    RPC_LATE = "rpc-late"
    REORG = "reorg"
    FEE_SPIKE = "fee-spike"
    LEADER_KILLED = "leader-killed"
    INFERENCE_KILLED = "inference-killed"
    DATABASE_LOCKED = "database-locked"
    NO_COIN = "no-coin"


OUTAGE_SECONDS: Final = 20.0
"""How long a failure lasts that ends by itself."""

DOWN_SECONDS: Final = 5.0
"""How long a killed worker is down."""

LATE_SECONDS: Final = 5.0
"""How late a late endpoint answers each call."""

TIMED_FROM: Final[Mapping[Failure, str]] = {
    Failure.KILLED_BEFORE_SENDING: "the start of a new process",
    Failure.KILLED_AFTER_SENDING: "the start of a new process",
    Failure.CHAIN_SUSPENDED: "its end",
    Failure.CHAIN_RESTARTED: "its end",
    Failure.RPC_REFUSES: "its end",
    Failure.RPC_LATE: "its end",
    Failure.REORG: "the reorg",
    Failure.FEE_SPIKE: "the spike, which lasts",
    Failure.LEADER_KILLED: "the kill",
    Failure.INFERENCE_KILLED: "the kill",
    Failure.DATABASE_LOCKED: "its end",
    Failure.NO_COIN: "the refill",
}
"""From when recovery is timed: the failure's end, or its begin where it does not end by itself."""

_TOLD: Final = (
    "poll_seconds",
    "settle_seconds",
    "resend_seconds",
    "bump_seconds",
    "lease_seconds",
    "lease_refresh_seconds",
    "rpc_timeout_seconds",
)


def usual_settings() -> dict[str, Any]:
    """The settings as they come that bound a recovery, in seconds."""
    return {name: Settings.model_fields[name].default for name in _TOLD}
