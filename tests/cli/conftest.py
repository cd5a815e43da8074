"""The command line at work: a devnet of its own, started as a person would, and a node on it."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oracle.bootstrap.worker import Worker
from oracle.chain.contracts import Contracts
from oracle.chain.deployment import Deployment
from oracle.chain.keystore import CHEAP_ITERATIONS, create_keystore
from oracle.chain.rpc import Rpc
from oracle.chain.sender import TransactionSender
from oracle.cli.main import app
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.devnet.bring_up import fund
from tests.support.logging_reset import reset_logging

PATIENCE_SECONDS = 120.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"devnet", "node"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("anvil")


@dataclass(frozen=True, slots=True)
class Printed:
    """What a verb came to."""

    exit_code: int
    out: str
    err: str


@dataclass(slots=True)
class Oracle:
    """`oracle` with the settings of one data directory. Nothing it prints may hold a secret."""

    data_dir: Path
    secrets: set[str] = field(default_factory=set)

    @property
    def config(self) -> Path:
        return self.data_dir / "oracle.toml"

    def run(
        self, *arguments: str, typed: str | None = None, env: dict[str, str] | None = None
    ) -> Printed:
        """Runs a verb in this process."""
        result = CliRunner().invoke(
            app, ["--config", str(self.config), *arguments], input=typed, env=env
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        printed = Printed(result.exit_code, result.stdout, result.stderr)
        self.check(printed.out + printed.err)
        return printed

    def ok(self, *arguments: str) -> str:
        """What a verb prints that must go well."""
        printed = self.run(*arguments)
        assert printed.exit_code == 0, printed.err
        return printed.out

    def json(self, *arguments: str) -> dict[str, Any]:
        """The one JSON object that is all of standard output."""
        document = json.loads(self.ok(*arguments, "--json"))
        assert isinstance(document, dict)
        return document

    def status(self) -> dict[str, Any]:
        """What is said of a node that runs, once all is well: a busy one may miss a few beats, and
        what failed once is said until it is tried again."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            printed = self.run("node", "status", "--json")
            facts: dict[str, Any] = json.loads(printed.out) if printed.out else {}
            if facts.get("alive") and not facts["trouble"]:
                assert printed.exit_code == 0, printed.err
                return facts
            assert time.monotonic() < give_up_at, printed
            time.sleep(0.2)

    def fails(self, exit_code: int, *arguments: str, **more: Any) -> str:
        """What a verb says that must fail; nothing of it on standard output."""
        printed = self.run(*arguments, **more)
        assert printed.exit_code == exit_code, printed
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        return printed.err

    def check(self, text: str) -> None:
        assert not [secret for secret in self.secrets if secret in text.lower()]

    def with_settings(self, folder: Path, **changes: object) -> Oracle:
        """The same with other settings."""
        folder.mkdir(parents=True, exist_ok=True)
        old = [line.partition(" = ") for line in self.config.read_text().splitlines()]
        lines = {name: value for name, _, value in old if value}
        lines |= {name: json.dumps(str(value)) for name, value in changes.items()}
        text = "".join(f"{name} = {value}\n" for name, value in lines.items())
        (folder / "oracle.toml").write_text(text)
        return Oracle(folder, self.secrets)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test."""
    for name in [one for one in os.environ if one.startswith("ORACLE_") and one != "ORACLE_ANVIL"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """New keystores cost next to nothing to open; what they should cost is tested elsewhere."""
    cheap = functools.partial(create_keystore, iterations=CHEAP_ITERATIONS)
    for module in ("keystore", "operator"):
        monkeypatch.setattr(f"oracle.cli.{module}.create_keystore", cheap)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A node that was run in this process logged to the runner's standard error, which is gone."""
    yield
    reset_logging()


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """A devnet started by `oracle devnet up`, and ended by `oracle devnet down`."""
    oracle = Oracle(tmp_path_factory.mktemp("devnet"))
    arguments = ["--data-dir", str(oracle.data_dir), "devnet", "up", "--json"]
    # One after another: two that begin in one second would be one chain, with one key in use twice.
    with (tmp_path_factory.getbasetemp().parent / "devnet.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        up = subprocess.run(
            [sys.executable, "-m", "oracle", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "ORACLE_CONFIG"},
        )
    assert up.returncode == 0, up.stderr
    (oracle.data_dir / "up.json").write_text(up.stdout)
    oracle.secrets |= {secret_of(person).hex() for person in Person}
    oracle.secrets.add((oracle.data_dir / "keys" / "password").read_text().strip().lower())
    oracle.check(up.stdout + up.stderr)
    command(oracle, "evm_setAutomine", True)
    yield oracle
    assert oracle.json("devnet", "down")["stopped"] is True


@pytest.fixture(scope="module")
def node(devnet: Oracle) -> Iterator[Oracle]:
    """A node that serves the devnet, as a process of its own."""
    worker = asyncio.run(Worker.start(devnet.config, devnet.data_dir))
    yield devnet
    asyncio.run(worker.stop())
    devnet.check(worker.log_file.read_text())


def give(oracle: Oracle, account: str, opg: int) -> None:
    """Gives an account OPG and gas."""

    async def pay() -> None:
        facts = json.loads((oracle.data_dir / "up.json").read_text())
        async with await Rpc.connect(facts["rpc_url"]) as rpc:
            contracts = Contracts.at(rpc, Deployment.load(oracle.data_dir / "deployment.json"))
            treasurer = TransactionSender(rpc, signer_of(Person.DEPLOYER))
            await fund(treasurer, contracts, account, opg=opg, wei=10**18)  # type: ignore[arg-type]

    asyncio.run(pay())


def travel(oracle: Oracle, seconds: int) -> None:
    """Moves the devnet's clock on."""
    command(oracle, "evm_increaseTime", hex(seconds))
    command(oracle, "anvil_mine", "0x1")


@contextmanager
def blocks_every_second(oracle: Oracle) -> Iterator[None]:
    """The devnet as it is started; otherwise tests have it mine a block per transaction."""
    command(oracle, "evm_setIntervalMining", 1)
    try:
        yield
    finally:
        command(oracle, "evm_setAutomine", True)


def command(oracle: Oracle, method: str, *parameters: object) -> None:
    """Has anvil do something."""

    async def ask() -> None:
        facts = json.loads((oracle.data_dir / "up.json").read_text())
        async with await Rpc.connect(facts["rpc_url"]) as rpc:
            await rpc.request(method, parameters)

    asyncio.run(ask())
