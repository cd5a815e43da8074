"""A node that starts far behind: how long it reads, with how many calls and how much memory.

The chain has blocks of 12 s behind it. Requests that anybody might have accepted lie in it, each
past its deadline: the node must read, store and decline it. The last ones are bound to the operator
and still in time: those it must answer. Knows nothing of failures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from oracle.bench.flood import REQUEST_GAS, REQUESTERS, fund_requesters, images, terms
from oracle.bench.record import read_record
from oracle.bench.recovery_stage import as_it_comes, next_beat
from oracle.bench.stage import Stage, stage, working
from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.devnet import keep_time
from oracle.chain.codec import decode_logs
from oracle.chain.gateway import Gateway
from oracle.chain.logs import LogScanner
from oracle.chain.wire import quantity, to_hex
from oracle.core.event import RequestSeen
from oracle.core.job import JobState
from oracle.core.signing import signed_transaction
from oracle.core.transaction import Call, Fees
from oracle.core.types import ZERO_ADDRESS
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import ChainRefused
from oracle.storage.storage import Storage, open_storage

Say = Callable[[str], None]

LIVE: Final = 10
"""Requests at the end of the chain that are still to be answered."""

_BLOCK_SECONDS = 12
_TIME_TO_ANSWER = 60
_BLOCKS_PAST_DEADLINE = 10
_BATCHES = 100
_MINED_AT_ONCE = 100
_FEES = Fees(10**9, 10**9)
_PATIENCE_SECONDS = 900.0
_LOOK_SECONDS = 0.05
_UNDECIDED = (JobState.SEEN, JobState.ADMITTED, JobState.ACCEPTING)
_CHEAP_CHAIN = ("--hardfork", "cancun", "--prune-history", "100")
"""Anvil works the state's root out for each block, and later rules put each block's hash into the
state: a long chain would take hours. The contracts need no later ones."""


@dataclass(slots=True)
class Progress:
    """What was seen of a node while it caught up. Seconds are from its start."""

    head: int
    looks: list[tuple[int, int]] = field(default_factory=list)
    read_seconds: float | None = None
    decided_seconds: float | None = None
    answered_seconds: float | None = None

    def memory_mib(self) -> dict[str, float | None]:
        """Largest resident memory in each third of the blocks, in MiB; None where nobody looked."""
        found: dict[str, float | None] = {}
        for third, name in enumerate(("start", "middle", "end")):
            seen = [
                rss for cursor, rss in self.looks if min(2, 3 * cursor // (self.head + 1)) == third
            ]
            found[name] = round(max(seen) / 2**20, 1) if seen else None
        return found


async def measure(blocks: int, requests: int, say: Say) -> dict[str, Any]:
    """Builds a chain of so many blocks and requests, starts a node at its begin; the figures.

    What is not decided or answered within a quarter of an hour is `lost`.

    Raises:
        ChainRefused: a request was not taken by the contract.
    """
    async with _long_stage(blocks) as on:
        began = time.monotonic()
        first_block = (await on.devnet.rpc.latest()).number + 1
        await _write_history(on, blocks, requests, say)
        await _ask_live(on)
        head = (await on.devnet.rpc.latest()).number
        say(f"{requests} requests in {head} blocks after {time.monotonic() - began:.0f} s")
        await keep_time(on.devnet, 1)
        as_it_comes(on)
        began = time.monotonic()
        async with working(on) as worker:
            ready = round(time.monotonic() - began, 2)
            storage = open_storage(str(on.folder / "node.sqlite"), SystemClock())
            try:
                progress = Progress(head)
                await _follow(progress, storage, worker.process.pid, began, requests, say)
                beat = await next_beat(on)
                counts = await storage.jobs.count_by_state()
                totals = await storage.jobs.totals()
            finally:
                await storage.close()
        record = await read_record(on.contracts, head - LIVE)
        undecided = requests - counts[JobState.DECLINED]
        return {
            "blocks": head - first_block + 1,
            "requests_expired": requests,
            "requests_live": LIVE,
            "ready_seconds": ready,
            "read_seconds": progress.read_seconds,
            "decided_seconds": progress.decided_seconds,
            "answered_seconds": progress.answered_seconds,
            "rpc_calls": beat.calls.total(),
            "rpc_calls_by_method": dict(beat.calls.most_common()),
            "memory_mib": progress.memory_mib(),
            "jobs": {state.value: count for state, count in counts.items() if count},
            "answered": len(record.answered),
            "lost": undecided + LIVE - len(record.answered),
            "reverted": totals.reverted,
        }


def _long_stage(blocks: int) -> AbstractAsyncContextManager[Stage]:
    """A devnet that began so many blocks ago."""
    began = int(time.time()) - _BLOCK_SECONDS * (blocks + 2 * _BATCHES)
    return stage(more=(*_CHEAP_CHAIN, "--timestamp", str(began)))


# ---- the chain's history


async def _write_history(on: Stage, blocks: int, requests: int, say: Say) -> None:
    """Open requests in at most a hundred blocks, with the others evenly between."""
    rpc = on.devnet.rpc
    await fund_requesters(on, requests)
    await rpc.request("evm_setAutomine", [False])
    batches = min(_BATCHES, requests)
    gateway = Gateway(rpc)
    nonces = [
        await gateway.next_nonce(signer_of(index).address, pending=False) for index in REQUESTERS
    ]
    inputs = images(requests)
    for batch in range(batches):
        asked = range(batch * requests // batches, (batch + 1) * requests // batches)
        await _send(on, {number: inputs[number] for number in asked}, nonces)
        await _mine(on, (batch + 1) * blocks // batches - batch * blocks // batches)
        if batch % 10 == 9:
            say(f"  {asked.stop} requests in {(batch + 1) * blocks // batches} blocks")
    await _mine(on, _BLOCKS_PAST_DEADLINE)
    await rpc.request("evm_setAutomine", [True])
    made = await _requests_made(on)
    if made != requests:
        raise ChainRefused(f"{made} of {requests} requests are on the chain")


async def _requests_made(on: Stage) -> int:
    scanner = LogScanner(on.devnet.rpc, on.contracts.oracle.address)
    logs = await scanner.scan(0, (await on.devnet.rpc.latest()).number)
    return sum(isinstance(event, RequestSeen) for event in decode_logs(logs))


async def _send(on: Stage, inputs: Mapping[int, bytes], nonces: list[int]) -> None:
    """Puts open requests into the next block, of all requesters in turn."""
    params = await terms(on, ZERO_ADDRESS, _TIME_TO_ANSWER)
    for number, data in inputs.items():
        which = number % len(REQUESTERS)
        call = Call(
            on.contracts.oracle.address,
            on.contracts.oracle.request_data(params, data),
            REQUEST_GAS,
        )
        _, raw = await signed_transaction(
            signer_of(REQUESTERS[which]),
            chain_id=on.devnet.rpc.chain_id,
            nonce=nonces[which],
            call=call,
            fees=_FEES,
        )
        nonces[which] += 1
        await on.devnet.rpc.request("eth_sendRawTransaction", [to_hex(raw)], repeatable=False)


async def _mine(on: Stage, count: int) -> None:
    while count > 0:
        some = min(count, _MINED_AT_ONCE)
        await on.devnet.rpc.request("anvil_mine", [quantity(some), quantity(_BLOCK_SECONDS)])
        count -= some


async def _ask_live(on: Stage) -> None:
    """The requests that are to be answered, a block each."""
    requester = on.sender(Person.REQUESTER)
    for data in images(LIVE):
        params = await terms(on, on.operator, 50 * _TIME_TO_ANSWER)
        await requester.send(
            on.contracts.oracle.address, on.contracts.oracle.request_data(params, data)
        )


# ---- the node


async def _follow(
    progress: Progress, storage: Storage, process_id: int, began: float, requests: int, say: Say
) -> None:
    """Looks at the job table and at the process until all is done, or patience ends."""
    process = psutil.Process(process_id)
    while time.monotonic() < began + _PATIENCE_SECONDS:
        cursor = await storage.jobs.cursor()
        now = round(time.monotonic() - began, 2)
        progress.looks.append((cursor.number if cursor else 0, process.memory_info().rss))
        if progress.read_seconds is None and cursor and cursor.number >= progress.head:
            progress.read_seconds = now
            say(f"read after {now:.1f} s")
        if progress.read_seconds is not None:
            counts = await storage.jobs.count_by_state()
            waiting = sum(counts[state] for state in _UNDECIDED)
            if progress.decided_seconds is None and not waiting:
                progress.decided_seconds = now
                say(f"decided after {now:.1f} s")
            done = sum(
                counts[state] for state in (JobState.ANSWERED, JobState.SETTLING, JobState.SETTLED)
            )
            if progress.answered_seconds is None and done >= LIVE:
                progress.answered_seconds = now
                say(f"answered after {now:.1f} s")
            if progress.decided_seconds is not None and progress.answered_seconds is not None:
                return
        await asyncio.sleep(_LOOK_SECONDS)
