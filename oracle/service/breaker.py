"""Stops the intake of new work while this node itself fails, whatever the reason.

A breaker counts failures of our own in a row, by kind: inference, signing, storage, sending. Where
one kind reaches the limit it opens: nothing new is taken on, and what is bound goes on being tried.
After a pause one request is let in on trial, and any success of that kind closes it again. Knows no
job and stops nobody: `intake` asks it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import wraps
from typing import Final

import structlog

from oracle.core.transaction import SendOutcome
from oracle.errors import (
    ChainRefused,
    ConfigurationError,
    ContractReverted,
    IllegalTransition,
    InferenceError,
    ModelFileError,
    OracleError,
    SignatureError,
    SignedTwice,
    SignerError,
    StorageError,
    WrongChain,
)
from oracle.ports.clock import Clock

_log = structlog.get_logger("oracle.breaker")

HOW_TO_REFUSE_OFFERS: Final = (
    "standing offers still bind this operator; `oracle operator offer MODEL --capacity 0 --price 0 "
    "--max-bond 0` takes one back"
)


class Kind(StrEnum):
    """What of ours can fail."""

    INFERENCE = "inference"
    SIGNING = "signing"
    STORAGE = "storage"
    SENDING = "sending"


class Breaker:
    """Closed while all is well. Each failure is of a case: one request that fails many times, or
    one step that is tried again, is one failure of inference, but as many of the other kinds."""

    def __init__(self, clock: Clock, *, failures: int = 5, pause_seconds: float = 60.0) -> None:
        """Args: failures: in a row of one kind, until it opens; 0 for never."""
        self._clock = clock
        self._limit = failures
        self._pause = pause_seconds
        self._in_a_row: dict[Kind, dict[object, str]] = {kind: {} for kind in Kind}
        self._open: dict[Kind, float] = {}
        self._trial_ends = 0.0

    @property
    def why(self) -> str | None:
        """What it is open for; None where it is closed."""
        if not self._open:
            return None
        return "; ".join(
            f"{len(self._in_a_row[kind])} failures of {kind} in a row, the last: "
            f"{list(self._in_a_row[kind].values())[-1]}"
            for kind in self._open
        )

    @property
    def stops(self) -> bool:
        """Whether it is open, and no trial is under way."""
        return bool(self._open) and self._clock.now() >= self._trial_ends

    def room(self) -> int | None:
        """How many requests may be taken on: None for any number, and 1 on trial, once a pause."""
        if not self._open:
            return None
        now = self._clock.now()
        if now < max(self._open.values()):
            return 0
        self._pause_from(now, *self._open)
        self._trial_ends = now + self._pause
        return 1

    def _pause_from(self, now: float, *kinds: Kind) -> None:
        for kind in kinds:
            self._open[kind] = now + self._pause

    def failed(self, kind: Kind, reason: str, case: object = None) -> None:
        """Counts a failure; `case` tells which, where the same may come again and again."""
        row, now = self._in_a_row[kind], self._clock.now()
        key = object() if case is None else case
        row.pop(key, None)
        row[key] = reason
        while len(row) > max(1, self._limit):
            del row[next(iter(row))]
        if kind in self._open:
            if now < self._trial_ends:  # what fails between trials says nothing new
                self._trial_ends = now
                self._pause_from(now, kind)
        elif 0 < self._limit <= len(row):
            self._trial_ends = now
            self._pause_from(now, kind)
            _log.critical(
                "INTAKE STOPS: this node keeps failing",
                why=self.why,
                pause_seconds=self._pause,
                offers=HOW_TO_REFUSE_OFFERS,
            )

    def succeeded(self, kind: Kind) -> None:
        """Ends a row of failures, and the pause that it was the cause of."""
        self._in_a_row[kind].clear()
        if self._open.pop(kind, None) is not None and not self._open:
            _log.warning("intake goes on", after=kind.value)

    def watching(
        self, cycle: Callable[[], Awaitable[bool]], *achieves: Kind
    ) -> Callable[[], Awaitable[bool]]:
        """A step's cycle whose errors are counted; a round with work in it shows `achieves`."""

        @wraps(cycle)
        async def watched() -> bool:
            try:
                worked = await cycle()
            except OracleError as error:
                kind = kind_of(error)
                if kind is not None:
                    self.failed(kind, error.message)
                raise
            if worked:
                for kind in achieves:
                    self.succeeded(kind)
            return worked

        return watched

    def sent(self, outcome: SendOutcome, reason: str | None) -> None:
        """Told of each send. That nobody knows what became of one is the endpoint's fault."""
        if outcome is SendOutcome.ACCEPTED:
            self.succeeded(Kind.SENDING)
        elif outcome is not SendOutcome.UNKNOWN:
            self.failed(Kind.SENDING, reason or outcome.value)


def kind_of(error: OracleError) -> Kind | None:
    """Which of ours an error is a failure of; None for others' faults, and for what is no fault."""
    match error:
        case IllegalTransition() | SignedTwice() | ContractReverted() | WrongChain():
            return None
        case StorageError():
            return Kind.STORAGE
        case SignerError() | SignatureError() | ConfigurationError():
            return Kind.SIGNING
        case InferenceError() | ModelFileError():
            return Kind.INFERENCE
        case ChainRefused():
            return Kind.SENDING
        case _:
            return None
