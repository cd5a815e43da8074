"""Opens the node's keys by its settings, and opens them again where it is told to: a SIGHUP.

A key is a keystore in this process or an address of a remote signer; there is the present one, and
the next one while the signer changes. Knows what is configured, not what the chain takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog

from oracle.bootstrap import connection
from oracle.chain.key_claim import Claims
from oracle.chain.remote_signer import RemoteSigner, read_authorization
from oracle.core.event import BlockRef
from oracle.core.types import Address, address
from oracle.errors import ConfigurationError, OracleError, SignerUnreachable
from oracle.ports.clock import Clock
from oracle.ports.reading import ChainReader
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.ports.signing import Signer, SignerRegister
from oracle.service.keyring import Keyring, KeyringPolicy
from oracle.service.senders import Senders
from oracle.service.transact import Transact
from oracle.settings import Settings

_log = structlog.get_logger("oracle.keys")

_OF_KEYS: Final = frozenset(
    {
        *("signer_keystore", "signer_address", "next_signer_keystore", "next_signer_address"),
        *("password_file", "signer_url", "signer_auth_file", "signer_timeout_seconds"),
    }
)
"""Settings that a running node reads again."""


class Reload:
    """How a running node is told to read its keys again, and where from."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self.settings = settings
        self.wanted = asyncio.Event()
        self.waiting: Sequence[str] = ()
        """Settings that have changed and wait for a restart, as of the last time."""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """What signs, what pays, and a step that keeps both in line with the chain."""

    keyring: Keyring
    senders: Senders
    reload: Reload

    async def cycle(self) -> bool:
        """One look; True where the next is due at once. Raises as `Keyring.cycle` does."""
        for key in await self.keyring.former():
            if not await self.senders.needs(key):
                self.senders.forget(key)
                self.keyring.drop(key)
        return await self.keyring.cycle()


async def open_signers(settings: Settings) -> list[Signer]:
    """The present key, and the next one where settings name one. A remote one is looked for.

    Raises:
        ConfigurationError: settings name no key, or one twice.
        KeystoreError: a keystore, its password or credentials cannot be read.
        SignerRefused: the remote signer has no such key, or does not let us in.
    """
    keystores = [settings.signer_keystore, settings.next_signer_keystore]
    named = [settings.signer_address, settings.next_signer_address]
    if keystores[0] is None and named[0] is None:
        raise settings.lacking(
            "settings name no signer key",
            hint="set signer_keystore and password_file (`oracle keystore new` makes one), "
            "or signer_url and signer_address",
        )
    found: list[Signer] = []
    try:
        for which, keystore, remote in zip(("", "next_"), keystores, named, strict=True):
            if keystore is not None and remote is not None:
                raise ConfigurationError(
                    f"settings name {which}signer_keystore and {which}signer_address",
                    hint="a key is here or with a remote signer: name one of them",
                )
            if keystore is not None:
                found.append(await asyncio.to_thread(connection.open_key, settings, keystore))
            elif remote is not None:
                found.append(await _remote(settings, address(remote)))
    except BaseException:
        await _close(found)
        raise
    return found


async def _close(signers: Sequence[Signer]) -> None:
    for one in signers:
        if isinstance(one, RemoteSigner):
            await one.close()


async def _remote(settings: Settings, key: Address) -> RemoteSigner:
    if settings.signer_url is None:
        raise ConfigurationError(
            f"settings name the key {key} of a remote signer, and no such signer",
            hint="set signer_url",
        )
    credentials = settings.signer_auth_file
    signer = RemoteSigner(
        settings.signer_url,
        key,
        authorization=None if credentials is None else read_authorization(credentials),
        timeout_seconds=settings.signer_timeout_seconds,
    )
    try:
        await signer.find()
    except SignerUnreachable as error:  # what it is wanted for waits; the chain is followed
        _log.warning(error.message, next=error.hint)
    except BaseException:
        await signer.close()
        raise
    return signer


@asynccontextmanager
async def opened_signers(settings: Settings) -> AsyncIterator[list[Signer]]:
    """As `open_signers`; closes them, and those that were added. Raises as it does."""
    found = await open_signers(settings)
    try:
        yield found
    finally:
        await _close(found)


@asynccontextmanager
async def open_keys(
    settings: Settings,
    signers: list[Signer],
    *,
    reload: Reload,
    register: SignerRegister,
    reader: ChainReader,
    head: Callable[[], BlockRef | None],
    clock: Clock,
    operator: Address,
    start_block: int,
    transactions: TransactionStore,
    gateway: TransactionGateway,
    follower: Callable[[Signer], Transact],
    claims: Claims,
) -> AsyncIterator[NodeKeys]:
    """The node's keys, with the one that the chain takes in force.

    Args:
        signers: what is held; what is read later is added.
        claims: takes what is read later from other databases on this machine.

    Raises:
        KeystoreError: none of them is the operator's signer.
    """
    policy = KeyringPolicy(
        start_block=start_block,
        handover_seconds=settings.handover_seconds,
        check_seconds=settings.signer_check_seconds,
        range_blocks=settings.range_blocks,
    )
    keyring = Keyring(register, reader, head, clock, operator, signers, policy)
    await keyring.open()
    senders = Senders(
        keyring,
        register,
        transactions,
        gateway,
        clock,
        operator,
        follower,
        check_seconds=settings.signer_check_seconds,
    )
    await senders.open()

    async def again() -> None:
        read = reload.settings()
        reload.waiting = _changed(settings, read)
        if reload.waiting:
            _log.warning("settings wait for a restart", settings=" ".join(reload.waiting))
        added = await open_signers(read)
        try:
            await claims([one.address for one in added])
        except BaseException:
            await _close(added)
            raise
        signers.extend(added)
        keyring.add(added)
        await keyring.open()

    reloads = asyncio.create_task(_reload_when_wanted(reload, again))
    try:
        yield NodeKeys(keyring, senders, reload)
    finally:
        reloads.cancel()
        with suppress(asyncio.CancelledError):
            await reloads


def _changed(present: Settings, read: Settings) -> list[str]:
    """The settings that are not as they were, but for those that name keys."""
    names = (name for name in type(present).model_fields if name not in _OF_KEYS)
    return [name for name in names if getattr(present, name) != getattr(read, name)]


async def _reload_when_wanted(reload: Reload, again: Callable[[], Awaitable[None]]) -> None:
    """A settings file or a keystore that is no good changes nothing, and is told."""
    while True:
        await reload.wanted.wait()
        reload.wanted.clear()
        try:
            await again()
            _log.info("keys read again")
        except OracleError as error:
            _log.error("keys not read again", error=error.message, next=error.hint)
