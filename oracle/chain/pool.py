"""Several endpoints of one chain: which of them may be asked, in which order, and why not the rest.

Responsible for showing that each serves the right chain (its id and its first block) before its
first use and after each failure, for leaving out those that fall behind, and for taking each back
when it is well. Asks nothing on anybody's behalf.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from oracle.chain.endpoint import Endpoint
from oracle.chain.health import Health, state, why
from oracle.chain.refusal import HttpRefusal, RpcRefusal
from oracle.chain.rpc_policy import Notice, RpcPolicy
from oracle.chain.wire import to_block_or_none, to_int
from oracle.errors import ChainUnreachable, ConfigurationError, WrongChain
from oracle.ports.health import EndpointReport

_COMPARABLE_SECONDS: Final = 120.0
"""For how long an endpoint is measured by a head that only another has shown."""

_OPENING_SECONDS: Final = 2.0
"""For how long a connection waits for its slower endpoints once one is well."""


_ANOTHER_CHAIN: Final = (
    "point the RPC URL at the chain of the deployment file; where a local chain began anew, "
    "`oracle devnet up` deploys again and `oracle node reset` forgets the old one"
)


@dataclass(slots=True, eq=False)
class Member:
    """An endpoint and its state."""

    endpoint: Endpoint
    health: Health
    verifying: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pool:
    """The endpoints, in the order of preference.

    Attributes:
        chain_id, genesis_hash: what each must show; None as long as it is not known.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout_seconds: float,
        policy: RpcPolicy,
        chain_id: int | None,
        genesis_hash: bytes | None,
        notice: Notice,
    ) -> None:
        if not urls:
            raise ConfigurationError("no endpoint is named", hint="set rpc_url")
        self.members = [
            Member(
                Endpoint(
                    url, timeout_seconds=timeout_seconds, calls_per_minute=policy.calls_per_minute
                ),
                Health(
                    policy.first_pause_seconds, policy.longest_pause_seconds, policy.max_lag_blocks
                ),
            )
            for url in dict.fromkeys(urls)
        ]
        self.chain_id = chain_id
        self.genesis_hash = genesis_hash
        self._policy = policy
        self._notice = notice
        self._next_round = 0.0
        self._checking: asyncio.Task[None] | None = None

    @property
    def several(self) -> bool:
        return len(self.members) > 1

    async def open(self) -> None:
        """Has the endpoints show that they serve the chain.

        Raises:
            ChainUnreachable: none answers.
            WrongChain: all serve another chain.
        """
        if not self.several:
            await self.verify(self.members[0])
            return
        if self.chain_id is None or self.genesis_hash is None:
            await self._identify()
        self._checking = asyncio.create_task(self._check())
        # A slow endpoint holds nobody up for long, as long as there is a quick one.
        await asyncio.wait([self._checking], timeout=_OPENING_SECONDS)
        if not self._any_verified():
            await asyncio.wait([self._checking])
        if not self._any_verified():
            raise self.nobody()

    async def _identify(self) -> None:
        """Takes the chain from the first endpoint that answers, where nobody said which it is."""
        for member in self.members:
            with contextlib.suppress(ChainUnreachable, WrongChain):
                await self.verify(member)
                return

    def _any_verified(self) -> bool:
        return any(one.health.verified for one in self.members)

    async def close(self) -> None:
        """Closes the connections; may be called twice."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
            self._checking = None
        for member in self.members:
            await member.endpoint.close()

    # ---- who is asked

    def in_turn(self) -> list[Member]:
        """Whom to ask, the first first: those that are well, in the order of preference.

        Then those that failed, for want of others, and never one that lags, that serves another
        chain, or that asked to be left alone.
        """
        now = time.monotonic()
        well = [one for one in self.members if one.health.ready(now)]
        # Where all are wrong, each is looked at again: that is what the answer will say.
        all_wrong = all(one.health.wrong_chain for one in self.members)
        rest = [
            one
            for one in self.members
            if one not in well
            and now >= one.health.rests_until
            and (all_wrong or one.health.wrong_chain is None)
            and not one.health.lags
        ]
        return well + sorted(rest, key=lambda one: one.health.out_until)

    def to_send(self) -> tuple[list[Member], list[Member]]:
        """Who gets a transaction: those that answer, even late; and the others, if none does."""
        now = time.monotonic()
        well = [one for one in self.members if one.health.ready(now)]
        well += [one for one in self.members if one.health.answers(now) and one not in well]
        return well, [one for one in self.in_turn() if one not in well]

    def rest_seconds(self) -> float:
        """How long until the first of those that asked to be left alone may be asked again."""
        now = time.monotonic()
        rests = [one.health.rests_until - now for one in self.members if not one.health.wrong_chain]
        return max(0.0, min(rests, default=0.0))

    def nobody(self) -> ChainUnreachable | WrongChain:
        """Why there is nobody to ask."""
        wrong = [one.health.wrong_chain for one in self.members if one.health.wrong_chain]
        if len(wrong) == len(self.members):
            return WrongChain("; ".join(wrong), hint=_ANOTHER_CHAIN)
        states = "; ".join(f"{one.endpoint.address}: {why(one.health)}" for one in self.members)
        return ChainUnreachable(
            f"no endpoint can be asked now: {states}", hint="wait, or name another one in rpc_url"
        )

    # ---- what they show

    async def verify(self, member: Member) -> None:
        """Has an endpoint show its chain, if it has not since it last failed.

        Raises:
            WrongChain: it is another one.
            ChainUnreachable: it does not answer.
        """
        async with member.verifying:
            if member.health.verified:
                return
            try:
                wrong = await self._difference(member)
            except ChainUnreachable as error:
                self.note_failure(member, error)
                raise
            now = time.monotonic()
            if wrong is not None:
                # A single one is told of by the error alone.
                if member.health.is_wrong(wrong, now) and self.several:
                    self._notice("error", member.endpoint.address, f"NOT USED: {wrong}")
                raise WrongChain(wrong, hint=_ANOTHER_CHAIN)
            member.health.verified = True
            self.note_success(member)

    async def _difference(self, member: Member) -> str | None:
        """What is wrong with an endpoint's chain, in words."""
        endpoint = member.endpoint
        chain_id = await _read_int(endpoint, "eth_chainId")
        if self.chain_id is None:
            self.chain_id = chain_id
        if chain_id != self.chain_id:
            return f"{endpoint.address} serves chain {chain_id}, not chain {self.chain_id}"
        if self.genesis_hash is None and not self.several:
            return None
        try:
            genesis = to_block_or_none(await endpoint.ask("eth_getBlockByNumber", ["0x0", False]))
        except (TypeError, ValueError, KeyError, AttributeError):
            genesis = None
        if genesis is None:
            raise ChainUnreachable(f"{endpoint.address} does not show block 0")
        if self.genesis_hash is None:
            self.genesis_hash = genesis.hash
        if genesis.hash != self.genesis_hash:
            return (
                f"{endpoint.address} serves another chain with the id {chain_id}, "
                "or one that began anew"
            )
        return None

    async def has_block(self, member: Member, number: int) -> bool:
        """Whether an endpoint has come as far as a block; asks it where it has not shown it."""
        if not self.several or (member.health.head or 0) >= number:
            return True
        head = await _read_int(member.endpoint, "eth_blockNumber")
        self.note_head(member, head)
        return head >= number

    def note_success(self, member: Member) -> None:
        if member.health.succeeded():
            self._notice("info", member.endpoint.address, "answers again")

    def note_failure(self, member: Member, error: ChainUnreachable) -> None:
        """Takes down that an endpoint did not answer as it should."""
        now, health = time.monotonic(), member.health
        limited = (isinstance(error, HttpRefusal) and error.status == 429) or (
            isinstance(error, RpcRefusal) and error.limits_the_rate
        )
        if limited:
            rest = error.retry_after if isinstance(error, HttpRefusal) else None
            news = health.limited(rest, error.message, now)
        else:
            news = health.failed(error.message, now)
        if news and self.several:
            self._notice("warning", member.endpoint.address, f"set aside: {error.message}")

    def note_head(self, member: Member, number: int) -> None:
        """Takes down an endpoint's last block, and how far it is behind the best."""
        now, health = time.monotonic(), member.health
        health.head, health.head_at = number, now
        best = max(
            one.health.head or 0
            for one in self.members
            if now - one.health.head_at <= _COMPARABLE_SECONDS
        )
        lagged, health.lag = health.lags, best - number
        if health.lags and not lagged:
            self._notice("warning", member.endpoint.address, f"set aside: {health.lag} blocks late")
        elif lagged and not health.lags:
            self._notice("info", member.endpoint.address, "has caught up")

    # ---- looking after those that are not in use

    def look_after(self) -> None:
        """Sees in the background to what is due. Costs nothing where there is one endpoint."""
        if not self.several:
            return
        if self._checking is not None:
            if not self._checking.done():
                return
            self._checking.result()  # a bug is loud
        now = time.monotonic()
        if now >= self._next_round or any(self._returns(one, now) for one in self.members):
            self._checking = asyncio.create_task(self._check())

    def _returns(self, member: Member, now: float) -> bool:
        """Whether an endpoint has been left alone for long enough to be tried again."""
        health = member.health
        return not health.verified and now >= max(health.out_until, health.rests_until)

    async def _check(self) -> None:
        """Has those that come back show their chain, and from time to time all show their head."""
        now = time.monotonic()
        due = [one for one in self.members if self._returns(one, now)]
        if now >= self._next_round:
            self._next_round = now + self._policy.check_seconds
            due += [one for one in self.members if one.health.answers(now)]
        heads = await asyncio.gather(*(self._head_of(one) for one in due))
        # Once more, the best first: each is measured by what all showed at the same moment.
        for head, member in sorted(zip(heads, due, strict=True), key=lambda pair: -(pair[0] or 0)):
            if head is not None:
                self.note_head(member, head)

    async def _head_of(self, member: Member) -> int | None:
        try:
            await self.verify(member)
        except (ChainUnreachable, WrongChain):
            return None
        try:
            head = await _read_int(member.endpoint, "eth_blockNumber")
        except ChainUnreachable as error:
            self.note_failure(member, error)
            return None
        self.note_success(member)
        self.note_head(member, head)
        return head

    # ---- telling

    def reports(self) -> list[EndpointReport]:
        """How each endpoint is doing, for people and for the heartbeat."""
        now = time.monotonic()
        first = next(iter(self.in_turn()), None)
        return [
            EndpointReport(
                address=one.endpoint.address,
                state="in use"
                if one is first and one.health.ready(now)
                else state(one.health, now),
                why=None if one.health.ready(now) else why(one.health),
                head=one.health.head,
                lag=one.health.lag,
                failures=one.health.failures,
                calls_last_minute=one.endpoint.count.last_minute(),
                calls=dict(one.endpoint.count.by_method),
            )
            for one in self.members
        ]


async def _read_int(endpoint: Endpoint, method: str) -> int:
    result = await endpoint.ask(method)
    try:
        return to_int(result)
    except (TypeError, ValueError) as error:
        raise ChainUnreachable(
            f"{endpoint.address} answered {method} with something else: {error!r}",
            hint="use another endpoint; this one is faulty",
        ) from error
