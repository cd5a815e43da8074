"""What a watcher's key holds, against what a conviction and a demand would take of it.

Says so while it is too little, since what cannot be paid for is found only when a window closes.
Holds nothing up: coin may come later. Knows nothing of cases.
"""

from __future__ import annotations

from typing import Final

import structlog

from oracle.chain.court_contract import CourtBinding
from oracle.chain.token_contract import TokenBinding
from oracle.core.types import Address, format_opg, format_wad
from oracle.errors import OracleError
from oracle.ports.clock import Clock
from oracle.ports.sending import TransactionGateway

_log = structlog.get_logger("oracle.watcher")

CONVICTION_GAS: Final = 5_000_000
"""A proof that carries the longest result takes 4.0 million gas by the floor price of calldata
(EIP-7623), the dearest that is measured, of a sum of 8,192 terms, 3.1 (snapshots/dispute.json); the
rest is its announcement, and the headroom that a gas limit has."""

_LOOK_SECONDS = 60.0


class Purse:
    """Looks at one key. Args: demands: whether it is to pay deposits, too."""

    def __init__(
        self,
        gateway: TransactionGateway,
        token: TokenBinding,
        court: CourtBinding,
        owner: Address,
        clock: Clock,
        *,
        demands: bool,
    ) -> None:
        self._gateway = gateway
        self._token = token
        self._court = court
        self._owner = owner
        self._clock = clock
        self._demands = demands
        self._next_look = 0.0
        self._lacks_coin = False
        self._lacks_opg = False
        self.seen: dict[str, tuple[int, int]] = {}
        """What was held and what was needed at the last look, in base units: of coin, of OPG."""

    async def look(self, *, now: bool = False) -> None:
        """Looks when a minute has gone by, or at once; warns when something begins to lack."""
        if not now and self._clock.now() < self._next_look:
            return
        self._next_look = self._clock.now() + _LOOK_SECONDS
        try:
            await self._look_at_coin()
            if self._demands:
                await self._look_at_opg()
        except OracleError as error:
            _log.info("the key's money cannot be seen now", error=error.message)

    async def _look_at_coin(self) -> None:
        needed = CONVICTION_GAS * (await self._gateway.fees()).max_fee
        held = await self._gateway.balance(self._owner)
        self.seen["coin"] = held, needed
        lacked, self._lacks_coin = self._lacks_coin, held < needed
        if self._lacks_coin and not lacked:
            _log.warning(
                "too little coin for a conviction",
                key=self._owner,
                coin=format_wad(held),
                needed=format_wad(needed),
                next=f"send this key coin; on a local devnet: oracle devnet fund {self._owner}",
            )
        elif lacked and not self._lacks_coin:
            _log.info("coin enough for a conviction", key=self._owner, coin=format_wad(held))

    async def _look_at_opg(self) -> None:
        needed = (await self._court.limits()).base_deposit
        held = await self._token.balance_of(self._owner)
        self.seen["OPG"] = held, needed
        lacked, self._lacks_opg = self._lacks_opg, held < needed
        if self._lacks_opg and not lacked:
            _log.warning(
                "too little OPG for a demand",
                key=self._owner,
                opg=format_opg(held),
                needed=format_opg(needed),
                next=f"send this key OPG; on a local devnet: oracle devnet fund {self._owner}; "
                "or watch with --no-demand",
            )
        elif lacked and not self._lacks_opg:
            _log.info("OPG enough for a demand", key=self._owner, opg=format_opg(held))
