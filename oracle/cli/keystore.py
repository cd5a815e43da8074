"""`oracle keystore`: encrypted keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oracle.chain.keystore import create_keystore, read_password
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings

app = typer.Typer(help="Encrypted keys.")


@verb(app, "new")
def new(
    path: Annotated[Path, typer.Argument(help="File to write; never overwritten.")],
    as_json: Json = False,
) -> None:
    """Make a new key, encrypted by password_file (or ORACLE_KEYSTORE_PASSWORD)."""
    made = create_keystore(path, read_password(settings().password_file))
    output(as_json).result({"address": made, "keystore": str(path)})
