"""`oracle settings`: everything that can be set, with what it is now."""

from __future__ import annotations

import typer

from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.context import settings as configured
from oracle.core.redaction import masked, without_password
from oracle.settings import Settings, groups


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "settings")(show)


def show(as_json: Json = False) -> None:
    """List every setting. Set one in oracle.toml, or as ORACLE_ and its name in capitals."""
    now = configured()
    output(as_json).table(
        "Settings",
        ["group", "setting", "value", "meaning"],
        [
            [
                group if as_json or name == names[0] else "",
                name,
                _shown(name, getattr(now, name)),
                Settings.model_fields[name].description or "",
            ]
            for group, names in groups()
            for name in names
        ],
    )


def _shown(name: str, value: object) -> object:
    if name.endswith("_url") and isinstance(value, str):  # addresses hold passwords and keys
        return " ".join(masked(one) for one in value.split())
    if name == "database" and isinstance(value, str):
        return without_password(value)
    return "" if value is None else value if isinstance(value, int | float) else str(value)
