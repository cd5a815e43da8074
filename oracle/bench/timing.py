"""Where a worker's time goes: every port's calls counted and timed from outside.

A timed adapter looks like the one it wraps; neither it nor its user knows. Awaited calls count from
call to return, so time in which other steps ran in between is in them too. Knows no port by name.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

Adapter = TypeVar("Adapter")


@dataclass(slots=True)
class Spent:
    """Calls of one method and the seconds in them."""

    calls: int = 0
    seconds: float = 0.0


class Ledger:
    """What was spent, by adapter and method."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, defaultdict[str, Spent]] = defaultdict(
            lambda: defaultdict(Spent)
        )

    def timed(self, name: str, adapter: Adapter) -> Adapter:
        """An adapter that behaves as the given one and is entered under `name`."""
        return cast(Adapter, _Timed(adapter, self._spent[name]))

    def as_facts(self) -> dict[str, Any]:
        """By adapter: seconds in all, and calls and seconds by method, the longest first."""
        return {
            name: {
                "seconds": round(sum(one.seconds for one in methods.values()), 4),
                "methods": {
                    method: {"calls": one.calls, "seconds": round(one.seconds, 4)}
                    for method, one in sorted(methods.items(), key=lambda item: -item[1].seconds)
                },
            }
            for name, methods in self._spent.items()
        }


class _Timed:
    """Passes everything on, and times what is called."""

    def __init__(self, inner: object, spent: Mapping[str, Spent]) -> None:
        self._inner = inner
        self._spent = spent

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value
        entry = self._spent[name]
        wrapped = (
            _awaited(value, entry) if inspect.iscoroutinefunction(value) else _plain(value, entry)
        )
        setattr(self, name, wrapped)
        return wrapped


def _plain(function: Callable[..., Any], entry: Spent) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            entry.calls += 1
            entry.seconds += time.perf_counter() - began

    return timed


def _awaited(function: Callable[..., Any], entry: Spent) -> Callable[..., Any]:
    @functools.wraps(function)
    async def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return await function(*args, **kwargs)
        finally:
            entry.calls += 1
            entry.seconds += time.perf_counter() - began

    return timed
