"""`oracle devnet fund` as a newcomer uses it: a key of one's own, and something to spend."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Oracle


def test_a_new_key_is_funded_in_one_step(devnet: Oracle, tmp_path: Path) -> None:
    key = devnet.json("keystore", "new", str(tmp_path / "watcher.json"))["address"]
    given = devnet.json("devnet", "fund", key, "--coin", "2", "--opg", "0.5")
    assert given == {
        "account": key,
        "given_coin": "2",
        "given_opg": "0.5",
        "balance_coin": "2",
        "balance_opg": "0.5",
    }
    said = devnet.ok("devnet", "fund", key, "--coin", "0.25", "--opg", "0")
    assert "balance coin  2.25" in said
    assert "balance opg   0.5" in said


def test_what_cannot_be_given_is_refused(devnet: Oracle, tmp_path: Path) -> None:
    account = "0x" + "ab" * 20
    assert "not an address" in devnet.fails(3, "devnet", "fund", "0x12")
    assert "no amount of coin" in devnet.fails(3, "devnet", "fund", account, "--coin", "-1")
    assert "not an OPG amount" in devnet.fails(3, "devnet", "fund", account, "--opg", "many")
    nothing = devnet.fails(3, "devnet", "fund", account, "--coin", "0", "--opg", "0")
    assert "nothing to give" in nothing
    assert "no chain to talk to" in Oracle(_empty(tmp_path)).fails(4, "devnet", "fund", account)


def test_a_chain_by_another_name_than_this_machines_is_refused(
    devnet: Oracle, tmp_path: Path
) -> None:
    url = json.loads((devnet.data_dir / "up.json").read_text())["rpc_url"]
    elsewhere = devnet.with_settings(
        tmp_path / "elsewhere", rpc_url=url.replace("127.0.0.1", "0.0.0.0")
    )
    said = elsewhere.fails(4, "devnet", "fund", "0x" + "ab" * 20)
    assert "is not a local devnet" in said
    assert "oracle devnet up" in said


def _empty(folder: Path) -> Path:
    (folder / "oracle.toml").write_text(f"data_dir = {json.dumps(str(folder / 'data'))}\n")
    return folder
