"""`oracle settings`: everything that can be set, with what it is now."""

from __future__ import annotations

import typer

from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.context import settings as configured
from oracle.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "settings")(show)


def show(as_json: Json = False) -> None:
    """List every setting. Set one in oracle.toml, or as ORACLE_ and its name in capitals."""
    now = configured()
    output(as_json).table(
        "Settings",
        ["setting", "value", "meaning"],
        [
            [name, _shown(getattr(now, name)), field.description or ""]
            for name, field in Settings.model_fields.items()
        ],
    )


def _shown(value: object) -> object:
    return "" if value is None else value if isinstance(value, int | float) else str(value)
