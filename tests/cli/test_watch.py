"""`oracle watch` and `oracle request --watch` on a devnet with an honest node."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oracle.devnet.samples import sample
from tests.cli.conftest import Oracle, blocks_every_second

pytestmark = pytest.mark.timeout(120)


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
            "request", "digits-mlp", "--input", str(image), "--window", "60", "--watch", "--json"
        )
        assert printed.exit_code == 0, printed.err
        asked = json.loads(printed.out)
        assert asked["watched"] == "clean", asked
        assert "no element of 1 rows is violated" in asked["found"]
        watched = node.run("watch", "--once", "--json")
        assert watched.exit_code == 0, watched.err
        report = json.loads(watched.out)
        again = json.loads(node.run("watch", "--once", "--json").out)
    assert report["answers"] >= 1
    assert set(report["states"]) <= {"clean", "over", "skipped"}
    assert report["transactions"] == 0
    assert asked["request"] not in {one["request"] for one in report["cases"]}
    assert again == report, "nothing is looked into twice"


def test_what_a_watcher_cannot_do_is_refused(node: Oracle) -> None:
    assert "not an OPG amount" in node.fails(3, "watch", "--once", "--min-reward", "much")
    missing = node.fails(4, "watch", "--once", "--keystore", str(node.data_dir / "none.json"))
    assert "none.json" in missing
