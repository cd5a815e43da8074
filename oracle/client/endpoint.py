"""Where an operator announced that its services are found; the chain holds it as events only."""

from __future__ import annotations

from oracle.chain.coder import UnreadableData
from oracle.chain.logs import LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.wire import to_bytes, to_hex, to_int
from oracle.core.endpoint import checked_endpoint
from oracle.core.typed_data import word
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, InputError


async def endpoint_of(
    rpc: Rpc, staking: StakingBinding, operator: Address, first_block: int
) -> str | None:
    """The latest announcement; None where there is none, or one that nobody should follow."""
    head = await rpc.latest()
    event = staking.abi.events["EndpointSet"]
    logs = await LogScanner(rpc, staking.address).scan(
        first_block, head.number, [to_hex(event.topic), to_hex(word(operator))]
    )
    if not logs:
        return None
    try:
        latest = max(logs, key=lambda log: (to_int(log["blockNumber"]), to_int(log["logIndex"])))
        topics = b"".join(to_bytes(topic) for topic in latest["topics"][1:])
        _, (uri,) = event.decode(topics, to_bytes(latest["data"]))
    except (UnreadableData, KeyError, ValueError) as error:
        raise ChainUnreachable(f"the node sent an unreadable log: {error}") from error
    try:
        return checked_endpoint(uri)
    except InputError:
        return None
