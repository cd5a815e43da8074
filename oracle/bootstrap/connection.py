"""Opens what settings name: keys, deployment, endpoint, client. No network until it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from oracle.chain.deployment import Deployment
from oracle.chain.keystore import LocalSigner, read_password
from oracle.client import OracleClient, connect
from oracle.core.saved_receipt import Contracts
from oracle.devnet.state import DevnetState
from oracle.errors import ConfigurationError
from oracle.service.transact import TransactPolicy
from oracle.settings import Settings

Role = Literal["signer", "owner", "requester"]


def rpc_url(settings: Settings) -> str:
    """The endpoint that settings name, or the one of the local devnet.

    Raises:
        ConfigurationError: there is neither.
    """
    if settings.rpc_url:
        return settings.rpc_url
    state = DevnetState.load(settings.devnet_dir)
    if state is None or not state.running:
        raise ConfigurationError(
            "no chain to talk to", hint="set rpc_url, or start a local one: `oracle devnet up`"
        )
    return state.url


def deployment(settings: Settings) -> Deployment:
    """The addresses file that settings name. Raises ConfigurationError."""
    return Deployment.load(settings.deployment_path)


def contracts(deployed: Deployment) -> Contracts:
    """The deployment as receipts name it."""
    return Contracts(
        chain_id=deployed.chain_id,
        oracle=deployed.oracle,
        registry=deployed.registry,
        staking=deployed.staking,
        token=deployed.token,
        court=deployed.court,
    )


def transact_policy(settings: Settings) -> TransactPolicy:
    """How transactions are repeated and made dearer, for whoever sends some."""
    return TransactPolicy(
        max_in_flight=settings.max_in_flight,
        resend_seconds=settings.resend_seconds,
        bump_seconds=settings.bump_seconds,
        bump_percent=settings.bump_percent,
        max_fee_wei=int(settings.max_fee_gwei * 10**9),
    )


def signer(settings: Settings, role: Role) -> LocalSigner:
    """The key of a role.

    Raises:
        ConfigurationError: settings name no keystore for it.
        KeystoreError: the keystore cannot be read.
    """
    path: Path | None = getattr(settings, f"{role}_keystore")
    if path is None:
        raise ConfigurationError(
            f"settings name no {role} key",
            hint=f"set {role}_keystore and password_file; `oracle keystore new` makes one",
        )
    return LocalSigner.from_keystore(path, read_password(settings.password_file))


@asynccontextmanager
async def client(settings: Settings, role: Role | None = None) -> AsyncIterator[OracleClient]:
    """A client of the configured deployment, with the key of `role` or none."""
    key = signer(settings, role) if role else None
    async with connect(
        rpc_url(settings),
        deployment(settings),
        key,
        timeout_seconds=settings.rpc_timeout_seconds,
    ) as opened:
        yield opened
