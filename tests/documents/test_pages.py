"""Pages that need a devnet with a node, or a checkout only: each typed as it stands.

Longer ones (the README, the guides) have files of their own.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import play
from tests.documents.checkout import ROOT, Devnet, checkout, devnet, free_port, oracle, with_anvil
from tests.support.failures import thorough

DOCS = ROOT / "docs"
ASKING = ("request", "digits-mlp", "--input", "models/examples/seven.json")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A devnet with its node, in a checkout."""
    here = checkout(tmp_path_factory.mktemp("running") / "checkout")
    with devnet(here) as started:
        yield started


@pytest.fixture
def beside(running: Devnet, tmp_path: Path) -> Path:
    """Another checkout in which that devnet is found."""
    here = checkout(tmp_path / "checkout")
    (here / ".oracle").symlink_to(running.data_dir)
    return here


@thorough
@pytest.mark.anvil
def test_an_answer_is_verified_by_its_id_and_by_its_receipt(beside: Path) -> None:
    asked = oracle(beside, *ASKING, "--wait")
    node = oracle(beside, "node", "status")
    play_of = {"0x5f…": asked["request"], "http://…": node["serving"]}
    played = play(DOCS / "verify.md", beside, replace=play_of, seconds=300)
    assert played.output.count("verified: everything that there is to check holds") == 2
    assert asked["request"] in (beside / "receipt.json").read_text()


@thorough
@pytest.mark.anvil
def test_a_nodes_health_is_asked_at_its_private_port(beside: Path) -> None:
    private = oracle(beside, "node", "status")["private"]
    port = private.rpartition(":")[2]
    played = play(DOCS / "monitoring.md", beside, replace={"9464": port}, seconds=300)
    assert '"stalled": []' in played.output


@thorough
@pytest.mark.anvil
def test_a_model_gets_its_certificate(beside: Path) -> None:
    shutil.copyfile(ROOT / "models" / "digits-logistic.onnx", beside / "model.onnx")
    shutil.copyfile(ROOT / "models" / "heldout" / "digits-logistic.npz", beside / "rows.npz")
    play(DOCS / "certificate.md", beside, seconds=300)
    made = {one.name for one in beside.glob("model.*.json")}
    assert made == {"model.program.manifest.json", "model.manifest.json"}


@thorough
@pytest.mark.anvil
def test_the_explorer_serves_and_is_asked(beside: Path) -> None:
    play(DOCS / "explorer.md", beside, replace={"8080": free_port()}, seconds=300)


@thorough
@pytest.mark.anvil
def test_a_watcher_convicts_an_operator_that_cheats(beside: Path) -> None:
    """The last on this devnet: the page ends its node."""
    played = play(DOCS / "watching.md", beside, seconds=600)
    assert re.search(r"^watched +(clean|over)$", played.output, re.MULTILINE)
    # By which of the two watchers, is a race.
    assert re.search(r"^voided +yes$", played.output, re.MULTILINE)
    assert "missed now" in played.terminals["watcher"], "the report after Ctrl-C"


@thorough
@pytest.mark.anvil
def test_a_random_mix_of_failures_ends_well(tmp_path: Path) -> None:
    """For a quarter of a minute; the page has half an hour."""
    here = checkout(tmp_path / "checkout")
    quarter = {"--minutes 30": "--minutes 0.25"}
    played = play(
        DOCS / "testing-failures.md", here, replace=quarter, environment=with_anvil(), seconds=900
    )
    assert "broken" in played.output


def test_a_contributor_makes_what_is_made_of_examples_and_contracts(tmp_path: Path) -> None:
    here = checkout(tmp_path / "checkout")
    compiled = shutil.ignore_patterns("__pycache__")  # it changes while other tests run
    shutil.copytree(ROOT / "examples", here / "examples", ignore=compiled)
    (here / "LICENSE").symlink_to(ROOT / "LICENSE")
    (here / "examples" / "ask_and_plot.ipynb").unlink()
    play(ROOT / "CONTRIBUTING.md", here, seconds=300)
    made = (here / "examples" / "ask_and_plot.ipynb").read_text()
    assert made == (ROOT / "examples" / "ask_and_plot.ipynb").read_text()
    assert list(here.glob("opg-inference-oracle-contracts-*.tgz"))
