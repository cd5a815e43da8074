"""Which of several workers may do what: one for each sending key, one that reads the chain.

A worker leads by leases in the database, taken for some seconds and prolonged each second. By a
clock of its own it stops before its lease is over, whatever keeps it from prolonging: a signature
or a send asks here at the last moment. Knows nothing of what is led, nor of how leases are kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from oracle.core.health import Standing
from oracle.core.transaction import Attempt, Call, Fees, Mined, SendOutcome
from oracle.core.types import Address
from oracle.errors import LeaseLost, StorageError
from oracle.ports.leases import CHAIN_LEASE, WORKER_LEASE_PREFIX, LeaseStore
from oracle.ports.sending import TransactionGateway
from oracle.ports.signing import Signer

_log = structlog.get_logger("oracle.lead")

_SAFE_PART: Final = 0.8
"""Of a lease's life; the rest is for clocks that run unevenly and for a call that is under way."""

_NEVER: Final = float("-inf")


def worker_lease(chain_id: int, sender: Address) -> str:
    """The lease of the one worker that sends with a key; while it has it, the worker lives."""
    return f"{WORKER_LEASE_PREFIX}{chain_id}:{sender}"


def elapsed_seconds() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Leadership:
    """One lease, or some that go together, as their worker may rely on them.

    Attributes:
        leader: who leads, as far as this worker knows.
        terms: how often this worker has come to lead.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self.leader: str | None = None
        self.terms = 0
        self._clock = clock
        self._until = _NEVER

    @property
    def held(self) -> bool:
        return self._clock() < self._until

    def require(self) -> None:
        """Raises LeaseLost where the lease is not this worker's for certain."""
        if not self.held:
            raise LeaseLost(
                f"the lease of {self.name} is not held: nothing is signed or sent",
                hint="another worker goes on; if there is none, see to the database",
            )

    def gain(self, until: float, leader: str) -> None:
        if self.leader != leader or not self.held:
            self.terms += 1
            _log.info("leading", lease=self.name)
        self._until, self.leader = until, leader

    def lose(self, leader: str | None) -> None:
        if self.held:
            if leader is None:  # given back, or not prolonged: that is said where it happens
                _log.info("leads no more", lease=self.name)
            else:
                _log.warning("no longer leading", lease=self.name, leader=leader)
        self._until, self.leader = _NEVER, leader


class Lead:
    """What this worker leads: its sending key, and with it, if nobody else does, the chain."""

    def __init__(
        self,
        leases: LeaseStore,
        workers: Callable[[], Sequence[str]],
        *,
        life_seconds: float,
        refresh_seconds: float,
        clock: Callable[[], float] = elapsed_seconds,
    ) -> None:
        """
        Args:
            workers: the leases of the keys that this worker sends with now, at least one.
            life_seconds: how long a lease lasts that is not prolonged.
            refresh_seconds: how often it is prolonged.
        """
        self._leases = leases
        self._workers = workers
        self._life = life_seconds
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._failure: str | None = None
        self._resigned = False
        self._others = 0
        self.key = Leadership("the sending key", clock)
        self.chain = Leadership("the chain", clock)

    @property
    def holder(self) -> str:
        """This worker's name."""
        return self._leases.holder

    @property
    def alone(self) -> bool:
        """Whether no other worker shares the queue, as of the last look."""
        return self._others == 0

    @property
    def trouble(self) -> str | None:
        """Why this worker stopped, though nobody leads in its place that it knows of."""
        if self._failure is None:
            return None
        stopped = "" if self.key.held else "; nothing is signed or sent until it is"
        return f"the lease of {self.key.name} could not be prolonged: {self._failure}{stopped}"

    @property
    def standing(self) -> str:
        """What this worker is there for, in words."""
        found = self.vitals
        if not found.key_held:
            return f"standing by for {found.key_leader or 'the database'}"
        if found.chain_held:
            return "leading"
        return f"working; {found.chain_leader or 'nobody'} leads"

    @property
    def vitals(self) -> Standing:
        """As `standing`, for whoever judges it. A leader is another, never this worker."""

        def other(leader: str | None) -> str | None:
            return None if leader == self.holder else leader

        return Standing(
            key_held=self.key.held,
            chain_held=self.chain.held,
            key_leader=other(self.key.leader),
            chain_leader=other(self.chain.leader),
        )

    async def run(self) -> None:
        """Takes what is free and prolongs what is held, for good."""
        while True:
            await asyncio.sleep(self._refresh_seconds)
            await self.refresh()

    async def refresh(self) -> None:
        """Once."""
        begun = self._clock()
        keys = list(self._workers())
        chain = [] if self._resigned else [CHAIN_LEASE]
        try:
            async with self._in_time():
                holders = await self._leases.hold([*keys, *chain], self._life)
                live = await self._leases.live()
        except StorageError as error:
            if self._failure is None:
                _log.error("lease not prolonged", error=error.message)
            self._failure = error.message
            return
        self._failure = None
        own = self._leases.holder
        until = begun + self._life * _SAFE_PART
        leaders = {lease.name: lease.holder for lease in live} | dict(holders)
        for one, names in ((self.key, keys), (self.chain, chain)):
            if names and all(holders.get(name) == own for name in names):
                one.gain(until, own)
            else:
                others = [leaders[name] for name in names or [CHAIN_LEASE] if name in leaders]
                one.lose(next((each for each in others if each != own), None))
        self._others = len(
            {
                lease.holder
                for lease in live
                if lease.name.startswith(WORKER_LEASE_PREFIX) and lease.holder != own
            }
        )

    async def resign(self) -> None:
        """Leaves the chain to another worker, where there is one, and goes on with its own jobs."""
        if self._resigned or self.alone:
            return
        self._resigned = True
        self.chain.lose(None)
        await self._let_go(CHAIN_LEASE)

    async def release(self) -> None:
        """Lets go of everything, so that nobody waits for a lease to run out. Never raises."""
        for one in (self.chain, self.key):
            one.lose(None)
        await self._let_go(CHAIN_LEASE, *self._workers())

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Gives a database up that does not answer: what it says later prolongs nothing."""
        seconds = self._life * _SAFE_PART
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise StorageError(f"the database gave no answer for {seconds:g} s") from error

    async def _let_go(self, *names: str) -> None:
        try:
            async with self._in_time():
                await self._leases.release(names)
        except StorageError as error:
            _log.warning("leases not released; they run out", error=error.message)


class GuardedSigner:
    """A key that signs only while its worker's lease is held."""

    def __init__(self, signer: Signer, leadership: Leadership) -> None:
        self._signer = signer
        self._leadership = leadership

    @property
    def address(self) -> Address:
        return self._signer.address

    async def sign(self, preimage: bytes) -> bytes:
        """Raises LeaseLost, before and after: a remote signer may have taken its time."""
        self._leadership.require()
        signature = await self._signer.sign(preimage)
        self._leadership.require()
        return signature


class GuardedGateway:
    """A gateway that sends only while its worker's lease is held. Whatever else it does is reading.

    A send that came too late is not known to have failed: it says so, and its bytes are saved.
    """

    def __init__(self, gateway: TransactionGateway, leadership: Leadership) -> None:
        self._gateway = gateway
        self._leadership = leadership

    async def chain_time(self) -> int:
        return await self._gateway.chain_time()

    async def balance(self, account: Address) -> int:
        return await self._gateway.balance(account)

    async def next_nonce(self, sender: Address, *, pending: bool) -> int:
        return await self._gateway.next_nonce(sender, pending=pending)

    async def fees(self) -> Fees:
        return await self._gateway.fees()

    async def simulate(self, sender: Address, to: Address, data: bytes) -> bytes:
        return await self._gateway.simulate(sender, to, data)

    async def estimate_gas(self, sender: Address, to: Address, data: bytes) -> int:
        return await self._gateway.estimate_gas(sender, to, data)

    async def replay(self, sender: Address, call: Call, *, block: int) -> None:
        await self._gateway.replay(sender, call, block=block)

    async def send(self, attempt: Attempt) -> tuple[SendOutcome, str | None]:
        if not self._leadership.held:
            name = self._leadership.name
            return SendOutcome.UNKNOWN, f"not sent: the lease of {name} is not held"
        return await self._gateway.send(attempt)

    async def mined(self, attempt_hash: bytes) -> Mined | None:
        return await self._gateway.mined(attempt_hash)


def afresh(
    leadership: Leadership, cycle: Callable[[], Awaitable[bool]], begin: Callable[[], None]
) -> Callable[[], Awaitable[bool]]:
    """A cycle before whose first round in each term `begin` is called.

    What a worker remembers of the chain is of no use once another has led.
    """
    term = 0

    async def run() -> bool:
        nonlocal term
        if term != leadership.terms:
            term = leadership.terms
            begin()
        return await cycle()

    return run
