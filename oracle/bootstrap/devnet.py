"""A devnet that a person can use at once: chain, contracts, sample models, an operator, keys.

Everything lies under one data directory, with a settings file that every verb finds.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oracle.bootstrap.models import add_model, prepare_model
from oracle.chain.deployment import DeploymentParameters
from oracle.chain.keystore import CHEAP_ITERATIONS, create_keystore, create_password_file
from oracle.chain.views_contract import ViewsBinding
from oracle.core.operator import Offer
from oracle.core.types import Address
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.devnet.anvil import AnvilOptions
from oracle.devnet.bring_up import Devnet, bring_up, deposit, fund, register_operator
from oracle.devnet.samples import samples
from oracle.inference.model_library import ModelLibrary
from oracle.settings import Settings

OPG = 10**18
BOND = 100_000 * OPG
PRICE = 1 * OPG
PEOPLE: Final[Mapping[str, Person]] = {
    "owner": Person.OWNER,
    "signer": Person.SIGNER,
    "requester": Person.REQUESTER,
    "watcher": Person.WATCHER,
}
"""Whose keys the settings file names, by role."""

_WATCHER_OPG = 200 * OPG
"""As much as `oracle watch` spends on one answer at most, by default."""


@dataclass(frozen=True, slots=True)
class ReadyDevnet:
    """A devnet with models and an operator on it. `settings_file` configures every verb."""

    devnet: Devnet
    models: Mapping[str, bytes]
    operator: Address
    settings_file: Path


def standing_offer() -> Offer:
    """What the devnet's operators offer for each sample model."""
    return Offer(
        price=PRICE,
        max_bond=10_000 * OPG,
        capacity=2_000,
        min_time=2,
        max_window=3_600,
        max_callback_gas=500_000,
    )


async def start_devnet(
    settings: Settings,
    options: AnvilOptions | None = None,
    parameters: DeploymentParameters | None = None,
    *,
    block_seconds: int = 1,
) -> ReadyDevnet:
    """Starts a devnet, or completes the one that runs.

    Args:
        options: how anvil is started.
        parameters: what the contracts are built with; devnet values by default.
        block_seconds: time between blocks; 0 mines a block per transaction.

    Raises:
        ConfigurationError: anvil cannot be had or does not start.
    """
    devnet = await bring_up(settings.devnet_dir, settings.deployment_path, options, parameters)
    contracts = devnet.contracts
    treasurer = devnet.sender(Person.DEPLOYER)
    if devnet.fresh:
        # The job table of a chain that is gone can only mislead.
        for stale in settings.data_dir.glob("node.sqlite*"):
            stale.unlink()
    library = ModelLibrary(settings.model_store)
    models = {}
    for sample in samples():
        prepared = await asyncio.to_thread(prepare_model, sample.file, manifest=sample.manifest())
        added = await add_model(
            prepared,
            library,
            treasurer,
            contracts,
            name=sample.name,
            uri=f"sample:{sample.name}",
            challenge_window=contracts.deployment.parameters.default_window,
            min_bond=10 * OPG,
        )
        models[sample.name] = added.id
    owner = devnet.sender(Person.OWNER)
    await fund(treasurer, contracts, owner.address, opg=BOND)
    await register_operator(
        owner,
        contracts,
        signer=signer_of(Person.SIGNER).address,
        payout=signer_of(Person.PAYOUT).address,
        bond=BOND,
        offers={model_id: standing_offer() for model_id in models.values()},
    )
    requester = devnet.sender(Person.REQUESTER)
    await fund(treasurer, contracts, requester.address, opg=2_000 * OPG)
    await deposit(requester, contracts, 1_000 * OPG)
    if block_seconds:
        await keep_time(devnet, block_seconds)
    port = settings.serve_port or free_port()
    endpoint = f"http://127.0.0.1:{port}"
    await owner.send(contracts.staking.address, contracts.staking.set_endpoint_data(endpoint))
    if (at := contracts.deployment.views) is not None:
        views = ViewsBinding(devnet.rpc, at)
        await owner.send(at, views.set_gateways_data([f"{endpoint}/views"]))
    # Coin it has, as all of anvil's accounts; OPG for the deposits of its demands.
    watcher = signer_of(Person.WATCHER).address
    await fund(treasurer, contracts, watcher, opg=_WATCHER_OPG)
    settings_file = write_settings(settings.data_dir, owner.address, PEOPLE, serve_port=port)
    return ReadyDevnet(devnet, models, owner.address, settings_file)


async def keep_time(devnet: Devnet, block_seconds: int) -> None:
    """From here on a block is mined every so many seconds, and no more with each transaction."""
    await devnet.rpc.request("evm_setIntervalMining", [block_seconds])


def free_port() -> int:
    """A port nobody listens on now; the node takes it when it starts.

    Of those that systems give to no connection by themselves: it would be gone by then.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def settings_of(
    folder: Path, operator: Address, roles: Iterable[str], *, serve_port: int
) -> dict[str, object]:
    """The settings of somebody on the devnet whose keystores lie in `folder`, by role."""
    keys = folder / "keys"
    return {
        "data_dir": folder,
        "operator": operator,
        "password_file": keys / "password",
        **{f"{role}_keystore": keys / f"{role}.json" for role in roles},
        "serve_port": serve_port,
        "poll_seconds": 0.25,
        "settle_seconds": 1.0,
        "answer_margin_seconds": 5,
        "stale_head_seconds": 0,  # it may mine on demand only
    }


def write_settings(
    folder: Path,
    operator: Address,
    people: Mapping[str, Person],
    *,
    serve_port: int,
    **extra: object,
) -> Path:
    """A settings file for somebody on the devnet, with keystores by role. Each lies in `folder`.

    Args:
        extra: further settings, such as the `deployment` of somebody who did not make it.
    """
    folder = folder.absolute()
    password_file = folder / "keys" / "password"
    if not password_file.exists():
        create_password_file(password_file)
    password = password_file.read_text().strip()
    for role, person in people.items():
        keystore = folder / "keys" / f"{role}.json"
        if not keystore.exists():
            create_keystore(
                keystore, password, secret=secret_of(person), iterations=CHEAP_ITERATIONS
            )
    values = settings_of(folder, operator, people, serve_port=serve_port) | extra
    lines = [
        "# Written by `oracle devnet up`. Its keys are anvil's, known to everybody.",
        *(f"{name} = {_toml(value)}" for name, value in values.items()),
        "",
    ]
    path = folder / "oracle.toml"
    path.write_text("\n".join(lines))
    return path


def _toml(value: object) -> str:
    """A number, or a TOML basic string; what JSON escapes, TOML escapes alike."""
    return json.dumps(value if isinstance(value, int | float) else str(value))
