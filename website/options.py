"""The reference of the settings, from their declaration."""

from __future__ import annotations

from tables import cell, code, table

from oracle.settings import Settings, groups


def page() -> str:
    """Every setting with its default and its meaning."""
    lines = []
    for heading, names in groups():
        rows = []
        for name in names:
            field = Settings.model_fields[name]
            default = "" if field.default is None else field.default
            rows.append([code(name), code(default), cell(field.description)])
        lines += [f"## {heading}\n", table(["setting", "default", "meaning"], rows)]
    return "\n".join(
        [
            "# Settings\n",
            "In `oracle.toml`, or as `ORACLE_` and the name in capitals; a variable wins over "
            "the file, an option of the command line over both. Names that are not here are "
            "refused. `oracle settings` shows what each is now; `oracle init` writes a file with "
            "all of them.\n",
            *lines,
        ]
    )
