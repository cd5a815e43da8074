"""What is asked of an endpoint, and what is kept of whom a longer read went to.

Knows how neither is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from oracle.chain.pool import Member
from oracle.errors import ChainUnreachable


@dataclass(slots=True)
class Pin:
    """The endpoint that answers all of a read: the one that answered its first question."""

    owner: object
    avoid: Sequence[Member] = ()
    member: Member | None = None
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how the answer is read."""

    method: str
    parameters: Sequence[object]
    repeatable: bool = True
    needs_block: int | None = None
    read: Callable[[Any], Any] = lambda result: result


class Behind(ChainUnreachable):
    """The endpoint is well, and has not come as far as the question goes."""


class AskAnother(Exception):
    """An endpoint did not answer, or not as it should."""

    def __init__(self, cause: ChainUnreachable | None) -> None:
        super().__init__()
        self.cause = cause


pin_of_task: ContextVar[Pin | None] = ContextVar("pin", default=None)
