"""`oracle node backup` and `restore`: the job table, copied away and put back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap import backup
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.storage.backup import Copy


def register(app: typer.Typer) -> None:
    """Adds the verbs to the tree of `oracle node`."""
    verb(app, "backup")(save)
    verb(app, "restore")(restore)


def save(
    file: Annotated[Path, typer.Argument(help="Where the copy goes; never overwritten.")],
    as_json: Json = False,
) -> None:
    """Copy the job table, while the node runs or not. Keys, models and traces are files to copy."""
    output(as_json).result(_facts(backup.save(settings(), file), "backup"))


def restore(
    file: Annotated[Path, typer.Argument(help="What `oracle node backup` made.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Put a copy in the job table's place; the node must have ended. The old files are kept."""
    configured = settings()
    if not yes:
        typer.confirm(f"Replace the job table in {configured.data_dir}?", abort=True)
    copy, aside = backup.restore(configured, file)
    output(as_json).result(
        _facts(copy, "restored")
        | {
            "kept": [str(path) for path in aside],
            "next": "start the node: it reads on from that block, and sees what was done since",
        }
    )


def _facts(copy: Copy, what: str) -> dict[str, Any]:
    return {what: str(copy.path), "jobs": copy.jobs, "read_up_to_block": copy.cursor}
