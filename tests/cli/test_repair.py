"""The repair verbs on a real database and chain: look, explain, once more, read again, forget."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.chain.keystore import CHEAP_ITERATIONS, create_keystore
from oracle.devnet.samples import sample
from tests.cli.conftest import PATIENCE_SECONDS, Oracle, Printed


@pytest.fixture
def settled(node: Oracle, tmp_path: Path) -> str:
    """The id of a request that was answered."""
    images, _ = sample("digits-mlp").held_out_samples()
    path = tmp_path / "digit.npy"
    np.save(path, images[:1].astype(np.float32))
    asked = ["request", "digits-mlp", "--input", str(path), "--wait-answered"]
    return str(node.json(*asked)["request"])


def test_jobs_are_listed_shown_and_explained(node: Oracle, settled: str) -> None:
    listed = node.json("job", "list", "--limit", "5")
    assert listed["jobs"][0]["request"] == settled
    assert listed["jobs"][0]["reason"] is None
    for start in (settled[:12], settled[2:13], settled[:18] + "…"):
        assert node.json("job", "show", start)["request"] == settled
    for start in (settled[:12], settled[:18] + "…"):
        assert node.json("show", start)["request"] == settled
    text = node.ok("job", "list")
    assert settled[:18] in text
    assert "none" in text
    shown = _once_it_has_read_the_answer(node, settled[:12])
    assert shown["request"] == settled
    assert shown["signature"].startswith("0x")
    assert shown["transactions"][0]["purpose"] == "answer"
    assert (shown["reason"], shown["consumer"]) == (None, None)
    assert (shown["expected"]["fee_opg"], shown["expected"]["objection"]) == ("1", None)
    assert shown["came_to"]["profit_wei"] is None
    assert shown["came_to"]["shares"][0]["gas"] > 0
    assert shown["came_to"]["earned_opg"] in ("0", "1")
    lines = [line.split() for line in node.ok("job", "show", settled[:12]).splitlines()]
    assert [line[-1] for line in lines if line[0] in ("reason", "objection", "consumer")] == [
        "none"
    ] * 3
    assert not [line for line in lines if line[-1] == "None"]
    told = node.json("job", "explain", settled)
    assert told["stands"].startswith(("answered", "settled", "our settlement"))
    nothing = node.json("job", "list", "--state", "failed")
    assert nothing["jobs"] == []
    assert "there is no job" in node.fails(7, "job", "show", "0x" + "ee" * 32)
    assert "is not a request id" in node.fails(3, "job", "show", "digits")
    assert "nothing left to try" in _retry_until_settled(node, settled)


def _retry_until_settled(node: Oracle, request: str) -> str:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while node.json("job", "show", request)["state"] != "settled":
        assert time.monotonic() < give_up_at
        time.sleep(0.2)
    return node.fails(3, "job", "retry", request)


def test_transactions_are_listed(node: Oracle, settled: str) -> None:
    listed = node.json("tx", "list")["transactions"]
    assert {one["purpose"] for one in listed} <= {"answer", "settle", "accept"}
    assert listed == sorted(listed, key=lambda one: -one["nonce"])
    text = node.ok("tx", "list")
    assert "answer" in text
    assert listed[-1]["mined_hash"] in text


def test_a_job_that_was_lost_is_read_again(node: Oracle, settled: str, tmp_path: Path) -> None:
    block = _once_it_has_read_the_answer(node, settled)["block"]
    # In a copy: a node that works on it would miss the job by itself.
    lost = tmp_path / "lost.sqlite"
    whole, copy = sqlite3.connect(node.data_dir / "node.sqlite"), sqlite3.connect(lost)
    whole.backup(copy)
    with copy:
        for table in ("transaction_requests", "signatures", "jobs"):
            copy.execute(f"DELETE FROM {table} WHERE request_id = ?", (bytes.fromhex(settled[2:]),))
    whole.close()
    copy.close()
    node = node.with_settings(tmp_path / "other", database=lost)
    node.fails(7, "job", "show", settled)
    read = node.json("chain", "replay", "--from", str(block))
    assert read["requests_for_us"] >= 1
    assert read["jobs_changed"] >= 1
    again = node.json("job", "show", settled)
    assert again["state"] in ("answered", "settled")
    assert "there is nothing" in node.fails(3, "chain", "replay", "--from", "9", "--to", "3")
    beyond = str(read["to_block"] + 10_000)
    assert "has read up to" in node.fails(3, "chain", "replay", "--from", "0", "--to", beyond)


def _once_it_has_read_the_answer(node: Oracle, request: str) -> dict[str, Any]:
    """The job then: the chain has the answer before the node has read of it and of its cost."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        shown = node.json("job", "show", request)
        if shown["state"] in ("answered", "settled") and shown["came_to"]["shares"]:
            return shown
        assert time.monotonic() < give_up_at, shown
        time.sleep(0.1)


def test_the_doctor_finds_nothing_wrong_with_a_node_that_works(node: Oracle, settled: str) -> None:
    found = json.loads(_healthy(node, "--json").out)
    assert found["healthy"] is True
    assert [one["check"] for one in found["checks"] if one["status"] == "skipped"] == []
    assert "✓ endpoint" in _healthy(node).out
    last = found["checks"][-1]
    assert last["check"] == "full requests"
    assert last["found"].startswith("not timed, for a node runs here"), "which needs the machine"


def _healthy(node: Oracle, *arguments: str) -> Printed:
    """What the doctor says once it finds nothing: a busy node may miss a beat."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (printed := node.run("node", "doctor", *arguments)).exit_code:
        assert time.monotonic() < give_up_at, printed
        time.sleep(0.5)
    return printed


def test_the_doctor_looks_at_the_coin_of_the_key_that_pays(node: Oracle, tmp_path: Path) -> None:
    password = (node.data_dir / "keys" / "password").read_text().strip()
    poor = create_keystore(tmp_path / "poor.json", password, iterations=CHEAP_ITERATIONS)
    paid = node.with_settings(tmp_path / "paid", sender_keystore=tmp_path / "poor.json")
    printed = paid.run("node", "doctor", "--json")
    assert printed.exit_code == 1
    by_name = {one["check"]: one for one in json.loads(printed.out)["checks"]}
    assert f"{poor}, which pays" in by_name["signer's key"]["found"]
    assert by_name["gas"]["status"] == "bad"
    assert poor in by_name["gas"]["mend"]


def test_the_doctor_goes_on_after_what_is_wrong_and_says_what_to_do(
    node: Oracle, tmp_path: Path
) -> None:
    ill = node.with_settings(
        tmp_path / "ill",
        data_dir=tmp_path / "elsewhere",
        rpc_url="http://127.0.0.1:9",
        deployment=node.data_dir / "deployment.json",
        signer_keystore=tmp_path / "absent.json",
    )
    printed = ill.run("node", "doctor", "--json")
    assert printed.exit_code == 1
    by_name = {one["check"]: one for one in json.loads(printed.out)["checks"]}
    assert by_name["signer's key"]["status"] == "bad"
    assert by_name["endpoint"]["status"] == "bad"
    assert by_name["endpoint"]["mend"]
    assert by_name["registration"]["status"] == "skipped"
    assert by_name["database"]["status"] == "good"
    assert not (tmp_path / "elsewhere").exists()


def test_only_a_local_chain_is_forgotten_and_only_without_a_node(node: Oracle) -> None:
    assert "a node runs on the data directory" in node.fails(10, "node", "reset", "--yes")


def test_a_node_that_ended_is_forgotten_on_a_local_chain(devnet: Oracle, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "node.sqlite").touch()
    (folder / "oracle.toml").touch()
    url = json.loads((devnet.data_dir / "up.json").read_text())["rpc_url"]
    local = devnet.with_settings(tmp_path / "set", data_dir=folder, rpc_url=url)
    assert local.json("node", "reset", "--yes")["removed"] == [str(folder / "node.sqlite")]
    assert (folder / "oracle.toml").exists()
    assert "no node has run" in local.fails(7, "node", "reset", "--yes")
