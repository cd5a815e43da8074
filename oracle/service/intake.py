"""Whether new work may be taken on now, and why not: the breaker's word and the purse's.

What a standing offer binds us to is taken on by the chain and asks nobody here; it is worked on
whatever this says. Decides on no single request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps

from oracle.service.breaker import HOW_TO_REFUSE_OFFERS, Breaker
from oracle.service.funds import Funds


class Intake:
    """Asked before requests are judged and before acceptances are sent."""

    def __init__(self, breaker: Breaker, funds: Funds | None = None) -> None:
        self._breaker = breaker
        self._funds = funds

    @property
    def why(self) -> str | None:
        """Why nothing new is taken on, with what to do; None where it is."""
        exhausted = self._funds.exhausted if self._funds is not None else None
        if self._breaker.why is None and exhausted is None:
            return None
        reasons = " and ".join(one for one in (self._breaker.why, exhausted) if one is not None)
        return f"nothing new is taken on: {reasons}; {HOW_TO_REFUSE_OFFERS}"

    def trouble(self) -> Mapping[str, str | None]:
        """For the heartbeat."""
        scarce = self._funds.trouble if self._funds is not None else None
        return {"intake": self.why, "funds": scarce}

    def room(self) -> int | None:
        """How many requests may be taken on now; None for any number."""
        if self._funds is not None and self._funds.exhausted is not None:
            return 0
        return self._breaker.room()

    def guarded(self, cycle: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        """A step's cycle that rests while nothing new may be taken on."""

        @wraps(cycle)
        async def when_allowed() -> bool:
            if self._breaker.stops or (self._funds is not None and self._funds.exhausted):
                return False
            return await cycle()

        return when_allowed
