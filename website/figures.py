"""The committed snapshots as tables: what `./scripts/test` and the bench commands have measured."""

from __future__ import annotations

import json
from pathlib import Path

from tables import cell, table

_SNAPSHOTS = Path(__file__).resolve().parent.parent / "snapshots"

_WHAT = {
    "verbs.json": ("Gas of every verb", "gas of the whole transaction, by `forge test`"),
    "court.json": ("Gas of the court's verbs", "gas of the whole transaction, by `forge test`"),
    "credit.json": ("Gas of credit for views", "gas of the whole transaction, by `forge test`"),
    "dispute.json": (
        "Gas of a conviction",
        "by `oracle bench dispute --rows-only --snapshot snapshots/dispute.json`",
    ),
    "exact.json": ("Gas of exact operations", "of one judged element, by `forge test`"),
    "elementary.json": ("Gas of elementary functions", "of one evaluation, by `forge test`"),
    "runtime-bytes.json": ("Size of the contracts", "bytes of runtime code, by `forge test`"),
}


def page() -> str:
    """One table a snapshot."""
    parts = [
        "# Figures\n",
        "Every number on this page stands in `snapshots/`, where `./scripts/test` compares it with "
        "what it measures anew. Speed, memory and recovery: [performance](../performance.md).\n",
    ]
    for file in sorted(_SNAPSHOTS.glob("*.json")):
        title, unit = _WHAT.get(file.name, (file.stem, ""))
        rows = [
            [cell(name), f"{int(value):,}"] for name, value in json.loads(file.read_text()).items()
        ]
        parts += [
            f"## {title}\n",
            f"{unit[:1].upper()}{unit[1:]} (`snapshots/{file.name}`).\n" if unit else "",
        ]
        parts.append(table(["what", "figure"], rows))
    return "\n".join(parts)
