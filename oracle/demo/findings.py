"""What the second act's watcher found, and what its two transactions cost.

Read from its own tables while it runs in its own process. Knows nothing of the chain, and changes
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.watcher import DATABASE
from oracle.core.transaction import Mined, Purpose
from oracle.core.types import format_wad
from oracle.storage.lookup import Lookup
from oracle.storage.storage import Storage, open_storage

_MOST_TRANSACTIONS = 20
_BY_US = "by this watcher: "


@dataclass(frozen=True, slots=True)
class Findings:
    """About one answer, as far as the watcher has come.

    Attributes:
        wrong: the element and its numbers, in the watcher's words; empty before it has a proof.
        announcement, proof: None before they are mined; an announcement is never, where the window
            leaves no time for one.
    """

    wrong: str = ""
    announcement: Mined | None = None
    proof: Mined | None = None

    @property
    def place_and_numbers(self) -> tuple[str, str]:
        """Where the wrong element is; what was claimed of it, and what it must be."""
        place, _, numbers = self.wrong.partition(": ")
        return place, numbers

    @property
    def cost(self) -> str:
        """Gas of each transaction and the coin for both, in one line."""
        named = {"announcement": self.announcement, "proof": self.proof}
        parts = [f"{one.gas_used:,} gas for the {name}" for name, one in named.items() if one]
        return f"{' and '.join(parts)}: {format_wad(self.cost_wei)} of the chain's coin"

    @property
    def cost_wei(self) -> int:
        """Of both transactions."""
        return sum(one.cost_wei for one in (self.announcement, self.proof) if one)

    def as_facts(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "wrong": self.wrong,
            "announcement_gas": self.announcement.gas_used if self.announcement else None,
            "proof_gas": self.proof.gas_used if self.proof else None,
            "watcher_paid_wei": self.cost_wei,
        }


async def is_watching(data_dir: Path) -> bool:
    """Whether the watcher of a data directory has read the chain up to its head once.

    Raises:
        StorageError: its database cannot be read.
    """
    storage = _opened(data_dir)
    if storage is None:
        return False
    try:
        return await storage.cases.cursor() is not None
    finally:
        await storage.close()


async def read_findings(data_dir: Path, request_id: bytes) -> Findings:
    """What the watcher of a data directory knows of an answer by now.

    It must have convicted nobody else: which transaction served which answer is not in its tables.

    Raises:
        StorageError: its database cannot be read.
    """
    storage = _opened(data_dir)
    if storage is None:
        return Findings()
    try:
        cases = await storage.cases.everything()
        sent = await Lookup(storage.database).transactions(_MOST_TRANSACTIONS)
    finally:
        await storage.close()
    wrong = next(
        (one.reason for one in cases if one.request_id == request_id and one.proof is not None), ""
    )
    mined = {one.purpose: one.mined for one in sent if one.mined and one.mined.succeeded}
    return Findings(
        wrong.removeprefix(_BY_US), mined.get(Purpose.ANNOUNCE), mined.get(Purpose.PROVE)
    )


def _opened(data_dir: Path) -> Storage | None:
    """The watcher's tables; None where it has only just been started."""
    database = next((data_dir / "watcher").glob(f"*/{DATABASE}"), None)
    return None if database is None else open_storage(database, SystemClock())
