"""Whether an endpoint is fit to be asked, and if not, why and until when.

Responsible for pauses that double while an endpoint keeps failing, for what it must show before it
is asked again, and for how far it is behind. Does no I/O; times are of the monotonic clock.
"""

from __future__ import annotations

from typing import Final

LONGEST_REST_SECONDS: Final = 300.0
"""An endpoint that asks to be left alone for longer is asked again after this."""

_CALM_PAUSES = 60
"""So many first pauses without a failure, and the next one is a first one again."""


class Health:
    """One endpoint's state.

    Attributes:
        verified: it has shown that it serves the right chain, since it last failed.
        wrong_chain: what it serves instead, in words.
        why: what it failed of last, in words without secrets.
        failures: in a row.
        out_until: not asked before, as long as there is another.
        rests_until: not asked before at all; it said so.
        head: its last block, as far as it told; `head_at` is when.
        lag: blocks it was behind the best then.
    """

    def __init__(self, first_pause: float, longest_pause: float, max_lag: int) -> None:
        self.verified = False
        self.wrong_chain: str | None = None
        self.why: str | None = None
        self.failures = 0
        self.out_until = 0.0
        self.rests_until = 0.0
        self.head: int | None = None
        self.head_at = 0.0
        self.lag = 0
        self._max_lag = max_lag
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._pause = 0.0
        self._failed_at = float("-inf")

    @property
    def lags(self) -> bool:
        return self.lag > self._max_lag

    def ready(self, now: float) -> bool:
        """Whether it may be asked for the latest state."""
        return self.answers(now) and not self.lags

    def answers(self, now: float) -> bool:
        """Whether it is well, though it may lag."""
        return self.verified and now >= max(self.out_until, self.rests_until)

    def failed(self, why: str, now: float) -> bool:
        """It did not answer. True where that is news: several calls may fail of one cause."""
        news = now >= self.out_until
        if news:
            calm = max(_CALM_PAUSES * self._first_pause, 2 * self._pause)
            calmed = now - self._failed_at > calm
            longer = self._first_pause if calmed else max(self._first_pause, 2 * self._pause)
            self._pause = min(self._longest_pause, longer)
            self.out_until = now + self._pause
        self.why = why
        self.failures += 1
        self.verified = False
        self._failed_at = now
        return news

    def is_wrong(self, why: str, now: float) -> bool:
        """It serves another chain. True where that is news."""
        news = self.wrong_chain != why
        self.failed(why, now)
        self.wrong_chain = why
        return news

    def limited(self, seconds: float | None, why: str, now: float) -> bool:
        """It was asked too often. True where that is news."""
        if seconds is None:
            verified = self.verified
            news = self.failed(why, now)
            self.verified = verified  # it is still the same one
            return news
        news = now >= self.rests_until
        self.rests_until = now + min(seconds, LONGEST_REST_SECONDS)
        self.why = why
        return news

    def succeeded(self) -> bool:
        """It answered. True where that is news."""
        news = self.failures > 0 and self.verified
        self.failures = 0
        if self.verified:
            self.out_until = 0.0
            self.wrong_chain = None
        return news


def state(health: Health, now: float) -> str:
    """One or two words."""
    if health.wrong_chain is not None:
        return "wrong chain"
    if now < health.rests_until:
        return "rate limited"
    if not health.verified and health.why is None:
        return "not asked yet"
    if not health.verified or now < health.out_until:
        return "away"
    return "lagging" if health.lags else "ready"


def why(health: Health) -> str | None:
    """Why an endpoint is not asked, in words."""
    if health.wrong_chain is not None:
        return health.wrong_chain
    if health.verified and health.lags:
        return f"{health.lag} blocks behind"
    return health.why
