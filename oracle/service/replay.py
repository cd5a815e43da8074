"""Reads a range of the chain once more into the job table, where the table is in doubt.

What was read before changes nothing again; what was missed is added, and moved on by what happened
to it since. Never beyond the cursor, which is the node's to move. Knows no reason to do so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from oracle.core.types import Address
from oracle.errors import InputError
from oracle.ports.jobs import JobStore
from oracle.ports.reading import ChainReader
from oracle.service.watch import translate


@dataclass(frozen=True, slots=True)
class Replayed:
    """One piece of the range: what was in it, and the jobs that it changed."""

    first_block: int
    last_block: int
    requests: int
    events: int
    changed: int


async def replay(
    reader: ChainReader,
    jobs: JobStore,
    operator: Address,
    first_block: int,
    last_block: int,
    *,
    range_blocks: int,
) -> AsyncIterator[Replayed]:
    """Reads an inclusive range piece by piece; each piece is kept before the next is read.

    Raises:
        InputError: the range is empty, or reaches beyond what the node has read.
        ChainUnreachable: no answer; the pieces before are kept.
    """
    cursor = await jobs.cursor()
    if cursor is None:
        raise InputError("the node has read nothing yet", hint="start it: `oracle up`")
    if not 0 <= first_block <= last_block:
        raise InputError(f"from block {first_block} to block {last_block} there is nothing")
    if last_block > cursor.number:
        raise InputError(
            f"the node has read up to block {cursor.number}, and reads what follows by itself",
            hint=f"--to {cursor.number} at most",
        )
    first = first_block
    while first <= last_block:
        last = min(first + range_blocks - 1, last_block)
        batch = await reader.events(first, last)
        seen, moves = translate(batch.events, operator)
        changed = await jobs.ingest(batch.last, seen, moves)
        yield Replayed(first, last, len(seen), len(batch.events), len(changed))
        first = last + 1
