"""The operator's signing keys: which one the chain takes, which one comes, which may go.

Implements `ports.Signer` by the key in force, and `ports.Handover`. The chain decides: it takes a
signature from whoever is the signer in the block that it is mined in. Shortly before a change
nothing is signed that could be mined after it, so that nothing reverts; what was signed by the
former key is signed anew, the same digest. Knows no transaction and no file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from oracle.core.event import BlockRef
from oracle.core.operator import SignerChange
from oracle.core.types import Address
from oracle.errors import KeystoreError
from oracle.ports.clock import Clock
from oracle.ports.reading import ChainReader
from oracle.ports.signing import Signer, SignerRegister

_log = structlog.get_logger("oracle.keys")

_OVERLAP_BLOCKS = 64
"""Read again each time: a reorg, or a log that came late."""

_VOID_AFTER_SECONDS = 60.0
"""A change that the chain has not made by then was undone by a reorg or another announcement."""

_SECONDS_BETWEEN_LOOKS = 1.0
"""While the chain is about to change the signer."""

_HINT = "name its file in next_signer_keystore, then `oracle node reload`"


@dataclass(frozen=True, slots=True)
class KeyringPolicy:
    """How changes are met.

    Attributes:
        start_block: first block that can hold an announcement.
        handover_seconds: before a change, for so long nothing is sent that it would spoil.
        check_seconds: the chain is asked this often.
        keep_seconds: a former key is kept at least this long, for a reorg over the change.
        range_blocks: most blocks a first look back spans at once.
    """

    start_block: int
    handover_seconds: float = 30.0
    check_seconds: float = 15.0
    keep_seconds: float = 600.0
    range_blocks: int = 2_000


class Keyring:
    def __init__(
        self,
        register: SignerRegister,
        reader: ChainReader,
        head: Callable[[], BlockRef | None],
        clock: Clock,
        operator: Address,
        held: Iterable[Signer],
        policy: KeyringPolicy,
    ) -> None:
        self._register = register
        self._reader = reader
        self._head = head
        self._clock = clock
        self._operator = operator
        self._held = {one.address: one for one in held}
        self._policy = policy
        self._in_force = next(iter(self._held.values()))
        self._coming: SignerChange | None = None
        self._read_to: int | None = None
        self._former_since: dict[Address, float] = {}

    # ---- as a signer

    @property
    def address(self) -> Address:
        return self._in_force.address

    async def sign(self, preimage: bytes) -> bytes:
        return await self._in_force.sign(preimage)

    # ---- as a keyring

    @property
    def held(self) -> Mapping[Address, Signer]:
        return MappingProxyType(self._held)

    def pause_until(self, chain_time: int) -> int | None:
        """Until when to sign nothing that the present key may sign too late; None for no wait."""
        change = self._coming
        if change is None or change.signer not in self._held:
            return None  # nobody could sign later: better now
        now = max(float(chain_time), self._clock.now())
        near = now >= change.effective_at - self._policy.handover_seconds
        return change.effective_at if near else None

    async def open(self) -> None:
        """Finds the key in force.

        Raises:
            KeystoreError: it is not among those that are held.
        """
        await self._look()

    def add(self, signers: Iterable[Signer]) -> None:
        """Takes keys up; one that is held already is replaced by the newer object."""
        for one in signers:
            if one.address not in self._held:
                _log.info("key taken up", signer=one.address)
            self._held[one.address] = one
            if one.address == self._in_force.address:
                self._in_force = one

    async def former(self) -> list[Address]:
        """Keys that signed once, do not now, and are not announced, for long enough."""
        found = []
        now = self._clock.now()
        coming = self._coming.signer if self._coming else None
        for one in list(self._held):
            if one in (self._in_force.address, coming):
                self._former_since.pop(one, None)
            elif one in self._former_since or await self._register.was_signer(self._operator, one):
                since = self._former_since.setdefault(one, now)
                if now - since >= self._policy.keep_seconds:
                    found.append(one)
        return found

    def drop(self, former: Address) -> None:
        """Forgets a key."""
        del self._held[former], self._former_since[former]
        _log.warning(
            "former signer dropped",
            signer=former,
            next="take its coin out with a wallet, and delete its file",
        )

    async def cycle(self) -> bool:
        """Looks at the chain. True where a change is so near that it was waited for.

        Raises:
            KeystoreError: the signer in force, or the one that comes, is not held.
        """
        await self._read_announcements()
        await self._look()
        change = self._coming
        if change is None:
            return False
        if change.signer not in self._held:
            raise KeystoreError(
                f"{change.signer} is announced to sign for {self._operator} from Unix second "
                f"{change.effective_at}, and its key is not here",
                hint=_HINT,
            )
        left = change.effective_at - self._clock.now()
        if left > self._policy.check_seconds:
            return False
        least = min(_SECONDS_BETWEEN_LOOKS, self._policy.check_seconds)
        await asyncio.sleep(max(left, least))
        return True

    # ---- the chain

    async def _look(self) -> None:
        registered = await self._register.signer_of(self._operator, pending=True)
        if registered not in self._held:
            raise KeystoreError(
                f"the signer of {self._operator} is {registered}, the keystore holds "
                f"{' and '.join(self._held)}",
                hint="point signer_keystore (or signer_address) at the registered key, or "
                "rotate the signer",
            )
        if registered != self._in_force.address:
            _log.warning("signer changed", former=self._in_force.address, signer=registered)
            self._in_force = self._held[registered]
        change = self._coming
        over = change is not None and (
            change.signer == registered
            or self._clock.now() > change.effective_at + _VOID_AFTER_SECONDS
        )
        if over:
            self._coming = None

    async def _read_announcements(self) -> None:
        head = self._head()
        if head is None:
            return
        if self._read_to is None:
            changes = await self._look_back(head)
        else:
            first = max(self._policy.start_block, self._read_to - _OVERLAP_BLOCKS)
            found = await self._register.announced_signers(self._operator, first, head.number)
            changes = list(found)
        self._read_to = head.number
        if not changes:
            return
        latest, now = changes[-1], max(float(head.timestamp), self._clock.now())
        if latest.effective_at > now and latest != self._coming:
            self._coming = latest
            held = latest.signer in self._held
            _log.warning(
                "another signer is announced",
                signer=latest.signer,
                from_unix_second=latest.effective_at,
                **({} if held else {"next": _HINT}),
            )

    async def _look_back(self, head: BlockRef) -> list[SignerChange]:
        """What was announced so lately that it may still be to come."""
        delay = await self._register.signer_delay()
        last = head.number
        while last >= self._policy.start_block:
            first = max(self._policy.start_block, last - self._policy.range_blocks + 1)
            found = await self._register.announced_signers(self._operator, first, last)
            if found:
                return list(found)
            if not await self._is_within(first, head.timestamp - delay):
                break
            last = first - 1
        return []

    async def _is_within(self, block: int, since: int) -> bool:
        """Whether a block is younger than a time."""
        reference = await self._reader.block(block)
        return reference is not None and reference.timestamp >= since
