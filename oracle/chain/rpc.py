"""The chain as everything in this package asks it: by one endpoint, or by several of one chain.

Responsible for whom a question goes to, and what becomes of it when that one does not answer. Reads
go to the first endpoint that is well, in the order they were named, so that what follows upon each
other comes from the same one; where it fails, to the next, and back when it is well again. One
endpoint is the case of a list of one. Knows nothing of contracts.

What must not be put together from two endpoints, of which one may be behind or on another fork:

- A read of several questions (logs and the hash of their last block; a receipt and its block; a
  round of a node's step) runs in `on_one_endpoint`: one endpoint answers all of it, or it is begun
  again on another.
- Logs are only asked of an endpoint that has shown the range's last block (`needs_block`): one
  that is behind would leave out what it does not have, and say nothing.
- Everything else is checked by hash against what was read before (`service.watch`), or harmless
  when it is late: a nonce is never below the database's, a simulation costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from oracle.chain.broadcast import Broadcast
from oracle.chain.pool import Member, Pool
from oracle.chain.question import AskAnother, Behind, Pin, Question, pin_of_task
from oracle.chain.refusal import ASKER_AT_FAULT, HttpRefusal, RpcRefusal
from oracle.chain.rpc_policy import Notice, RpcPolicy, log_notice
from oracle.chain.wire import block_tag, to_block_or_none, to_bytes, to_hex, to_int
from oracle.core.event import BlockRef
from oracle.core.redaction import masked
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, WrongChain
from oracle.ports.health import EndpointReport

__all__ = ["HttpRefusal", "Rpc", "RpcPolicy", "RpcRefusal", "masked"]

DEFAULT_TIMEOUT_SECONDS: Final = 10.0

T = TypeVar("T")


class Rpc:
    """A connection to a chain. Made by `connect`; must be closed."""

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        chain_id: int | None = None,
        genesis_hash: bytes | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        policy: RpcPolicy | None = None,
        notice: Notice = log_notice,
    ) -> None:
        self._pool = Pool(
            [urls] if isinstance(urls, str) else urls,
            timeout_seconds=timeout_seconds,
            policy=policy or RpcPolicy(),
            chain_id=chain_id,
            genesis_hash=genesis_hash,
            notice=notice,
        )
        self._timeout_seconds = timeout_seconds
        self._broadcast = Broadcast(self._pool)

    @classmethod
    async def connect(
        cls,
        urls: str | Sequence[str],
        *,
        chain_id: int | None = None,
        genesis_hash: bytes | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        policy: RpcPolicy | None = None,
        notice: Notice = log_notice,
    ) -> Rpc:
        """Connects and checks the chain.

        Args:
            urls: one endpoint, or several in the order of preference.
            chain_id: what the endpoints must serve; by default what the first one serves.
            genesis_hash: their block 0; by default that of the first, where there are several.
            notice: is told of endpoints that are set aside or come back.

        Raises:
            ConfigurationError: not an HTTP URL.
            ChainUnreachable: no answer.
            WrongChain: every endpoint serves another chain.
        """
        rpc = cls(
            urls,
            chain_id=chain_id,
            genesis_hash=genesis_hash,
            timeout_seconds=timeout_seconds,
            policy=policy,
            notice=notice,
        )
        try:
            await rpc._pool.open()
        except BaseException:
            await rpc.close()
            raise
        return rpc

    async def __aenter__(self) -> Rpc:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        shown = ", ".join(one.endpoint.address for one in self._pool.members)
        return f"Rpc({shown!r}, chain_id={self.chain_id})"

    @property
    def chain_id(self) -> int:
        """As the endpoints must show it; 0 before it is known."""
        return self._pool.chain_id or 0

    @property
    def endpoint(self) -> str:
        """The masked address of the endpoint that is asked first, fit for messages."""
        return next(iter(self._pool.in_turn()), self._pool.members[0]).endpoint.address

    def reports(self) -> list[EndpointReport]:
        """How each endpoint is doing, and what it was asked."""
        return self._pool.reports()

    async def close(self) -> None:
        """Closes the connections; may be called twice."""
        await self._pool.close()

    # ---- asking

    async def request(
        self,
        method: str,
        parameters: Sequence[object] = (),
        *,
        repeatable: bool = True,
        needs_block: int | None = None,
    ) -> Any:
        """Asks one thing and returns the raw JSON result.

        Args:
            repeatable: whether to ask once more where a kept connection turns out to be closed.
            needs_block: only an endpoint that has this block is asked.

        Raises:
            RpcRefusal: the node answered with an error.
            HttpRefusal: an HTTP error.
            ChainUnreachable: no answer, or none that can be read.
            WrongChain: every endpoint serves another chain.
        """
        return await self._request(Question(method, parameters, repeatable, needs_block))

    async def request_as(
        self, read: Callable[[Any], T], method: str, parameters: Sequence[object] = ()
    ) -> T:
        """As `request`, with the result read by one of `wire`'s functions."""
        answer: T = await self._request(Question(method, parameters, read=read))
        return answer

    async def _request(self, question: Question) -> Any:
        self._pool.look_after()
        pin = self._pinned()
        failure: ChainUnreachable | None = None
        for patient in (True, False):
            for member in self._whom_to_ask(pin):
                try:
                    return await self._ask(member, question, pin)
                except AskAnother as other:
                    failure = failure or other.cause
            if pin is not None and pin.member is not None:
                pin.broken = True
                break
            rest = self._pool.rest_seconds()
            if not patient or not 0 < rest <= self._timeout_seconds:
                break
            await asyncio.sleep(rest)
        raise failure or self._pool.nobody()

    def _pinned(self) -> Pin | None:
        pin = pin_of_task.get()
        return pin if pin is not None and pin.owner is self else None

    def _whom_to_ask(self, pin: Pin | None) -> Sequence[Member]:
        if pin is None:
            return self._pool.in_turn()
        if pin.member is not None:
            return [pin.member]
        return [one for one in self._pool.in_turn() if one not in pin.avoid]

    async def _ask(self, member: Member, question: Question, pin: Pin | None) -> Any:
        """Asks one endpoint. Raises AskAnother where another might answer."""
        pool = self._pool
        try:
            await pool.verify(member)
        except WrongChain:
            raise AskAnother(None) from None
        except ChainUnreachable as failure:
            raise AskAnother(failure) from None
        try:
            answer = await self._answer(member, question)
        except ChainUnreachable as failure:
            if self._is_answer(member, failure):
                self._keep(pin, member)
                raise
            raise AskAnother(failure) from None
        pool.note_success(member)
        self._keep(pin, member)
        return answer

    async def _answer(self, member: Member, question: Question) -> Any:
        endpoint, method = member.endpoint, question.method
        last = question.needs_block
        if last is not None and not await self._pool.has_block(member, last):
            raise Behind(f"{endpoint.address} has no block {last} yet")
        result = await endpoint.ask(method, question.parameters, repeatable=question.repeatable)
        self._learn_head(member, method, question.parameters, result)
        try:
            return question.read(result)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ChainUnreachable(
                f"{endpoint.address} answered {method} with something else: {error!r}",
                hint="use another endpoint; this one is faulty",
            ) from error

    def _is_answer(self, member: Member, failure: ChainUnreachable) -> bool:
        """Whether this is what was asked for, or something is wrong with the endpoint."""
        pool = self._pool
        if isinstance(failure, RpcRefusal):
            if failure.limits_the_rate:
                pool.note_failure(member, failure)
                return False
            pool.note_success(member)
            return not failure.another_may_answer
        if isinstance(failure, HttpRefusal) and failure.status in ASKER_AT_FAULT:
            return True
        if not isinstance(failure, Behind):
            pool.note_failure(member, failure)
        return False

    @staticmethod
    def _keep(pin: Pin | None, member: Member) -> None:
        """Has the rest of a read go to who answered; two at once may have had two to answer."""
        if pin is None:
            return
        if pin.member is None:
            pin.member = member
        elif pin.member is not member:
            pin.broken = True
            raise ChainUnreachable("the endpoint changed while it was read")

    def _learn_head(
        self, member: Member, method: str, parameters: Sequence[object], result: object
    ) -> None:
        """What an answer says of how far an endpoint has come."""
        if method != "eth_getBlockByNumber" or not isinstance(result, Mapping):
            return
        if parameters[0] == "pending":  # a block that nobody has yet
            return
        try:
            number = to_int(result["number"])
        except (KeyError, TypeError, ValueError):
            return
        if parameters[0] == "latest" or number > (member.health.head or 0):
            self._pool.note_head(member, number)

    async def on_one_endpoint(self, read: Callable[[], Awaitable[T]]) -> T:
        """Has one endpoint answer everything that is asked within `read`.

        Where that endpoint fails after its first answer, `read` is begun again with another one: it
        must bear that. Transactions are sent as ever.
        """
        if not self._pool.several or self._pinned() is not None:
            return await read()
        failed: list[Member] = []
        while True:
            pin = Pin(self, failed)
            token = pin_of_task.set(pin)
            try:
                return await read()
            except ChainUnreachable:
                if not pin.broken or pin.member is None:
                    raise
                failed = [*failed, pin.member]
                if all(one in failed for one in self._pool.in_turn()):
                    raise
            finally:
                pin_of_task.reset(token)

    # ---- sending

    async def send(self, raw: bytes) -> None:
        """Hands a signed transaction to whoever takes it; see `Broadcast.send`."""
        await self._broadcast.send(raw)

    # ---- what every reader needs

    async def block(self, block: int | str) -> BlockRef | None:
        """The canonical block at a height or under a name ("latest"), or None."""
        return await self.request_as(
            to_block_or_none, "eth_getBlockByNumber", [block_tag(block), False]
        )

    async def latest(self) -> BlockRef:
        """The head."""
        head = await self.block("latest")
        if head is None:
            raise ChainUnreachable(f"{self.endpoint} has no blocks")
        return head

    async def next_timestamp(self) -> int:
        """Unix second that the next block will have, or a little less.

        The head's says nothing of it where blocks are mined on demand: it may be hours old.
        """
        latest = (await self.latest()).timestamp
        try:
            pending = await self.request_as(
                _timestamp_or_none, "eth_getBlockByNumber", ["pending", False]
            )
        except RpcRefusal:
            return latest
        return max(latest, pending or 0)

    async def code(self, account: Address) -> bytes:
        """A contract's runtime code; empty where there is none."""
        return await self.request_as(to_bytes, "eth_getCode", [account, "latest"])

    async def call(
        self,
        to: Address,
        calldata: bytes,
        *,
        sender: Address | None = None,
        block: int | str = "latest",
    ) -> bytes:
        """An eth_call's return data, not decoded; a revert raises RpcRefusal."""
        message = {"to": to, "data": to_hex(calldata)}
        if sender is not None:
            message["from"] = sender
        return await self.request_as(to_bytes, "eth_call", [message, block_tag(block)])


def _timestamp_or_none(raw: Mapping[str, Any] | None) -> int | None:
    return None if raw is None else to_int(raw["timestamp"])
