"""How much anybody may ask of a gateway that takes no money: so many answers a minute, by name.

A bucket for each name, refilled evenly. The oldest are forgotten when there are too many of them,
so memory is bounded; whoever has that many names has as many buckets anyway. Pure; knows no web.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from oracle.errors import RateLimited

_MOST_NAMES: Final = 20_000


class Buckets:
    """One kind of names, such as callers' addresses."""

    def __init__(
        self,
        what: str,
        per_minute: int,
        now: Callable[[], float],
        *,
        most: int = _MOST_NAMES,
        kind: str = "free",
    ) -> None:
        self._what = what
        self._per_minute = per_minute
        self._now = now
        self._most = most
        self._kind = kind
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def spend(self, name: str) -> None:
        """Takes one. Raises RateLimited where there is none."""
        now, rate = self._now(), self._per_minute / 60
        level, since = self._levels.pop(name, (float(self._per_minute), now))
        level = min(float(self._per_minute), level + max(0.0, now - since) * rate)
        short = level < 1.0
        self._levels[name] = (level if short else level - 1.0, now)
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)
        if short:
            raise RateLimited(
                f"{self._per_minute} views a minute are {self._kind} for each {self._what}",
                seconds=(1.0 - level) / rate,
            )


def network_of(client: str) -> str:
    """What a client is counted by: its address, or the /64 of a version 6 one, which is one
    subscriber's."""
    try:
        found = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
