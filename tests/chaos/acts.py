"""What several of these tests do or look at, in one line each."""

from __future__ import annotations

from oracle.core.signing import signed_transaction
from oracle.core.transaction import Call, Fees, Purpose, Transaction, TransactionState
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from tests.support.fault_proxy import Document, Dropped, Fault, Forward
from tests.support.world import World, until

SIGNER = signer_of(Person.SIGNER)
PLENTY = Fees(10**12, 10**10)


def not_to(contract: Address) -> Fault:
    """Drops calls to one contract, and lets the others through."""

    async def fault(asked: Document, forward: Forward) -> Document:
        if str(asked["params"][0]["to"]).lower() == contract.lower():
            raise Dropped
        return await forward(asked)

    return fault


async def foreign(world: World, nonce: int) -> bytes:
    """A transfer that somebody else signed with the node's key."""
    call = Call(signer_of(Person.PAYEE).address, b"", 21_000)
    _, raw = await signed_transaction(
        SIGNER, chain_id=world.chain.chain_id, nonce=nonce, call=call, fees=PLENTY, value=1
    )
    return raw


async def sent_for(world: World, request_id: bytes) -> list[Transaction]:
    """Our transactions that serve a request, oldest first."""
    return list(await world.storage.transactions.transactions_for(request_id))


async def answers_to(world: World, request_id: bytes) -> list[Transaction]:
    return [one for one in await sent_for(world, request_id) if one.purpose is Purpose.ANSWER]


async def until_sent(world: World, request_id: bytes, purpose: Purpose) -> Transaction:
    """The transaction of a purpose that serves a request, once the node holds it."""

    async def sent() -> Transaction | None:
        found = [one for one in await sent_for(world, request_id) if one.purpose is purpose]
        return found[-1] if found and found[-1].attempts[-1].outcome is not None else None

    found = await until(sent)
    assert found is not None
    return found


def raw_of(sent: Transaction) -> list[bytes]:
    """The bytes of all attempts."""
    return [one.raw for one in sent.attempts]


def states(sent: list[Transaction]) -> list[TransactionState]:
    return [one.state for one in sent]
