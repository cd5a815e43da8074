"""Which key was an operator's signer when, from the staking contract's events.

Follows the rules of `OperatorStaking.rotateSigner`. It reads logs and not old state, because public
endpoints forget state after minutes and logs never. Checks no signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle.chain.coder import UnreadableData
from oracle.chain.log_decoder import position_of
from oracle.chain.logs import LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.event import Position
from oracle.core.typed_data import word
from oracle.core.types import Address
from oracle.errors import ChainUnreachable


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A signer was announced, in a block of one Unix second, to be valid from another."""

    position: Position
    signer: Address
    announced_at: int
    effective_at: int


def signer_at(changes: Sequence[KeyChange], position: Position, timestamp: int) -> Address | None:
    """The signer at a place on the chain whose block has this time; None where there was none.

    A change that comes while another is pending replaces it, and the key before both stays.
    """
    previous: Address | None = None
    latest: KeyChange | None = None
    for change in sorted(changes, key=lambda one: one.position):
        if change.position > position:
            break
        if latest is not None and change.announced_at >= latest.effective_at:
            previous = latest.signer
        latest = change
    if latest is not None and timestamp >= latest.effective_at:
        return latest.signer
    return previous


async def key_changes(
    rpc: Rpc, staking: StakingBinding, operator: Address, first_block: int, last_block: int
) -> tuple[KeyChange, ...]:
    """Every signer that an operator has announced, oldest first.

    Raises:
        ChainUnreachable: no answer, or logs that cannot be read.
    """
    registered = staking.abi.events["OperatorRegistered"]
    rotated = staking.abi.events["SignerRotationStarted"]
    scanner, topic = LogScanner(rpc, staking.address), to_hex(word(operator))
    delay = await staking.signer_delay()
    changes = []
    try:
        for log in await scanner.scan(first_block, last_block, [to_hex(registered.topic), topic]):
            _, (signer, _payout) = registered.decode(word(operator), to_bytes(log["data"]))
            changes.append(KeyChange(position_of(log), signer, 0, 0))
        for log in await scanner.scan(first_block, last_block, [to_hex(rotated.topic), topic]):
            _, (signer, effective_at) = rotated.decode(word(operator), to_bytes(log["data"]))
            announced_at = effective_at - delay
            changes.append(KeyChange(position_of(log), signer, announced_at, effective_at))
    except (UnreadableData, KeyError, ValueError, TypeError) as error:
        raise ChainUnreachable(f"the node sent an unreadable log: {error}") from error
    return tuple(sorted(changes, key=lambda one: one.position))
