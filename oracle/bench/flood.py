"""Many requests at once: signed beforehand, in the node's pool, mined as fast as blocks allow.

The pool is filled while no block is mined, so that sending bounds nothing and costs nothing during
the measurement. Knows nothing of answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oracle.bench.stage import MODEL, Stage
from oracle.chain.gateway import Gateway
from oracle.chain.oracle_contract import RequestParams
from oracle.chain.wire import to_hex
from oracle.core.request import minimum_bond
from oracle.core.signing import signed_transaction
from oracle.core.transaction import Call, Fees
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import deposit, fund
from oracle.devnet.samples import sample
from oracle.errors import ChainRefused

FEE = 10**18
BOND = minimum_bond(10 * 10**18, FEE)
REQUESTERS = range(Person.WATCHER + 1, Person.WATCHER + 9)
REQUEST_GAS = 300_000

_AT_ONCE = 16
_TIME_TO_ANSWER = 3_000
_GWEI = 10**9
_FEES = Fees(max_fee=_GWEI - 1, max_priority_fee=_GWEI - 1)
"""A wei less than the node suggests to the worker: its answers do not wait behind the backlog."""


@dataclass(frozen=True, slots=True)
class Flood:
    """Signed requests, in the order they are to be sent."""

    raw: Sequence[bytes]


def images(count: int) -> list[bytes]:
    """Held-out digits as the model takes them, over and over."""
    pixels, _ = sample(MODEL).held_out_samples()
    return [pixels[i % len(pixels)].astype(np.float32).tobytes() for i in range(count)]


async def fund_requesters(on: Stage, count: int) -> None:
    """Deposits the fees of `count` requests, for each requester its share."""
    share = -(-count // len(REQUESTERS))
    for index in REQUESTERS:
        requester = on.sender(index)
        await fund(on.sender(Person.DEPLOYER), on.contracts, requester.address, opg=share * FEE)
        await deposit(requester, on.contracts, share * FEE)


async def terms(on: Stage, operator: Address, seconds_to_answer: int) -> RequestParams:
    """What each request says, but for its input; for the zero address, anybody may accept it."""
    return RequestParams(
        consumer=ZERO_ADDRESS,
        model_id=on.model_id,
        operator=operator,
        fee=FEE,
        bond=BOND,
        value_at_risk=0,
        deadline=(await on.devnet.rpc.latest()).timestamp + seconds_to_answer,
        window=on.contracts.deployment.parameters.default_window,
        callback_gas_limit=0,
        eager=False,
    )


async def prepare(on: Stage, count: int) -> Flood:
    """Funds the requesters and signs `count` requests to the operator's standing offer."""
    await fund_requesters(on, count)
    oracle = on.contracts.oracle
    params = await terms(on, on.operator, _TIME_TO_ANSWER)
    gateway = Gateway(on.devnet.rpc)
    signers = [signer_of(index) for index in REQUESTERS]
    nonces = [await gateway.next_nonce(one.address, pending=True) for one in signers]
    raw = []
    for number, image in enumerate(images(count)):
        turn, which = divmod(number, len(signers))
        call = Call(oracle.address, oracle.request_data(params, image), REQUEST_GAS)
        _, signed = await signed_transaction(
            signers[which],
            chain_id=on.devnet.rpc.chain_id,
            nonce=nonces[which] + turn,
            call=call,
            fees=_FEES,
        )
        raw.append(signed)
    return Flood(raw)


async def fill_pool(on: Stage, flood: Flood) -> None:
    """Sends everything while mining stands still.

    Raises:
        ChainRefused: the pool did not take all of it.
    """
    rpc = on.devnet.rpc
    await rpc.request("evm_setAutomine", [False])
    await rpc.request("evm_setIntervalMining", [0])
    turns = asyncio.Semaphore(_AT_ONCE)

    async def send(raw: bytes) -> None:
        async with turns:
            await rpc.request("eth_sendRawTransaction", [to_hex(raw)], repeatable=False)

    # One account's nonces in order, so that nothing is queued behind a gap for long.
    await asyncio.gather(*(send(raw) for raw in flood.raw))
    pending = int((await rpc.request("txpool_status"))["pending"], 16)
    if pending < len(flood.raw):
        raise ChainRefused(f"the pool holds {pending} of {len(flood.raw)} transactions")
