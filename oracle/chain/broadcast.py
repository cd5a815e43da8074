"""Hands signed transactions to endpoints.

Responsible for going on to the next one as long as nobody has taken it for sure, and for telling
apart what all refuse and what one may have taken. Knows nothing of what a transaction does.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from oracle.chain.endpoint import SEND
from oracle.chain.pool import Member, Pool
from oracle.chain.refusal import RpcRefusal
from oracle.chain.wire import to_hex
from oracle.errors import ChainUnreachable, WrongChain

_REMEMBERED_SENDS = 256


class Broadcast:
    """Sends to the endpoints of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sent: OrderedDict[bytes, None] = OrderedDict()

    async def send(self, raw: bytes) -> None:
        """Hands a signed transaction to the first endpoint that takes it.

        The same bytes cannot do anything twice, so they go to the others, too, where one does not
        answer or refuses them (it may be behind), and to all that are well where they were sent
        before: the one that took them may not have passed them on.

        Raises:
            RpcRefusal: all that answered refused it, and none may have taken it unsaid.
            ChainUnreachable: nobody knows whether one took it.
        """
        self._pool.look_after()
        again = self._remember(raw)
        taken = False
        refusal: RpcRefusal | None = None
        unknown: ChainUnreachable | None = None
        for group in self._pool.to_send():
            for member in group:
                failure = await self._send_to(member, raw)
                if failure is None:
                    taken = True
                elif isinstance(failure, RpcRefusal) and not failure.limits_the_rate:
                    refusal = refusal or failure
                else:
                    unknown = unknown or failure
                if taken and not again:
                    return
            if taken:
                return
            if refusal is not None:
                break
        raise unknown or refusal or self._pool.nobody()

    async def _send_to(self, member: Member, raw: bytes) -> ChainUnreachable | None:
        """None where the endpoint has it now."""
        try:
            await self._pool.verify(member)
        except (ChainUnreachable, WrongChain) as failure:
            # Not even asked; said as unknown, for another may be about to take it.
            return ChainUnreachable(failure.message, hint=failure.hint)
        try:
            await member.endpoint.ask(SEND, [to_hex(raw)], repeatable=False)
        except RpcRefusal as refusal:
            if refusal.limits_the_rate:
                self._pool.note_failure(member, refusal)
            else:
                self._pool.note_success(member)
            return None if refusal.holds_it_already else refusal
        except ChainUnreachable as failure:
            self._pool.note_failure(member, failure)
            return failure
        self._pool.note_success(member)
        return None

    def _remember(self, raw: bytes) -> bool:
        """Whether these bytes were sent before."""
        key = sha256(raw).digest()
        known = key in self._sent
        self._sent[key] = None
        self._sent.move_to_end(key)
        while len(self._sent) > _REMEMBERED_SENDS:
            self._sent.popitem(last=False)
        return known
