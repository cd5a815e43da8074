"""The `OperatorStaking` contract: an operator's verbs as calldata, and its views.

Implements `ports.StakingContract`. The oracle's and the court's own verbs are left out: no key
of ours could send them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from oracle.chain.binding import Binding
from oracle.chain.coder import UnreadableData
from oracle.chain.log_decoder import position_of
from oracle.chain.logs import LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.operator import Offer, OperatorStatus, SignerChange
from oracle.core.typed_data import word
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.errors import ChainUnreachable, NotFound


@dataclass(frozen=True, slots=True)
class Unbonding:
    """One exit: base units left of it, and the Unix second from which they can be withdrawn."""

    index: int
    amount: int
    available_at: int


class StakingBinding(Binding):
    """One deployed staking contract."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        super().__init__(rpc, "OperatorStaking", address)

    # ---- an operator's verbs; the caller is the operator

    def register_data(self, signer: Address, payout: Address) -> bytes:
        return self.encode("register", signer, payout)

    def rotate_signer_data(self, signer: Address) -> bytes:
        return self.encode("rotateSigner", signer)

    def set_payout_data(self, payout: Address) -> bytes:
        return self.encode("setPayout", payout)

    def bond_data(self, operator: Address, amount: int) -> bytes:
        """Anyone may bond for an operator; the caller's token allowance pays."""
        return self.encode("bond", operator, amount)

    def unbond_data(self, amount: int) -> bytes:
        return self.encode("unbond", amount)

    def withdraw_data(self, index: int) -> bytes:
        """Withdraws every exit up to and including this one."""
        return self.encode("withdraw", index)

    def set_offer_data(self, model_id: bytes, offer: Offer) -> bytes:
        """A capacity of 0 takes the offer back."""
        return self.encode("setOffer", model_id, offer.as_tuple())

    def set_endpoint_data(self, uri: str) -> bytes:
        """An empty text takes the announcement back."""
        return self.encode("setEndpoint", uri)

    # ---- anyone's verbs

    def claim_data(self, to: Address) -> bytes:
        """Pays the caller's share of slashes to `to`."""
        return self.encode("claim", to)

    def burn_data(self) -> bytes:
        return self.encode("burn")

    # ---- views

    async def status(self, operator: Address) -> OperatorStatus:
        """Raises NotFound for an address that never registered. All values are of one block."""
        return await self._rpc.on_one_endpoint(lambda: self._status(operator))

    async def _status(self, operator: Address) -> OperatorStatus:
        block = (await self._rpc.latest()).number
        (stake, locked, unanswered, accepted), free, signer, payout = await asyncio.gather(
            self.view("positions", operator, block=block),
            self.view("freeStake", operator, block=block),
            self.view("signerOf", operator, block=block),
            self.view("payoutOf", operator, block=block),
        )
        if payout == ZERO_ADDRESS:
            raise NotFound(
                f"{operator} is not an operator",
                hint="`oracle model show MODEL` lists who answers a model",
            )
        return OperatorStatus(
            operator=operator,
            signer=signer,
            payout=payout,
            stake=stake,
            locked=locked,
            free=free,
            unanswered=unanswered,
            accepted=accepted,
        )

    async def offer(
        self, operator: Address, model_id: bytes, *, block: int | str = "latest"
    ) -> Offer:
        """An offer of capacity 0 is none."""
        return Offer(*await self.view("offers", operator, model_id, block=block))

    async def accepted(self, operator: Address, block: int) -> int:
        """How many requests had ever bound an operator, as of a block."""
        position = await self.view("positions", operator, block=block)
        count: int = position[3]
        return count

    async def signer_of(self, operator: Address, *, pending: bool = False) -> Address:
        """The key that signs for an operator now; zero for an unknown operator.

        Args:
            pending: as of the block that is being made, which may be past a change.
        """
        block = "pending" if pending else "latest"
        signer: Address = await self.view("signerOf", operator, block=block)
        return signer

    async def announced_signers(
        self, operator: Address, first_block: int, last_block: int
    ) -> tuple[SignerChange, ...]:
        """Changes of an operator's signer that were announced in a range, oldest first."""
        event = self.abi.events["SignerRotationStarted"]
        topics = [to_hex(event.topic), to_hex(word(operator))]
        logs = await LogScanner(self._rpc, self.address).scan(first_block, last_block, topics)
        try:
            logs.sort(key=position_of)
            found = [event.decode(word(operator), to_bytes(log["data"]))[1] for log in logs]
        except (UnreadableData, KeyError, ValueError, TypeError) as error:
            raise ChainUnreachable(f"the node sent an unreadable log: {error}") from error
        return tuple(SignerChange(signer, effective_at) for signer, effective_at in found)

    async def was_signer(self, operator: Address, signer: Address) -> bool:
        known: bool = await self.view("wasSigner", operator, signer)
        return known

    async def unbondings(self, operator: Address) -> tuple[Unbonding, ...]:
        """Exits that are not paid out, oldest first."""
        count: int = await self.view("unbondingCount", operator)
        rows = [await self.view("unbondings", operator, index) for index in range(count)]
        return tuple(
            Unbonding(index, amount, available_at)
            for index, (amount, available_at) in enumerate(rows)
            if amount
        )

    async def claimable(self, account: Address) -> int:
        """Base units of slashes that an account may claim."""
        amount: int = await self.view("claimable", account)
        return amount

    async def pending_burn(self) -> int:
        amount: int = await self.view("pendingBurn")
        return amount

    async def exit_delay(self) -> int:
        """Seconds from `unbond` to `withdraw`."""
        seconds: int = await self.view("EXIT_DELAY")
        return seconds

    async def signer_delay(self) -> int:
        """Seconds until a new signer replaces the present one."""
        seconds: int = await self.view("SIGNER_DELAY")
        return seconds
