"""A fresh devnet in a folder of its own, and a worker on it; both gone when the context ends.

The caller's settings and ORACLE_* variables play no part, so that figures are of known settings.
Knows nothing of what is measured.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from oracle.bootstrap.devnet import ReadyDevnet, standing_offer, start_devnet
from oracle.bootstrap.worker import NODE, Worker
from oracle.chain.contracts import Contracts
from oracle.chain.sender import TransactionSender
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.anvil import ANVIL_VARIABLE, BLOCK_GAS_LIMIT, AnvilOptions
from oracle.devnet.bring_up import Devnet, fund, register_operator
from oracle.errors import OracleError
from oracle.settings import Settings

MODEL = "digits-mlp"
"""The model that is asked: an image of 8 × 8 pixels, 256 bytes."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A devnet that is ready, mining a block with each transaction. `folder` goes with it."""

    ready: ReadyDevnet
    settings: Settings

    @property
    def devnet(self) -> Devnet:
        return self.ready.devnet

    @property
    def contracts(self) -> Contracts:
        return self.ready.devnet.contracts

    @property
    def folder(self) -> Path:
        return self.settings.data_dir

    @property
    def operator(self) -> Address:
        return self.ready.operator

    @property
    def model_id(self) -> bytes:
        return self.ready.models[MODEL]

    def sender(self, person: int) -> TransactionSender:
        return self.devnet.sender(person)

    async def make_room(self, requests: int, bond: int) -> None:
        """Has the operator's stake and standing offer bear so many open requests at once."""
        treasurer, owner = self.sender(Person.DEPLOYER), self.sender(Person.OWNER)
        stake = requests * bond
        await fund(treasurer, self.contracts, owner.address, opg=stake)
        offer = replace(standing_offer(), capacity=requests + 100)
        await register_operator(
            owner,
            self.contracts,
            signer=signer_of(Person.SIGNER).address,
            payout=signer_of(Person.PAYOUT).address,
            bond=stake,
            offers={self.model_id: offer},
        )


@asynccontextmanager
async def stage(
    *, block_gas: int = BLOCK_GAS_LIMIT, more: Sequence[str] = ()
) -> AsyncIterator[Stage]:
    """A devnet with models and an operator, whose blocks hold so much gas.

    The base fee starts at nothing and stays there, so that no transaction waits for a price. `more`
    are further arguments of anvil.

    Raises:
        ConfigurationError: anvil cannot be had or does not start.
    """
    with tempfile.TemporaryDirectory(prefix="oracle-bench-") as folder:
        settings = Settings.model_construct(data_dir=Path(folder))
        options = AnvilOptions(gas_limit=block_gas, more=("--block-base-fee-per-gas", "0", *more))
        ready = await start_devnet(settings, options, block_seconds=0)
        try:
            yield Stage(ready, settings)
        finally:
            await ready.devnet.rpc.close()
            ready.devnet.state.stop(settings.devnet_dir)


@asynccontextmanager
async def working(
    on: Stage, *, program: Sequence[str] = NODE, more: Mapping[str, object] | None = None
) -> AsyncIterator[Worker]:
    """A worker that is ready; it is asked to drain when the context ends.

    Args:
        program: what runs the node, as in `Worker.start`.
        more: settings beyond those that a devnet writes.

    Raises:
        OracleError: it does not start, or does not end well.
    """
    written = on.ready.settings_file.read_text()
    lines = [f"{name} = {value}" for name, value in (more or {}).items()]
    on.ready.settings_file.write_text(written + "\n".join([*lines, ""]))
    known = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ORACLE_") or name == ANVIL_VARIABLE
    }
    worker = await Worker.start(
        on.ready.settings_file, on.folder, program=program, environment=known
    )
    try:
        yield worker
    except BaseException:
        await worker.stop()
        raise
    code = await worker.stop()
    if code != 0:
        raise OracleError(f"the worker ended with {code}: {worker.last_lines()}")


def settings_note(on: Stage) -> dict[str, str]:
    """The worker's settings as its file has them, without paths."""
    pairs = (
        line.split(" = ", 1)
        for line in on.ready.settings_file.read_text().splitlines()
        if " = " in line and "/" not in line
    )
    return {name: value.strip('"') for name, value in pairs}
