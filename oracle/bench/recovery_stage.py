"""A node with the settings as they come, and what it says of its own calls.

A devnet's settings make a node quicker than one on a public chain; these figures are of the latter.
Knows nothing of what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from oracle.bench.stage import Stage
from oracle.bootstrap.devnet import free_port, write_settings
from oracle.devnet.accounts import Person
from oracle.errors import NoAnswer
from oracle.settings import Settings
from oracle.storage.heartbeat import HeartbeatFile

_OF_A_DEVNET = ("poll_seconds", "settle_seconds", "answer_margin_seconds")
_BEAT_PATIENCE_SECONDS = 30.0


def as_it_comes(on: Stage) -> None:
    """Writes a stage's settings file anew, with the defaults where a devnet has others."""
    people = {"owner": Person.OWNER, "signer": Person.SIGNER}
    usual = {name: Settings.model_fields[name].default for name in _OF_A_DEVNET}
    write_settings(on.folder, on.operator, people, serve_port=free_port(), **usual)


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat's moment in Unix seconds, and the calls until then by method."""

    at: float
    calls: Counter[str]


async def next_beat(on: Stage) -> Beat:
    """The first heartbeat that is written from now on.

    Raises:
        NoAnswer: none is.
    """
    file = HeartbeatFile(on.folder / "node.json")
    before = file.read()
    give_up_at = time.monotonic() + _BEAT_PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        beat = file.read()
        if beat is not None and (before is None or beat.beat_at > before.beat_at):
            calls: Counter[str] = Counter()
            for endpoint in beat.endpoints:
                calls.update(endpoint["calls"])
            return Beat(beat.beat_at, calls)
        await asyncio.sleep(0.02)
    raise NoAnswer(f"the node wrote no heartbeat for {_BEAT_PATIENCE_SECONDS:g} s")
