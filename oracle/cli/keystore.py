"""`oracle keystore`: encrypted keys, and the password file that opens them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.chain.keystore import (
    PASSWORD_VARIABLE,
    LocalSigner,
    create_keystore,
    password_for_new_key,
)
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.errors import KeystoreError

app = typer.Typer(help="Encrypted keys.")


@verb(app, "new")
def new(
    path: Annotated[Path, typer.Argument(help="File to write; never overwritten.")],
    as_json: Json = False,
) -> None:
    """Make a new key, encrypted by password_file (made if missing), or by what is typed."""
    if path.exists():
        raise KeystoreError(f"{path} exists", hint="a key is never overwritten; move it away")
    configured = settings()
    file = configured.password_file
    typed = _typed(file)
    if typed:
        password, made = _asked(again=True), False
    else:
        password, made = password_for_new_key(file, opens=configured.keystores)
    try:
        address = create_keystore(path, password)
    except KeystoreError:
        if made and file is not None:
            file.unlink(missing_ok=True)
        raise
    facts: dict[str, Any] = {"address": address, "keystore": str(path)}
    if made:
        facts["password_file_made"] = str(file)
    elif file is not None and file.exists():
        facts["password_file"] = str(file)
    elif not typed:
        facts["password_from"] = PASSWORD_VARIABLE
    output(as_json).result(facts)


@verb(app, "address")
def show(
    path: Annotated[Path, typer.Argument(help="Keystore file.")],
    as_json: Json = False,
) -> None:
    """Print the address of a key, and nothing else: `$(oracle keystore address FILE)`."""
    configured = settings()
    if _typed(configured.password_file):
        key = LocalSigner.from_keystore(path, _asked())
    else:
        key = connection.open_key(configured, path)
    output(as_json).result({"address": key.address, "keystore": str(path)}, key.address)


def _typed(file: Path | None) -> bool:
    """Whether somebody at a terminal is asked, as nothing else says the password."""
    return file is None and not os.environ.get(PASSWORD_VARIABLE) and sys.stdin.isatty()


def _asked(*, again: bool = False) -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=again, err=True))
