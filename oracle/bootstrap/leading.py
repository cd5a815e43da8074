"""Opens what makes a node one worker among several: leases, the key that pays, its claim on keys.

Knows which adapter is which; how a worker leads is `oracle.service.lead`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from oracle.bootstrap import connection
from oracle.bootstrap.keys import NodeKeys
from oracle.chain.deployment import Deployment
from oracle.chain.key_claim import Claims, keys_claimed
from oracle.core.types import Address
from oracle.errors import ConfigurationError
from oracle.ports.leases import LeaseStore
from oracle.ports.signing import Signer
from oracle.service.lead import Lead, worker_lease
from oracle.service.senders import Senders
from oracle.service.transact import Transact
from oracle.settings import Settings
from oracle.storage.claim import Claim
from oracle.storage.storage import Storage, database_id, open_leases


@asynccontextmanager
async def leases_of(
    settings: Settings,
    claim: Claim,
    storage: Storage,
    deployment: Deployment,
    keys: Collection[Address],
) -> AsyncIterator[tuple[LeaseStore, Claims]]:
    """The leases of the node's database, on a connection of their own, with its keys claimed.

    Yields what claims keys that are read later, too.

    Raises:
        KeyInUse: a node on this machine uses one of the keys with another database.
    """
    async with keys_claimed(
        deployment.chain_id, deployment.genesis_hash, keys, await database_id(storage)
    ) as claims:
        leases, database = await asyncio.to_thread(
            open_leases, settings.database_url, claim.holder, former=claim.former
        )
        try:
            yield leases, claims
        finally:
            await database.close()


def lead_of(
    settings: Settings,
    leases: LeaseStore,
    chain_id: int,
    senders: Callable[[], Collection[Address]],
) -> Lead:
    """Args: senders: the keys that this node sends with now."""
    if settings.lease_seconds < 3 * settings.lease_refresh_seconds:
        raise ConfigurationError(
            f"a lease of {settings.lease_seconds:g} s that is prolonged each "
            f"{settings.lease_refresh_seconds:g} s is lost where one try fails",
            hint="set lease_seconds to three times lease_refresh_seconds or more",
        )
    return Lead(
        leases,
        lambda: [worker_lease(chain_id, one) for one in sorted(senders())],
        life_seconds=settings.lease_seconds,
        refresh_seconds=settings.lease_refresh_seconds,
    )


async def paying_key(settings: Settings) -> Signer | None:
    """The key that pays for this worker's transactions, where it is not the signer's.

    Raises:
        KeystoreError: it cannot be read.
    """
    if settings.sender_keystore is None:
        return None
    return await asyncio.to_thread(_read, settings)


def _read(settings: Settings) -> Signer:
    assert settings.sender_keystore is not None
    return connection.open_key(settings, settings.sender_keystore)


def paid_by(
    payer: Signer | None, keys: NodeKeys, follower: Callable[[Signer], Transact]
) -> Senders | Transact:
    """Where this worker's transactions go: to its own key, or to the operator's, as it changes."""
    return keys.senders if payer is None else follower(payer)
