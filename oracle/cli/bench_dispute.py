"""`oracle bench dispute`: what convicting a wrong answer costs, in gas and in time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from oracle.bench import dispute as dispute_bench
from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.measured import about, measured
from oracle.devnet.samples import sample, samples

_ROWS: Final = {
    "element": "row",
    "leaf B": "leaf_bytes",
    "proof B": "proof_bytes",
    "judge": "judge",
    "target": "target",
    "ok": "ok",
    "announce": "announce",
    "proveFraud": "prove",
    "of it calldata": "prove_calldata",
    "floor": "floor",
    "unannounced": "prove_unannounced",
}
_CONVICTIONS: Final = {
    "model": "model",
    "detection s": "detection_seconds",
    "transaction s": "transaction_seconds",
    "total s": "total_seconds",
    "blocks": "blocks",
    "ok": "ok",
    "gas": "gas",
    "proof B": "proof_bytes",
    "what was proven wrong": "found",
}


def register(app: typer.Typer) -> None:
    """Adds the verb to the tree of `oracle bench`."""
    verb(app, "dispute")(dispute)


async def dispute(
    models: Annotated[
        str | None, typer.Option(help="Samples by name, with commas; all by default.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option(help="A further ONNX file; may be repeated.")
    ] = None,
    rows_only: Annotated[
        bool, typer.Option("--rows-only", help="Gas of single elements; no models.")
    ] = False,
    snapshot: Annotated[
        Path | None, typer.Option(help="Write the gas of single elements to this file.")
    ] = None,
    cheat: Annotated[
        str, typer.Option(help="Module of the dishonest operator.")
    ] = dispute_bench.CHEAT,
    as_json: Json = False,
) -> None:
    """What convicting one element costs, and how long a wrong answer of each model lives."""
    out = output(as_json)
    chosen = samples() if models is None else [sample(name) for name in models.split(",")]
    names = [one.name for one in chosen]
    if rows_only:
        names, file = [], None
    facts = await measured(
        out,
        lambda say: dispute_bench.measure(names, file or [], cheat, say),
    )
    if snapshot is not None:
        snapshot.write_text(dispute_bench.snapshot(facts))
    if as_json:
        out.result(facts)
        return
    out.table("Gas to convict one element", tuple(_ROWS), _cells(facts["rows"], _ROWS))
    if "models" in facts:
        rows = _cells(facts["models"], _CONVICTIONS)
        out.table("From a wrong answer's block to its conviction", tuple(_CONVICTIONS), rows)
        announced = facts["announced"]
        out.say(
            f"blocks of {facts['block_seconds']} s; proofs unannounced. Announced first, "
            f"{announced['model']} took {announced['total_seconds']:.2f} s and "
            f"{announced['blocks']} blocks: an announcement must be "
            f"{facts['announcement_seconds']} s old"
        )
        elsewhere = list(facts["published_elsewhere"].items())
        out.table("Published by others, not measured here", ("what", "figure"), elsewhere)
    about(out, facts)


def _cells(facts: list[dict[str, Any]], columns: Mapping[str, str]) -> list[list[Any]]:
    return [[_cell(one[name]) for name in columns.values()] for one in facts]


def _cell(value: object) -> object:
    """What people read: yes and no, thousands apart, a dash for what does not apply."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else value
