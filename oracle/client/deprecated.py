"""What is said of a model that its registrar has deprecated, whoever would still use it.

A deprecation is for good: the same terms are the same id, and that never takes a request again.
"""

from __future__ import annotations

from typing import Final

from oracle.chain.revert_words import moment
from oracle.core.model import Model
from oracle.errors import InputError

WHAT_THEN: Final = (
    "`oracle model list` has other models; its registrar can change the window or retrain, for a "
    "new id"
)


def ended(model: Model) -> str:
    """That it was deprecated and when, on part of a line."""
    return f"0x{model.id.hex()} was deprecated on {moment(model.deprecated_at)}, for good"


def require_live(model: Model) -> None:
    """Raises InputError for a deprecated model."""
    if not model.live:
        raise InputError(f"{model.name}: this model {ended(model)}", hint=WHAT_THEN)
