"""Loads settings: defaults, then a TOML file, then ORACLE_* variables, then what is given.

Unknown keys are refused everywhere, each with its place and with what was probably meant. What can
be set is declared in `settings`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from oracle.errors import ConfigurationError
from oracle.settings import DEFAULT_FILES, VARIABLE_PREFIX, Settings

_OTHER_VARIABLES = {"ORACLE_CONFIG", "ORACLE_ANVIL", "ORACLE_KEYSTORE_PASSWORD"}


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Settings from defaults, then the file, then the environment, then `overrides`.

    Args:
        file: TOML file; by default ORACLE_CONFIG, ./oracle.toml or ./.oracle/oracle.toml.
        overrides: command-line options; None means not given.

    Raises:
        ConfigurationError: a missing file, an unknown key or a bad value, each by name.
    """
    chosen = file or (Path(os.environ["ORACLE_CONFIG"]) if "ORACLE_CONFIG" in os.environ else None)
    if chosen is not None and not chosen.is_file():
        raise ConfigurationError(
            f"there is no settings file {chosen.absolute()}", hint="`oracle init` writes one"
        )
    path = chosen or next((one for one in DEFAULT_FILES if one.is_file()), DEFAULT_FILES[0])
    _refuse_unknown_variables()

    class _FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = _FromFile(**given)
    except ValidationError as error:
        problems = "; ".join(_in_words(problem, path, given) for problem in error.errors())
        raise ConfigurationError(
            f"bad settings: {problems}",
            hint=f"see {path}, the ORACLE_* variables and `oracle settings`",
        ) from None
    except ValueError as error:  # tomllib.TOMLDecodeError
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    found = Settings.model_construct(**settings.model_dump())
    found.read_from(path)
    return found


def _in_words(problem: Any, file: Path, given: Mapping[str, Any]) -> str:
    """Which setting is wrong, where it stands, and what was probably meant."""
    name = str(problem["loc"][0])
    variable = VARIABLE_PREFIX + name.upper()
    if name in given:
        place = "option"
    elif variable in os.environ:
        place = variable
    else:
        place = f"{file}{_line_of(name, file)}"
    if problem["type"] == "extra_forbidden":
        return f"{name} ({place}) is no setting{_meant(name, Settings.model_fields)}"
    return f"{name} ({place}): {problem['msg']}"


def _line_of(name: str, file: Path) -> str:
    """The number of the line on which a key or a table stands, where it is found."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    lines = file.read_text().splitlines() if file.is_file() else []
    found = next((number for number, text in enumerate(lines, 1) if pattern.match(text)), None)
    return "" if found is None else f", line {found}"


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": do you mean {close[0]}?" if close else ""


def _refuse_unknown_variables() -> None:
    known = {VARIABLE_PREFIX + name.upper() for name in Settings.model_fields} | _OTHER_VARIABLES
    unknown = sorted(
        name for name in os.environ if name.startswith(VARIABLE_PREFIX) and name not in known
    )
    if unknown:
        raise ConfigurationError(
            "unknown environment variable: "
            + "; ".join(f"{name}{_meant(name, known)}" for name in unknown),
            hint="`oracle settings` lists what can be set",
        )
