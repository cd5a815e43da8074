"""Which key pays: new transactions by the operator's present key, open ones by the key that began.

Anybody may post what the operator signed, so a key without gas costs no answer while a former one
is still here. A former signer whose key is gone is followed all the same: what is signed is sent
again, only its fee cannot be raised. Implements `ports.Sending`; follows nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import NoReturn

import structlog

from oracle.core.transaction import Call, Purpose
from oracle.core.types import Address
from oracle.errors import OracleError, SignerRefused
from oracle.ports.clock import Clock
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.ports.signing import Signer, SignerRegister
from oracle.service.keyring import Keyring
from oracle.service.transact import Transact

_log = structlog.get_logger("oracle.senders")

_GAS_TO_BEGIN_WITH = 1_000_000
"""What a key must be able to pay for at today's price before new transactions are sent with it."""


class AbsentKey:
    """A key that signed once and is not here any more."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def sign(self, preimage: bytes) -> NoReturn:
        raise SignerRefused(
            f"the key of {self.address}, which has transactions open, is not here",
            hint="name its keystore in next_signer_keystore until they are mined",
        )


class Senders:
    def __init__(
        self,
        keyring: Keyring,
        register: SignerRegister,
        transactions: TransactionStore,
        gateway: TransactionGateway,
        clock: Clock,
        operator: Address,
        follower: Callable[[Signer], Transact],
        *,
        check_seconds: float = 15.0,
    ) -> None:
        self._keyring = keyring
        self._register = register
        self._transactions = transactions
        self._gateway = gateway
        self._clock = clock
        self._operator = operator
        self._follower = follower
        self._check_seconds = check_seconds
        self._followers: dict[Address, Transact] = {}
        self._present = keyring.address
        self._look_at = 0.0
        self._poor: str | None = None
        self._absent: set[Address] = set()

    @property
    def trouble(self) -> str | None:
        """What is wrong though every call went well, in words, or None."""
        found = [self._poor, *(one.trouble for one in self._followers.values())]
        return "; ".join(one for one in found if one) or None

    @property
    def followed(self) -> Set[Address]:
        """Whose open transactions are seen to here."""
        return self._followers.keys() | self._keyring.held.keys()

    async def open(self) -> None:
        """Takes up what former signers have left open."""
        held = self._keyring.held
        for sender in await self._transactions.open_senders():
            # Other workers' keys pay for transactions, too; those never signed.
            if sender not in held and await self._register.was_signer(self._operator, sender):
                _log.error("transactions of a key that is not here", sender=sender)
                self._absent.add(sender)
                self._followers[sender] = self._follower(AbsentKey(sender))

    async def room(self) -> int:
        return await (await self._now()).room()

    async def under_way(self, purpose: Purpose) -> Set[bytes]:
        return await self._transactions.under_way(purpose)

    async def reverted(self, purpose: Purpose, request_ids: Sequence[bytes]) -> Set[bytes]:
        return await self._transactions.reverted(purpose, request_ids)

    async def submit(self, purpose: Purpose, call: Call, request_ids: Sequence[bytes]) -> None:
        await (await self._now()).submit(purpose, call, request_ids)

    async def cycle(self, cursor_block: int) -> bool:
        """Follows every open transaction of every key; True where one ended.

        Raises:
            OracleError: the first that failed, when all were followed.
        """
        ended, failure = False, None
        self._of(self._present)
        for sender in self._absent & self._keyring.held.keys():
            self._absent.remove(sender)
            self._followers[sender] = self._follower(self._keyring.held[sender])
        for follower in list(self._followers.values()):
            try:
                ended |= await follower.cycle(cursor_block)
            except OracleError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return ended

    async def needs(self, key: Address) -> bool:
        """Whether something is still to be signed with a key."""
        pays = key == self._present and key in self._followers
        return pays or await self._transactions.count_open(key) > 0

    def forget(self, key: Address) -> None:
        self._followers.pop(key, None)

    async def _now(self) -> Transact:
        """Where new transactions go."""
        wanted = self._keyring.address
        if wanted != self._present and self._clock.now() >= self._look_at:
            await self._change_to(wanted)
        return self._of(self._present)

    async def _change_to(self, wanted: Address) -> None:
        if self._present in self._keyring.held:
            fees = await self._gateway.fees()
            if await self._gateway.balance(wanted) < _GAS_TO_BEGIN_WITH * fees.max_fee:
                self._look_at = self._clock.now() + self._check_seconds
                self._poor = f"{wanted} has no gas, {self._present} pays for it: send it some"
                return
        self._poor = None
        self._of(self._present)
        _log.info("transactions are paid by another key", former=self._present, sender=wanted)
        self._present = wanted

    def _of(self, sender: Address) -> Transact:
        found = self._followers.get(sender)
        if found is None:
            found = self._followers[sender] = self._follower(self._keyring.held[sender])
        return found
