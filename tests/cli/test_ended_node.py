"""What is said of a node that ended, with its chain gone; and of what its views brought."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from oracle.bootstrap.clock import SystemClock
from oracle.chain.deployment import Deployment, DeploymentParameters
from oracle.core.types import Address, address
from oracle.devnet.accounts import Person, signer_of
from oracle.ports.health import Heartbeat
from oracle.ports.views import HeldVoucher
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.storage import open_storage
from oracle.storage.voucher_store import record
from tests.cli.conftest import Oracle

OPERATOR = signer_of(Person.OWNER).address
CREDIT = address("0x" + "c1" * 20)
NOBODY = 2**22 + 1
"""No process has this number: Linux gives none above 2**22."""


def _at(number: int) -> Address:
    return address(f"0x{number:040x}")


@pytest.fixture
def ended(tmp_path: Path) -> Oracle:
    """The folder of a node that ended in order, and whose devnet is down."""
    (tmp_path / "oracle.toml").write_text(
        f'operator = "{OPERATOR}"\ndata_dir = "{tmp_path / "data"}"\n'
    )
    beat = Heartbeat(NOBODY, OPERATOR, 1.8e9, 1.8e9 + 5, 7, 7, True, {}, ended=True)
    HeartbeatFile(tmp_path / "data/node.json").write(beat)
    return Oracle(tmp_path)


def _deployed(ended: Oracle, credit: Address | None) -> None:
    deployment = Deployment(
        31_337, bytes(32), 0, *map(_at, range(1, 7)), DeploymentParameters.devnet()
    )
    replace(deployment, credit=credit).save(ended.data_dir / "data/deployment.json")


def test_an_ended_node_is_described_without_a_chain(ended: Oracle) -> None:
    printed = ended.run("node", "status", "--json")
    facts = json.loads(printed.out)
    assert printed.exit_code == 1
    assert facts["node"].startswith("ended in order at 2027-01-15")
    assert facts["next"] == "start it: `oracle up`"
    assert facts["chain"] == "no chain to talk to"
    assert "stake_opg" not in facts


def test_doctor_and_status_name_one_verb_to_start_it(ended: Oracle) -> None:
    checks = json.loads(ended.run("node", "doctor", "--json").out)["checks"]
    (node,) = [one for one in checks if one["check"] == "node"]
    assert node["mend"] == "`oracle up`"
    (ended.data_dir / "data/node.json").unlink()
    assert "`oracle up`" in ended.fails(7, "node", "status")


def test_what_views_brought_is_said_once_there_is_a_voucher(ended: Oracle) -> None:
    def income() -> list[object]:
        facts = json.loads(ended.run("node", "status", "--json").out)
        return [facts.get(f"views_{name}_opg") for name in ("owed", "collected")]

    def owe(payer: Address, total: int, collected: int) -> None:
        storage = open_storage(ended.data_dir / "data/node.sqlite", SystemClock())
        held = HeldVoucher(payer, total, b"\1" * 65, collected)
        storage.vouchers._database.run_blocking(lambda at: record(at, CREDIT, held, 0))
        asyncio.run(storage.close())

    _deployed(ended, CREDIT)
    assert income() == [None, None]
    owe(_at(8), 3 * 10**17, 10**17)
    owe(_at(9), 10**18, 0)
    assert income() == ["1.2", "0.1"]
    assert "views collected opg" in ended.run("node", "status").out
    _deployed(ended, None)
    assert income() == [None, None]
