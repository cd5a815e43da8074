"""Opens what settings name: keys, deployment, endpoint, client. No network until it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

from oracle.chain.deployment import Deployment
from oracle.chain.keystore import LocalSigner, open_keystore
from oracle.chain.rpc import Rpc
from oracle.chain.rpc_policy import Notice, RpcPolicy, log_notice
from oracle.client import OracleClient, connect
from oracle.client.offchain_lookup import is_local
from oracle.core.saved_receipt import Contracts
from oracle.devnet.state import DevnetState
from oracle.errors import ConfigurationError
from oracle.service.attempts import TransactPolicy
from oracle.settings import Settings

Role = Literal["signer", "owner", "requester"]


def chain_is_local(settings: Settings) -> bool:
    """Whether every endpoint of the chain is this machine's own."""
    try:
        return all(is_local(one) for one in rpc_urls(settings))
    except ConfigurationError:
        return False


def asks_private(settings: Settings) -> bool:
    """Whether what others announced on chain is asked at private addresses, too: a stranger could
    have this machine ask its neighbours. Of a chain on this machine, operators are on it as well.
    """
    told = settings.private_endpoints
    return chain_is_local(settings) if told is None else told


def rpc_urls(settings: Settings) -> tuple[str, ...]:
    """The endpoints that settings name, the preferred one first, or the one of the local devnet.

    Raises:
        ConfigurationError: there is neither.
    """
    if settings.rpc_url and (named := tuple(settings.rpc_url.split())):
        return named
    state = DevnetState.load(settings.devnet_dir)
    if state is None or not state.running:
        raise settings.lacking(
            "no chain to talk to", hint="set rpc_url, or start a local one: `oracle devnet up`"
        )
    return (state.url,)


def rpc_policy(settings: Settings) -> RpcPolicy:
    """How endpoints are judged."""
    return RpcPolicy(
        max_lag_blocks=settings.rpc_max_lag_blocks,
        check_seconds=settings.rpc_check_seconds,
        calls_per_minute=settings.rpc_calls_per_minute,
    )


async def open_rpc(
    settings: Settings, deployed: Deployment | None = None, *, notice: Notice = log_notice
) -> Rpc:
    """A connection to the chain of a deployment, or to whichever the first endpoint serves.

    Raises:
        ConfigurationError: no endpoint is named, or one is malformed.
        WrongChain: every endpoint serves another chain.
        ChainUnreachable: none answers.
    """
    return await Rpc.connect(
        rpc_urls(settings),
        chain_id=None if deployed is None else deployed.chain_id,
        genesis_hash=None if deployed is None else deployed.genesis_hash,
        timeout_seconds=settings.rpc_timeout_seconds,
        policy=rpc_policy(settings),
        notice=notice,
    )


def deployment(settings: Settings) -> Deployment:
    """The addresses file that settings name. Raises ConfigurationError."""
    with _paths_explained(settings, settings.deployment_path):
        return Deployment.load(settings.deployment_path)


@contextmanager
def _paths_explained(settings: Settings, *paths: Path | None) -> Iterator[None]:
    """Says of a file that is missing from where its relative path counts."""
    try:
        yield
    except ConfigurationError as error:
        told = (settings.misplaced(one) for one in paths if one is not None)
        if (found := next(filter(None, told), None)) is not None:
            error.hint = found if error.hint is None else f"{found}; or else {error.hint}"
        raise


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
        raise settings.lacking(
            f"settings name no {role} key",
            hint=f"set {role}_keystore and password_file; `oracle keystore new` makes one",
        )
    return open_key(settings, path)


def open_key(settings: Settings, path: Path) -> LocalSigner:
    """The key in a file, with the password that settings lead to. Raises KeystoreError."""
    with _paths_explained(settings, path, settings.password_file):
        return open_keystore(path, settings.password_file, opens=settings.keystores)


def anybody(settings: Settings) -> Role:
    """Whose key sends what anybody may send: of those that settings name, the first."""
    roles: tuple[Role, ...] = ("requester", "owner", "signer")
    named = (role for role in roles if getattr(settings, f"{role}_keystore") is not None)
    return next(named, "requester")


@asynccontextmanager
async def client(settings: Settings, role: Role | None = None) -> AsyncIterator[OracleClient]:
    """A client of the configured deployment, with the key of `role` or none."""
    key = signer(settings, role) if role else None
    async with connect(
        rpc_urls(settings),
        deployment(settings),
        key,
        timeout_seconds=settings.rpc_timeout_seconds,
        policy=rpc_policy(settings),
        private_endpoints=asks_private(settings),
    ) as opened:
        yield opened
