"""A random mix of failures on real processes, drawn from a seed, and what must hold at its end.

Responsible for the plan and for the record of what happened. The rig that carries it out belongs
to the tests, and is found in a checkout of the repository only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from oracle.bench.chaos_plan import Event, Kind, plan
from oracle.bench.rig import load_rig

RIG: Final = "tests.support.mix"
"""The module with the rig in a checkout of the repository."""

Say = Callable[[str], None]


class Rig(Protocol):
    """Carries a plan out, and checks every invariant when all is quiet."""

    async def run(self, events: Sequence[Event], say: Say) -> Mapping[str, Any]:
        """What came of it, by name; `broken` names the invariants that do not hold."""
        ...


async def measure(minutes: float, seed: int, rig: str, say: Say) -> dict[str, Any]:
    """Runs the mix of a seed.

    Raises:
        ConfigurationError: there is no such rig here.
    """
    events = plan(seed, minutes)
    counts = Counter(event.kind for event in events)
    failures = len(events) - counts[Kind.ASK]
    say(f"seed {seed}: {counts[Kind.ASK]} requests and {failures} failures in {minutes:g} minutes")
    facts: dict[str, Any] = {
        "seed": seed,
        "minutes": minutes,
        "planned": {kind.value: counts[kind] for kind in Kind if counts[kind]},
    }
    mix: Rig = load_rig(rig)
    return facts | dict(await mix.run(events, say))
