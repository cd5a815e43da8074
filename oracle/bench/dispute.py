"""What a dispute costs: one element of known size, and a wrong answer of every sample model.

Puts together gas (`dispute_trial`), which is the same on every machine and kept as a snapshot, and
time (`dispute_models`), which is not; and what others have published beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from oracle.bench import dispute_models, dispute_trial

CHEAT: Final = "scripts.dishonest_operator"
"""The module that cheats in a checkout of the repository."""

_VERBS: Final = {
    "announce": "announce",
    "judge": "judge",
    "proveFraud": "prove",
    "proveFraud, unannounced": "prove_unannounced",
}

PUBLISHED: Final = (
    ("zk-OPML, whole dispute of a DNN", "361 s"),
    ("zk-OPML, whole dispute of XGBoost", "598 s"),
    ("zk-OPML, whole dispute of LeNet", "494 s"),
    ("zk-OPML, whole dispute of a CNN of ten convolutions", "566 s"),
    ("zk-OPML, whole dispute of MobileNet", "1,115 s"),
    ("EZKL, verifying each answer, logistic regression of 16 inputs", "0.63 million gas"),
)
"""By others, on other machines: not measured here."""


async def measure(
    names: Sequence[str],
    files: Sequence[Path],
    cheat: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Both tables.

    Args:
        names, files, cheat: as `dispute_models.measure` takes them; no names and no files measure
            rows only.
    """
    trials = await dispute_trial.measure(say)
    facts: dict[str, Any] = {
        "rows": [asdict(one) | {"ok": one.ok} for one in trials],
        "transaction_gas_cap": dispute_trial.TRANSACTION_GAS_CAP,
    }
    if names or files:
        found = await dispute_models.measure(names, files, cheat, say)
        facts |= {
            "models": [asdict(one) | {"ok": one.ok} for one in found.of],
            "block_seconds": dispute_models.BLOCK_SECONDS,
            "announced": asdict(found.announced),
            "announcement_seconds": found.announcement_seconds,
            "published_elsewhere": dict(PUBLISHED),
        }
    return facts


def snapshot(facts: Mapping[str, Any]) -> str:
    """The gas of the rows, as forge writes its snapshots."""
    gas = {
        f"{row['row']}, {verb}": str(row[name])
        for row in facts["rows"]
        for verb, name in _VERBS.items()
    }
    return json.dumps(gas, indent=2, sort_keys=True) + "\n"
