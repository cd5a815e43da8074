"""`oracle init`: a settings file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap.devnet import PEOPLE, free_port, settings_of
from oracle.bootstrap.init import (
    KEYS_FOLDER,
    check_values,
    create_keys,
    value_of,
    write_settings_file,
)
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings_file
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import ConfigurationError, InputError
from oracle.settings import DEFAULT_FILES, Settings

_NEXT = "set what stands at its top, then `oracle operator init`"


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "init")(run)


def run(
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting; several times."),
    ] = None,
    with_keys: Annotated[
        bool,
        typer.Option(
            "--with-keys",
            help="Make keys/password, keys/owner.json, keys/signer.json: those that are missing.",
        ),
    ] = False,
    devnet: Annotated[
        bool, typer.Option("--devnet", help="For the operator of the local devnet.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Write oracle.toml (or --config) with every setting and what it means; with keys on demand."""
    path = settings_file() or DEFAULT_FILES[0]
    if devnet and with_keys:
        raise InputError("the devnet has keys of its own", hint="leave one of the two out")
    if path.exists() and not force:
        raise ConfigurationError(
            f"{path} exists", hint="name another file with --config, or replace it with --force"
        )
    given = dict(_given(one) for one in values or ())
    check_values(path, given)
    chosen: dict[str, object] = {}
    said: dict[str, Any] = {"next": _NEXT}
    if devnet:
        folder = Path(str(Settings.model_fields["data_dir"].default))
        owner = signer_of(Person.OWNER).address
        chosen |= settings_of(folder, owner, PEOPLE, serve_port=free_port())
        said["next"] = "`oracle up`: the devnet, and its operator's node"
    if with_keys:
        made = create_keys(KEYS_FOLDER)
        chosen |= made.values()
        said = {
            "operator": made.owner,
            "signer": made.signer,
            "next": f"send coin for gas to {made.owner} (owner) and to {made.signer} (signer), and "
            "OPG to bond to the owner; then `oracle operator init`",
        }
    chosen |= given
    write_settings_file(path, chosen, overwrite=force)
    output(as_json).result({"settings_file": str(path), "set": sorted(chosen), **said})


def _given(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text!r} has no value", hint="write it as NAME=VALUE")
    return name.strip(), value_of(name.strip(), value.strip())
