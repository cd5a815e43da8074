"""Request ids as people type them: whole, or cut as lists print them, with or without the "…".

A start is looked up in the job table of these settings, if there is one; a chain's logs cannot be
searched by it. Says in words what is missing. Asks no chain.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from oracle.bootstrap.clock import SystemClock
from oracle.cli.context import settings
from oracle.core.job import Job
from oracle.errors import InputError, NotFound, StorageError
from oracle.storage.database import is_there
from oracle.storage.lookup import Lookup
from oracle.storage.storage import open_storage

DIGITS: Final = 64

RequestId = Annotated[
    str,
    typer.Argument(
        help="0x and 64 hex digits, or a saved receipt's file; where a node of these settings has "
        "it, a unique start will do."
    ),
]

_START = re.compile(r"(?:0x)?([0-9a-fA-F]{1,64})…?")


def is_whole(given: str) -> bool:
    """Whether this is an id, and nothing is missing of it."""
    match = _START.fullmatch(given)
    return match is not None and len(match[1]) == DIGITS


async def found_job(lookup: Lookup, given: str) -> Job:
    """The one job whose id starts as it was given. Raises InputError or NotFound."""
    digits = _digits(given)
    half = int(digits[-1], 16) if len(digits) % 2 else None
    return await lookup.job(bytes.fromhex(digits[: len(digits) // 2 * 2]), half)


async def whole_id(given: str) -> bytes:
    """The id that was given, or the one of a job here that starts like it. Raises InputError."""
    if not given.strip():
        raise InputError(
            "an empty request id",
            hint=f"give 0x and {DIGITS} hex digits, or a saved receipt's file",
        )
    digits = _digits(given)
    if len(digits) == DIGITS:
        return bytes.fromhex(digits)
    known = await _known(given)
    if known is None:
        raise InputError(
            f"{given} is not a request id, which is 0x and {DIGITS} hex digits: it has "
            f"{len(digits)}, and no job of a node here starts with them",
            hint="where its node runs, `oracle job show` with these digits prints it whole; "
            "`oracle request` did, and the explorer does",
        )
    return known


async def _known(given: str) -> bytes | None:
    location = settings().database_url
    try:
        if not is_there(location):
            return None
        storage = open_storage(location, SystemClock())
        try:
            return (await found_job(Lookup(storage.database), given)).request_id
        finally:
            await storage.close()
    except (NotFound, StorageError):  # a damaged table is no reason to refuse a whole id
        return None


def _digits(given: str) -> str:
    match = _START.fullmatch(given)
    if match is None:
        raise InputError(
            f"{given} is not a request id", hint=f"a request id is 0x and {DIGITS} hex digits"
        )
    return match[1]
