"""The committed snapshots and the contracts' sizes as tables: what is measured by the checks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tables import cell, table

_ROOT = Path(__file__).resolve().parent.parent
_SNAPSHOTS = _ROOT / "snapshots"
_ABI = _ROOT / "abi"

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
}


def page() -> str:
    """One table a snapshot, and one of the contracts' sizes."""
    parts = [
        "# Figures\n",
        "Every number on this page stands in `snapshots/` or `abi/`, where `./scripts/test` "
        "compares it with what it measures anew. Speed, memory and recovery: "
        "[performance](../performance.md).\n",
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
    return "\n".join([*parts, *_sizes()])


def _sizes() -> Iterator[str]:
    yield "## Size of the contracts\n"
    yield "Bytes of runtime code, by `scripts/abi` (`abi/*.json`, `runtimeBytes`).\n"
    contracts = [json.loads(file.read_text()) for file in sorted(_ABI.glob("*.json"))]
    # Interfaces have no code.
    deployed = [one for one in contracts if one["runtimeBytes"]]
    yield table(
        ["what", "figure"],
        [[cell(one["contractName"]), f"{one['runtimeBytes']:,}"] for one in deployed],
    )
