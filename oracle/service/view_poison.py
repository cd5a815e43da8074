"""Inputs that ended the inference process when they were run for nothing, and their models.

Anybody may ask in a view, so such an input is not run again, and a model that fails again and again
is closed to views for a while. Paid requests are not its concern: they are run, and their fee pays.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Final

from oracle.errors import ViewRefused

_MOST_INPUTS: Final = 1_000
_MOST_FAILURES: Final = 3
_WITHIN_SECONDS: Final = 600.0


class Poison:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._inputs: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._failures: defaultdict[bytes, deque[float]] = defaultdict(
            lambda: deque(maxlen=_MOST_FAILURES)
        )

    def note(self, model_id: bytes, input_hash: bytes) -> None:
        """A run of this input failed in a way that costs others theirs."""
        self._inputs[model_id, input_hash] = None
        while len(self._inputs) > _MOST_INPUTS:
            self._inputs.popitem(last=False)
        self._failures[model_id].append(self._now())

    def refuse(self, model_id: bytes, input_hash: bytes) -> None:
        """Raises ViewRefused for an input, or a model, that is not run in views now."""
        if (model_id, input_hash) in self._inputs:
            raise ViewRefused("a run of this input failed before", hint="send a request")
        since = self._now() - _WITHIN_SECONDS
        if sum(at > since for at in self._failures.get(model_id, ())) >= _MOST_FAILURES:
            raise ViewRefused("runs of this model failed lately", hint="send a request")
