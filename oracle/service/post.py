"""Posts jobs in one transaction: simulate, drop what the simulation refuses, estimate, submit.

Shared by the verbs that post batches. Knows neither why a job is posted nor what is to become of
one that is refused: both are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence, Set
from typing import Any

from oracle.core.job import Job
from oracle.core.serving import SENT
from oracle.core.transaction import Call, Purpose
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ContractReverted
from oracle.ports.contracts import ItemCode, OracleContract
from oracle.ports.jobs import JobMove, JobStore
from oracle.ports.sending import Sending, TransactionGateway
from oracle.service import journal

_NOTICE_GAS_BUDGET = 4_000_000
"""Most gas for notices in one batch, so that it fits a transaction (EIP-7825) with headroom."""

_CALLDATA_BUDGET = 100_000
_ITEM_BYTES = 700
"""Public nodes refuse transactions above 128 KiB; an item is its terms, commitment and offsets."""


class Post:
    def __init__(
        self,
        jobs: JobStore,
        gateway: TransactionGateway,
        transact: Sending,
        contract: OracleContract,
        sender: Address,
    ) -> None:
        self._jobs = jobs
        self._gateway = gateway
        self._transact = transact
        self._sender = sender
        self._contract = contract

    async def room(self) -> int:
        """How many more transactions may be opened now; 0 or less for none."""
        return await self._transact.room()

    async def unserved(self, purpose: Purpose, jobs: Sequence[Job]) -> list[Job]:
        """The jobs that no open transaction serves; the others are marked as sent.

        After a reorg a job may come to its step again while what was sent for it, reopened by the
        same reorg, is about to be mined.
        """
        served = await self._transact.under_way(purpose)
        again = [job for job in jobs if job.request_id in served]
        if again:
            moves = [JobMove(job.request_id, SENT[purpose]) for job in again]
            journal.record(await self._jobs.move(moves))
        return [job for job in jobs if job.request_id not in served]

    async def alone(self, purpose: Purpose, jobs: Sequence[Job]) -> Set[bytes]:
        """The requests of a batch that reverted in its block: whichever did it may do so again.

        Its simulation had passed, so another would tell nothing of which it was.
        """
        tried = [job.request_id for job in jobs if job.attempts]
        return await self._transact.reverted(purpose, tried) if tried else frozenset()

    async def post(
        self,
        purpose: Purpose,
        jobs: Sequence[Job],
        calldata: Callable[[Sequence[Job]], Awaitable[bytes]],
        setback: Callable[[Job, str], JobMove],
        notice_gas: Callable[[Job], int],
    ) -> None:
        """Submits what the chain would take; moves the others by `setback(job, reason)`.

        An estimate holds what consumers take in a simulation: `notice_gas` of each job is added to
        it, or a few that do otherwise in the block would have the whole batch revert.
        """
        to = self._contract.address
        data = await calldata(jobs)
        try:
            # Asked at once: nearly always the chain would take everything, and one wait is enough.
            returned, gas = await asyncio.gather(
                self._gateway.simulate(self._sender, to, data),
                self._gateway.estimate_gas(self._sender, to, data),
            )
            codes = self._contract.decode_codes(returned) if returned else (ItemCode.DONE,)
            if len(codes) != len(jobs) or not all(0 <= one < len(ItemCode.NAMES) for one in codes):
                raise ChainUnreachable("the node simulated a batch and returned other codes")
            refused = [
                setback(job, ItemCode.NAMES[code])
                for job, code in zip(jobs, codes, strict=True)
                if code != ItemCode.DONE
            ]
            kept = [job for job, code in zip(jobs, codes, strict=True) if code == ItemCode.DONE]
            if refused:
                journal.record(await self._jobs.move(refused))
                if not kept:
                    return
                data = await calldata(kept)
                gas = await self._gateway.estimate_gas(self._sender, to, data)
        except ContractReverted as error:
            journal.record(await self._jobs.move([setback(job, error.message) for job in jobs]))
            return
        limit = gas + sum(notice_gas(job) for job in kept)
        ids = [job.request_id for job in kept]
        await self._transact.submit(purpose, Call(to, data, limit), ids)


async def abreast(posts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Lets several posts of different jobs run side by side, each to its end.

    Raises:
        OracleError: the first that failed, when all have ended.
    """
    for outcome in await asyncio.gather(*posts, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def alike(jobs: Sequence[Job], most: int, alone: Set[bytes] = frozenset()) -> list[Job]:
    """The first jobs that were tried as often, in ever smaller batches as tries fail.

    One that spoils its batch is soon alone with its fault; those that were never tried go first.

    Args:
        alone: requests that go with no other.
    """
    by_tries = sorted(jobs, key=lambda job: job.attempts)
    tries = by_tries[0].attempts if by_tries else 0
    first = [job for job in by_tries if job.attempts == tries]
    together = [job for job in first if job.request_id not in alone]
    return together[: max(1, most >> tries)] or first[:1]


def within_one_transaction(jobs: Sequence[Job], notice_gas: Callable[[Job], int]) -> list[Job]:
    """The longest prefix that fits one transaction; at least one job.

    Args:
        notice_gas: most gas of the notice that comes with posting a job.
    """
    kept: list[Job] = []
    promised = size = 0
    for job in jobs:
        promised += notice_gas(job)
        size += _ITEM_BYTES + len(job.result or b"")
        if kept and (promised > _NOTICE_GAS_BUDGET or size > _CALLDATA_BUDGET):
            break
        kept.append(job)
    return kept
