"""What happens when in a random mix of failures: drawn from a seed, before anything runs. Pure.

The same seed and length give the same plan. What a real chain makes of it differs in its details:
how deep in its work a fault meets the node is a matter of milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What may happen. `ASK` is a request; the others are failures."""

    ASK = "ask"
    REORG = "reorg"
    REORG_DROPS_OURS = "reorg drops ours"
    DROPPED = "dropped from the pool"
    FEE_SPIKE = "fee spike"
    KILL = "kill -9"
    HUNG_CHAIN = "chain hangs"
    LOST_REQUESTS = "rpc drops calls"
    LOST_REPLIES = "rpc loses replies to sends"
    SLOW = "rpc is slow"
    RATE_LIMIT = "rpc answers 429"
    NO_LOGS = "rpc leaves logs out"
    DOUBLED_LOGS = "rpc doubles logs"
    FOREIGN_NONCE = "somebody else uses the key"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens.

    Attributes:
        at_seconds: since the beginning.
        seconds: how long it lasts; 0 where it is over at once.
        size: blocks of a reorg, factor of a fee spike, seconds of delay: by its kind.
    """

    at_seconds: float
    kind: Kind
    seconds: float = 0.0
    size: int = 0


_WEIGHTS: Final[Mapping[Kind, int]] = {
    Kind.REORG: 5,
    Kind.REORG_DROPS_OURS: 4,
    Kind.DROPPED: 3,
    Kind.FEE_SPIKE: 2,
    Kind.KILL: 5,
    Kind.HUNG_CHAIN: 2,
    Kind.LOST_REQUESTS: 4,
    Kind.LOST_REPLIES: 4,
    Kind.SLOW: 3,
    Kind.RATE_LIMIT: 3,
    Kind.NO_LOGS: 4,
    Kind.DOUBLED_LOGS: 2,
    Kind.FOREIGN_NONCE: 1,
}

ASKS_PER_MINUTE: Final = 20.0
FAILURES_PER_MINUTE: Final = 8.0
_LEAST_APART_SECONDS: Final = 1.0


def plan(seed: int, minutes: float) -> list[Event]:
    """All that happens, in order: requests and failures, each a Poisson process of its own."""
    draw = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    events = [Event(at, Kind.ASK) for at in _moments(draw, ASKS_PER_MINUTE, minutes)]
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    for at in _moments(draw, FAILURES_PER_MINUTE, minutes, apart=_LEAST_APART_SECONDS):
        (kind,) = draw.choices(kinds, weights)
        events.append(_failure(draw, at, kind))
    return sorted(events, key=lambda event: event.at_seconds)


def _moments(
    draw: random.Random, per_minute: float, minutes: float, *, apart: float = 0.0
) -> list[float]:
    moments: list[float] = []
    at = 0.0
    while True:
        at += max(apart, draw.expovariate(per_minute / 60))
        if at >= 60 * minutes:
            return moments
        moments.append(round(at, 2))


def _failure(draw: random.Random, at: float, kind: Kind) -> Event:
    lasts = round(draw.uniform(0.5, 5.0), 2)
    match kind:
        case Kind.REORG | Kind.REORG_DROPS_OURS:
            return Event(at, kind, size=draw.randint(1, 3))
        case Kind.DROPPED | Kind.FOREIGN_NONCE:
            return Event(at, kind)
        case Kind.FEE_SPIKE:
            return Event(at, kind, size=draw.randint(3, 30))
        case Kind.SLOW:
            return Event(at, kind, lasts, size=draw.randint(1, 3))
        case _:
            return Event(at, kind, lasts)
