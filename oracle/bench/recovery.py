"""How soon a node is back after a failure, what it costs to do nothing, and how it catches up.

Responsible for which parts are measured and for the goals that their figures are held against. The
failures need the rig of the tests, in a checkout of the repository; the other parts do not. Knows
nothing of how a failure is provoked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from oracle.bench import recovery_catch_up, recovery_idle
from oracle.bench.recovery_failures import Failure, usual_settings
from oracle.bench.rig import load_rig
from oracle.errors import InputError, OracleError

RIG: Final = "tests.support.recovery"
"""The module with the rig in a checkout of the repository."""

FAILURES, IDLE, CATCH_UP = "failures", "idle", "catch-up"
PARTS: Final = (FAILURES, IDLE, CATCH_UP)

GOALS: Final[Mapping[str, int]] = {
    "lost": 0,
    "duplicates": 0,
    "idle_calls_per_minute": recovery_idle.GOAL_CALLS_PER_MINUTE,
}
"""The most that is good: requests, requests, calls below which a node that idles stays."""

Say = Callable[[str], None]


class Rig(Protocol):
    """Provokes failures on a real chain and real node processes."""

    async def run(self, failures: Sequence[Failure], say: Say) -> Sequence[Mapping[str, Any]]:
        """A row of figures for each failure, in the order given."""
        ...


async def measure(
    only: Sequence[str],
    rig: str,
    say: Say,
    *,
    idle_seconds: float,
    blocks: int,
    requests: int,
) -> dict[str, Any]:
    """Measures the parts and failures that are named, or everything; the figures by name.

    Args:
        only: of `PARTS` and of `Failure`.
        rig: module that is a `Rig`.
        idle_seconds: how long each idle node is counted.
        blocks, requests: how far behind a node starts that catches up.

    Raises:
        InputError: there is no such part.
        ConfigurationError: there is no such rig here.
    """
    parts, failures = chosen(only)
    facts: dict[str, Any] = {"goals": dict(GOALS), "settings": usual_settings()}
    if failures:
        without = f", or leave the failures out: `--only {IDLE} --only {CATCH_UP}`"
        provoking: Rig = load_rig(rig, otherwise=without)
        facts["failures"] = [dict(row) for row in await provoking.run(failures, say)]
    if IDLE in parts:
        facts["idle"] = await recovery_idle.measure(idle_seconds, say)
    if CATCH_UP in parts:
        facts["catch_up"] = await recovery_catch_up.measure(blocks, requests, say)
    return facts | {name: total(facts, name) for name in ("lost", "duplicates")}


def chosen(only: Sequence[str]) -> tuple[set[str], list[Failure]]:
    """The parts and the failures that names stand for; all where there are none.

    Raises:
        InputError: a name is neither.
    """
    known = [*PARTS, *(one.value for one in Failure)]
    for name in only:
        if name not in known:
            raise InputError(f"{name!r} is no part of this", hint=f"one of: {', '.join(known)}")
    parts = set(only or PARTS) & set(PARTS)
    return parts, [one for one in Failure if FAILURES in parts or one.value in only]


def total(facts: Mapping[str, Any], name: str) -> int:
    """The sum of a figure over the failures and the catch-up."""
    rows = [*facts.get("failures", ()), facts.get("catch_up", {})]
    return sum(row.get(name, 0) for row in rows)


def require_nothing_lost(facts: Mapping[str, Any]) -> None:
    """Raises OracleError where a request was lost or two of its results were signed."""
    if facts["lost"] > GOALS["lost"] or facts["duplicates"] > GOALS["duplicates"]:
        raise OracleError(
            f"{facts['lost']} requests were lost, {facts['duplicates']} signed twice",
            hint="this is a bug: report it",
        )
