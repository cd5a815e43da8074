"""Prints the table of the sample models that README.md holds.

    python models/describe.py

Reads the committed ONNX files and their cards; it runs and trains nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from oracle.program.source.graph import all_nodes, operator_name, parameter_count

FOLDER = Path(__file__).resolve().parent
COLUMNS = ("name", "task", "data", "script", "bytes", "parameters", "held out", "operators")


def measure(card: Mapping[str, Any]) -> str:
    """Accuracy, or R² of a regression, with the number of rows behind it."""
    if "held_out_accuracy" in card:
        return f"{card['held_out_accuracy']:.2%} of {card['held_out_rows']}"
    return f"R² {card['held_out_r_squared']:.3f} on {card['held_out_rows']}"


def operators(model: onnx.ModelProto) -> str:
    """Each operator and how often it occurs, by name."""
    counts = Counter(operator_name(node).removeprefix("ai.onnx.ml.") for node in all_nodes(model))
    return ", ".join(
        kind if count == 1 else f"{kind} ×{count}" for kind, count in sorted(counts.items())
    )


def row(file: Path) -> tuple[str, ...]:
    """One model's line."""
    card = json.loads(file.with_suffix(".json").read_text())
    model = onnx.load(file)
    return (
        card["name"],
        card["task"],
        card["data_set"].rpartition(".")[2],
        card["training_command"].split()[1].removeprefix("models/"),
        f"{file.stat().st_size:,}",
        f"{parameter_count(model):,}",
        measure(card),
        operators(model),
    )


def table() -> str:
    """All sample models as a Markdown table."""
    rows = [row(file) for file in sorted(FOLDER.glob("*.onnx"), key=lambda file: file.stem)]
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print the table."""
    print(table())


if __name__ == "__main__":
    main()
