"""Points at which a node kills itself with SIGKILL, for tests: nothing is flushed, closed or told.

A crash point is one call of one port, before or after the adapter did it, and lies in an instrument
that the forked test process puts between the services and their adapters. The product has no switch
for it. Knows the ports' names, and nothing of what a node does with them.
"""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

from oracle.core.job import Trigger
from oracle.core.transaction import Purpose

Adapter = TypeVar("Adapter")

Arguments = Mapping[str, Any]
"""A call's arguments by the names of the method's parameters."""


@dataclass(frozen=True, slots=True)
class Point:
    """One state edge.

    Attributes:
        adapter: the instrument's name for the port.
        method: whose call it is.
        after: whether the adapter has done it when the process dies.
        counts: whether a call is one of those that are meant; it has the result where there is one.
    """

    adapter: str
    method: str
    after: bool
    counts: Callable[[Arguments, Any], bool]


def _is_answer(arguments: Arguments, _result: Any) -> bool:
    return arguments["purpose"] is Purpose.ANSWER


POINTS: Mapping[str, Point] = {
    "logs saved": Point("jobs", "ingest", True, lambda _, changed: bool(changed)),
    "result saved": Point(
        "jobs",
        "move",
        True,
        lambda given, _: any(move.trigger is Trigger.COMPUTED for move in given["moves"]),
    ),
    "signed": Point("signer", "sign", True, lambda *_: True),
    "transaction saved": Point("transactions", "prepare", True, _is_answer),
    "sent but not marked": Point("gateway", "send", True, lambda *_: True),
    "receipt seen": Point("gateway", "mined", True, lambda _, mined: mined is not None),
    # Not one of the six, and as likely in life: what a step is about to do is not done at all.
    "about to save the logs": Point("jobs", "ingest", False, lambda given, _: bool(given["seen"])),
    "about to save the result": Point(
        "jobs",
        "move",
        False,
        lambda given, _: any(move.trigger is Trigger.COMPUTED for move in given["moves"]),
    ),
    "about to save the transaction": Point("transactions", "prepare", False, _is_answer),
    "about to send": Point("gateway", "send", False, lambda *_: True),
}

VIEW_POINTS: Mapping[str, Point] = {
    "a view is on record": Point(
        "views", "keep", True, lambda given, _: given["answer"].signer is None
    ),
    "a view's trace is kept": Point("traces", "keep_until", True, lambda *_: True),
    "a view's signature is reserved": Point(
        "jobs", "reserve_signatures", True, lambda given, _: given["kind"] == "answer"
    ),
    "a view is signed and not saved": Point(
        "views", "keep", False, lambda given, _: given["answer"].signer is not None
    ),
    "a paid view is signed and not saved": Point("views", "keep_paid", False, lambda *_: True),
    "a paid view is saved and not given": Point("views", "keep_paid", True, lambda *_: True),
}
"""Of an answer in a view."""

SIX = (
    "logs saved",
    "result saved",
    "signed",
    "transaction saved",
    "sent but not marked",
    "receipt seen",
)
"""One for each edge of a job's life."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The n-th of the calls that a point means. Crosses into the node's process by its name."""

    point: str
    nth: int = 1

    def __call__(self, name: str, adapter: Adapter, /) -> Adapter:
        """The instrument."""
        point = POINTS.get(self.point) or VIEW_POINTS[self.point]
        if name != point.adapter:
            return adapter
        return cast("Adapter", _Mined(adapter, point, self.nth))


class _Mined:
    """Everything of an adapter, with a mine under one of its methods."""

    def __init__(self, adapter: object, point: Point, nth: int) -> None:
        self._adapter = adapter
        self._point = point
        self._left = nth

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._adapter, name)
        return self._with_mine(found) if name == self._point.method else found

    def _with_mine(self, method: Callable[..., Any]) -> Callable[..., Any]:
        bind = inspect.signature(method).bind

        @wraps(method)
        async def call(*positional: Any, **named: Any) -> Any:
            arguments = bind(*positional, **named).arguments
            if not self._point.after:
                self._step_on(arguments, None)
            result = await method(*positional, **named)
            if self._point.after:
                self._step_on(arguments, result)
            return result

        return call

    def _step_on(self, arguments: Arguments, result: Any) -> None:
        if not self._point.counts(arguments, result):
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
