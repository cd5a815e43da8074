"""The node's sign of life, in a file that any process can read. Written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oracle.core.types import Address
from oracle.ports import Heartbeat


class HeartbeatFile:
    """One node's heartbeat."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, heartbeat: Heartbeat) -> None:
        """Replaces the last heartbeat."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(heartbeat), indent=2))
        temporary.replace(self._path)

    def read(self) -> Heartbeat | None:
        """The last heartbeat, or None where no node ever wrote one here."""
        try:
            document: dict[str, Any] = json.loads(self._path.read_text())
            return Heartbeat(**{**document, "operator": Address(document["operator"])})
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
