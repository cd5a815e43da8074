"""Opens what overriding a stuck transaction needs, beside a node that runs or without one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from oracle.bootstrap import connection
from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.keys import opened_signers
from oracle.bootstrap.leading import paying_key
from oracle.chain.gateway import Gateway
from oracle.core.transaction import Transaction
from oracle.errors import ConfigurationError
from oracle.service.attempts import Attempts
from oracle.service.transaction_override import TransactionOverride
from oracle.settings import Settings
from oracle.storage.lookup import Lookup
from oracle.storage.storage import open_storage


@asynccontextmanager
async def opened_override(
    settings: Settings, nonce: int
) -> AsyncIterator[tuple[TransactionOverride, Transaction]]:
    """The override, and the transaction of ours with this nonce.

    Raises:
        NotFound: there is no such transaction.
        ConfigurationError: the key that began it is not here.
        ChainUnreachable: no endpoint answers.
    """
    clock = SystemClock()
    deployment = connection.deployment(settings)
    async with AsyncExitStack() as opened:
        storage = open_storage(settings.database_url, clock)
        opened.push_async_callback(storage.close)
        stuck = await Lookup(storage.database).transaction(nonce)
        keys = await opened.enter_async_context(opened_signers(settings))
        payer = await paying_key(settings)
        held = {one.address: one for one in (*keys, payer) if one is not None}
        if stuck.sender not in held:
            raise ConfigurationError(
                f"the key of {stuck.sender}, which began this transaction, is not here",
                hint="name its keystore in next_signer_keystore or sender_keystore",
            )
        rpc = await opened.enter_async_context(await connection.open_rpc(settings, deployment))
        gateway = Gateway(rpc)
        attempts = Attempts(
            storage.transactions,
            gateway,
            held[stuck.sender],
            clock,
            deployment.chain_id,
            connection.transact_policy(settings),
        )
        yield (
            TransactionOverride(
                storage.jobs,
                storage.transactions,
                gateway,
                clock,
                attempts,
            ),
            stuck,
        )
