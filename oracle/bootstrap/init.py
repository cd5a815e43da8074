"""A new installation's settings file, with every setting in it, and on demand its keys.

What is written comes from `oracle.settings` alone: names, headings, descriptions, defaults. It is
read back before it takes its place. Refuses to overwrite, unless told to. Asks no chain.
"""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oracle.chain.keystore import (
    create_keystore,
    create_password_file,
    open_keystore,
    read_password,
)
from oracle.core.types import Address
from oracle.errors import ConfigurationError, InputError
from oracle.settings import REQUIRED, Settings, groups
from oracle.settings_file import load

KEYS_FOLDER: Final = Path("keys")
_KNOWN: Final = frozenset(Settings.model_fields)
_WIDTH = 96

_HEAD = """\
Settings of an inference oracle's node, written by `oracle init`: every one, with its default.
A line without # in front of it is set. Each can be set by a variable, too: ORACLE_ and its name in
capitals. Paths are from the folder in which `oracle` is called. `oracle settings` shows what holds.
"""
_REQUIRED_HEAD = """\
A local devnet (`oracle up`, `oracle devnet up`) brings its own chain and deployment. Where the
signer's key is with a remote signer, set signer_url and signer_address instead of signer_keystore.
"""


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Where the keys of an installation are; those that were there are kept."""

    password_file: Path
    owner_keystore: Path
    signer_keystore: Path
    owner: Address
    signer: Address

    def values(self) -> dict[str, object]:
        """What the settings say of them."""
        return {
            "operator": self.owner,
            "owner_keystore": self.owner_keystore,
            "signer_keystore": self.signer_keystore,
            "password_file": self.password_file,
        }


def create_keys(folder: Path) -> NewKeys:
    """A password of chance, an owner's and a signer's key, each where there is none yet.

    Raises:
        KeystoreError: one cannot be written, or what is there cannot be read.
    """
    password_file = folder / "password"
    paths = {role: folder / f"{role}.json" for role in ("owner", "signer")}
    lost = any(path.exists() for path in paths.values())
    if not password_file.exists() and not lost:
        create_password_file(password_file)  # where a variable is set, too: settings name this file
    password = read_password(password_file, opens=paths.values())
    found = {
        role: open_keystore(path, password_file).address
        if path.exists()
        else create_keystore(path, password)
        for role, path in paths.items()
    }
    return NewKeys(password_file, paths["owner"], paths["signer"], found["owner"], found["signer"])


def documented(values: Mapping[str, object]) -> str:
    """The text of a settings file: all settings below their headings, these values set."""
    lines = [*_comment(_HEAD), "", *_heading("What a node needs"), *_comment(_REQUIRED_HEAD)]
    for name in REQUIRED:
        lines += ["", *_setting(name, values)]
    for heading, names in groups():
        lines += ["", *_heading(heading)]
        for name in names:
            if name not in REQUIRED:
                lines += ["", *_setting(name, values)]
    return "\n".join(lines) + "\n"


def value_of(name: str, text: str) -> object:
    """What somebody typed for a setting, as its kind wants it. Raises InputError."""
    field = Settings.model_fields.get(name)
    if field is None or field.annotation not in (int, float, bool, int | None):
        return text  # an unknown name is refused when the file is read back, with its neighbour
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise InputError(f"{name}: {text!r} is not a number, true or false") from None


def check_values(path: Path, values: Mapping[str, object]) -> None:
    """Refuses, before anything is made, what could not be read back.

    Raises:
        ConfigurationError: an unknown name, or a bad value, with its line in the file to be.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        draft.write_text(_text(values))
        try:
            load(draft)
        except ConfigurationError as error:
            raise ConfigurationError(
                error.message.replace(str(draft), str(path)), hint="`oracle settings` lists them"
            ) from None


def write_settings_file(
    path: Path, values: Mapping[str, object], *, overwrite: bool = False
) -> None:
    """Writes the file, private to its owner, whole or not at all.

    Raises:
        ConfigurationError: it is there already, cannot be written, or would not be read.
    """
    check_values(path, values)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(_text(values))
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # fails where somebody was faster
    except FileExistsError:
        raise ConfigurationError(
            f"{path} exists", hint="name another file with --config, or replace it with --force"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _text(values: Mapping[str, object]) -> str:
    unknown = [f"{name} = {_toml(one)}" for name, one in values.items() if name not in _KNOWN]
    return "\n".join([documented(values), *unknown])


def _heading(text: str) -> list[str]:
    return [f"# ---- {text} ".ljust(_WIDTH, "-"), "#"]


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2, break_on_hyphens=False))


def _setting(name: str, values: Mapping[str, object]) -> list[str]:
    """Its description, and its line: set, or commented out with its default."""
    field = Settings.model_fields[name]
    described = list(_comment(field.description or ""))
    value = values.get(name)
    if value is not None and value != field.default:
        return [*described, f"{name} = {_toml(value)}"]
    if field.default is None:
        return [*described, f'# {name} = "…"']
    return [*described, f"# {name} = {_toml(field.default)}"]


def _toml(value: Any) -> str:
    """A truth, a number, or a TOML basic string; what JSON escapes, TOML escapes alike."""
    return json.dumps(value if isinstance(value, int | float) else str(value))
