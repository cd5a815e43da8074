"""The sample models that ship with the package: where they lie and what is known of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.errors import ConfigurationError
from oracle.program.manifest import ProgramManifest, manifest_beside


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample model. `facts` is what its training script measured and wrote beside it."""

    name: str
    file: Path
    facts: Mapping[str, Any]
    held_out: Path

    def held_out_samples(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Inputs the model was not trained on, and their true labels."""
        with np.load(self.held_out) as arrays:
            return arrays["x"], arrays["y"]

    def manifest(self) -> ProgramManifest:
        """Of the program it compiles to, as `oracle model certify` wrote it.

        Raises ConfigurationError where there is none.
        """
        file = manifest_beside(self.file)
        if not file.is_file():
            raise ConfigurationError(f"the sample {self.name} has no manifest: {file}")
        return ProgramManifest.from_json(file.read_bytes())


def samples() -> list[Sample]:
    """All sample models, by name. Raises ConfigurationError where the files are missing."""
    folder = _folder()
    found = [
        Sample(
            name=file.stem,
            file=file,
            facts=json.loads(file.with_suffix(".json").read_text()),
            held_out=folder / "heldout" / f"{file.stem}.npz",
        )
        for file in sorted(folder.glob("*.onnx"))
    ]
    if not found:
        raise ConfigurationError(f"there are no sample models in {folder}")
    return found


def sample(name: str) -> Sample:
    """One sample model. Raises ConfigurationError where there is none of this name."""
    for one in samples():
        if one.name == name:
            return one
    raise ConfigurationError(f"there is no sample model {name!r}")


def _folder() -> Path:
    """`oracle/models` in a wheel, `models` next to the package in a checkout."""
    shipped = Path(str(files("oracle"))) / "models"
    return shipped if shipped.is_dir() else Path(__file__).resolve().parents[2] / "models"
