"""`oracle watch` and `oracle request --watch` on a devnet with an honest node."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from tests.cli.conftest import Oracle, blocks_every_second


@pytest.fixture
def image(tmp_path: Path) -> Path:
    images, _ = sample("digits-mlp").held_out_samples()
    path = tmp_path / "image.npy"
    np.save(path, images[:1].astype(np.float32))
    return path


def test_a_requester_watches_its_answer_and_another_watcher_all_of_them(
    node: Oracle, image: Path
) -> None:
    with blocks_every_second(node):
        printed = node.run(
            "request", "digits-mlp", "--input", str(image), "--window", "600", "--watch", "--json"
        )
        assert printed.exit_code == 0, printed.err
        asked = json.loads(printed.out)
        assert asked["watched"] == "clean", asked
        assert "no element of 1 rows is violated" in asked["found"]
        first = node.json("show", asked["request"])["events"][0]["block"]
        look = ("watch", "--once", "--json", "--from-block", str(first))  # others may have cheated
        watched = node.run(*look)
        assert watched.exit_code == 0, watched.err
        begun = [json.loads(one) for one in watched.err.splitlines() if one.startswith("{")]
        (first_line,) = [one for one in begun if one["event"] == "watching"]
        assert (first_line["chain"], first_line["from_block"]) == (31337, first)
        assert first_line["endpoint"].startswith("http://127.0.0.1:")
        assert float(first_line["coin"]) > 0
        assert float(first_line["opg"]) >= 200
        (caught_up,) = [one for one in begun if one["event"] == "read up to the head"]
        assert caught_up["answers"] >= caught_up["within_their_windows"] >= 1
        report = json.loads(watched.out)
        again = json.loads(node.run(*look).out)
    assert report["answers"] >= 1
    assert report["states"]["clean"] >= 1
    assert report["missed_now"] == 0
    assert asked["request"] not in {one["request"] for one in report["cases"]}
    assert again == report, "nothing is looked into twice"


def test_what_a_watcher_cannot_do_is_refused(node: Oracle) -> None:
    assert "not an OPG amount" in node.fails(3, "watch", "--once", "--min-reward", "much")
    missing = node.fails(4, "watch", "--once", "--keystore", str(node.data_dir / "none.json"))
    assert "none.json" in missing


def test_a_watcher_has_a_key_of_its_own(node: Oracle, tmp_path: Path) -> None:
    """The requester's would have two senders."""
    shown = node.json("account", "show", "--keystore", str(node.data_dir / "keys/watcher.json"))
    assert shown["address"] == signer_of(Person.WATCHER).address
    assert float(shown["wallet_opg"]) >= 200, "as much as demands on one answer may cost"
    lines = node.config.read_text().splitlines()
    without = tmp_path / "oracle.toml"
    kept = [line for line in lines if not line.startswith("watcher_keystore")]
    assert len(kept) == len(lines) - 1
    without.write_text("\n".join(kept))
    said = Oracle(tmp_path, node.secrets).fails(4, "watch", "--once")
    assert "settings name no watcher key" in said
    assert "watcher_keystore" in said.partition("try: ")[2]
