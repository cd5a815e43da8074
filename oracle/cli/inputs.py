"""What a verb asks a model: read from a file, rounded where the one who asks allows it.

Responsible for the kinds of files, and for the options that say how they are taken. Knows no
schema: whether the arrays fit is for whoever encodes them.
"""

from __future__ import annotations

import json
import zlib
from json import JSONDecodeError
from pathlib import Path
from typing import Annotated
from zipfile import BadZipFile

import numpy as np
import typer

from oracle.client.client import Inputs
from oracle.errors import InputError

InputFile = Annotated[
    Path,
    typer.Option(
        "--input",
        help="x.npy, x.npz (arrays by name) or x.json (by name, or the one array as a list).",
    ),
]
Rounding = Annotated[
    bool,
    typer.Option(
        "--round",
        help="Round fractions of a .npy or .npz to the nearest that the model's element type "
        "holds, float64 to float32 say; else they are refused. JSON's always are.",
    ),
]


_DOCUMENT = (
    'write arrays by the names of the inputs, like {"pixels": [[0, 1.5]]}; '
    "`oracle model show MODEL` has names and shapes"
)
_KINDS = "--input takes a file that NumPy wrote (.npy, .npz), or a .json"


def allowed_rounding(asked: bool) -> bool | None:
    """As `core.tensor.encode_inputs` takes it: without the option, what JSON says is rounded and
    what an array holds is not."""
    return True if asked else None


def read_inputs(path: Path) -> Inputs:
    """Arrays from .npy (one), .npz (by name) or .json (an object by name, or one nested list).

    Raises:
        InputError: missing, of another kind, or unreadable.
    """
    try:
        match path.suffix:
            case ".npy" | ".npz":
                return _read_arrays(path)
            case ".json":
                return _read_document(path)
    except FileNotFoundError:
        raise InputError(
            f"there is no file {path}", hint=f"--input takes a file, looked for in {Path.cwd()}"
        ) from None
    except JSONDecodeError as error:
        raise InputError(
            f"{path} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            hint=_DOCUMENT,
        ) from None
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}", hint=_KINDS) from None
    raise InputError(f"{path} is neither .npy, .npz nor .json", hint=_KINDS)


def not_swapped(model: str, path: Path) -> None:
    """Raises InputError where the file stands in the model's place, and a name in the file's."""
    if not path.exists() and not path.suffix and Path(model).is_file():
        raise InputError(
            f"{model} is a file, and there is no file {path}",
            hint=f"the model comes first: {path} --input {model}",
        )


def _read_document(path: Path) -> Inputs:
    text = path.read_text()
    if not text.strip():
        raise InputError(f"{path} is empty", hint=_DOCUMENT)
    document = json.loads(text)
    return document if isinstance(document, dict) else [document]


def _read_arrays(path: Path) -> Inputs:
    """What a file of NumPy's holds, whatever its name says: one array, or arrays by name."""
    with path.open("rb") as file:  # opened here: NumPy leaves files it cannot read open
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return [loaded]
        with loaded as arrays:
            return dict(arrays)
