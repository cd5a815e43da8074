"""The clock of this machine, for whoever is put together here."""

from __future__ import annotations

import time


class SystemClock:
    """The wall clock."""

    def now(self) -> float:
        return time.time()
