"""A connection of psycopg that does not wait for ever for a server that says nothing.

The server's own time limits end what it is slow at; they are of no use where it, or the network in
between, takes what is sent and answers no more. Knows no SQL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import ConnectionFailure


def connector(silence_seconds: float) -> Callable[..., psycopg.Connection[Any]]:
    """`psycopg.connect`, for connections that are closed when no answer came for so long."""

    class Connection(psycopg.Connection[Any]):
        def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
            return super().wait(_heard(self, gen, silence_seconds), *args, **kwargs)

    return Connection.connect


def _heard(connection: psycopg.Connection[Any], steps: PQGen[RV], seconds: float) -> PQGen[RV]:
    """`steps` of an exchange with the server; between them comes whether the socket is ready."""
    try:
        wanted = next(steps)
        heard_at = time.monotonic()
        while True:
            ready = yield wanted
            if ready:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > seconds:
                connection.close()  # or the rollback would wait as long again
                raise ConnectionFailure(f"no answer for {seconds:g} s")
            wanted = steps.send(ready)
    except StopIteration as ended:
        result: RV = ended.value
        return result
