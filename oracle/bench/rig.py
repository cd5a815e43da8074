"""Finds what provokes failures: the tests' rigs, which a checkout of the repository has alone.

Knows nothing of what a rig does.
"""

from __future__ import annotations

import importlib
from typing import Any

from oracle.errors import ConfigurationError


def load_rig(name: str, *, otherwise: str = "") -> Any:
    """The module of this name, to be used as the rig that the caller declares.

    Args:
        otherwise: what else can be done where there is none, at the end of the hint.

    Raises:
        ConfigurationError: there is no such module here.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"there is no rig {name}: {error}",
            hint="run this in a checkout of the repository, set up by `scripts/setup dev`"
            + otherwise,
        ) from error
