"""Runs a measurement for a verb: says how far it is, and what its figures were taken on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from oracle.bench.machine import machine_note
from oracle.cli.output import Output

Measure = Callable[[Callable[[str], None]], Awaitable[dict[str, Any]]]


async def measured(out: Output, measure: Measure) -> dict[str, Any]:
    """The figures of a measurement, and what they were taken on."""
    began = time.monotonic()
    machine = machine_note()
    with out.progress("measuring"):
        facts = await measure(lambda text: out.say(f"{time.monotonic() - began:5.1f} s  {text}"))
    return facts | {"machine": machine, "took_seconds": round(time.monotonic() - began, 1)}


def about(out: Output, facts: Mapping[str, Any]) -> None:
    """The machine, in a line below the tables."""
    machine = facts["machine"]
    out.say(
        f"on {machine['cores']} cores of {machine['cpu']}, "
        f"load {machine['load_before'][0]} before; "
        f"anvil {machine['anvil']}, Python {machine['python']}; took {facts['took_seconds']} s"
    )
