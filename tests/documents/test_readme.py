"""README.md: each reader's path, typed as it stands, from a checkout that is set up.

The dApp developer's is played by tests/dapp/test_pages.py, where its guide is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.documents import play
from tests.documents.checkout import ROOT, Devnet, checkout, devnet, free_port, oracle, with_anvil
from tests.support.failures import thorough

README = ROOT / "README.md"
SEND = "; ".join(
    f"oracle devnet fund $(oracle keystore address keys/{key}.json) --coin 1 --opg {opg}"
    for key, opg in (("owner", 1_100), ("signer", 0))
)
"""On a devnet, in the place of a transfer from somebody who has coin and OPG."""

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A devnet with its node, in a checkout."""
    with devnet(checkout(tmp_path_factory.mktemp("running") / "checkout")) as started:
        yield started


@thorough
def test_a_newcomers_ten_minutes(tmp_path: Path) -> None:
    """The demo with both acts, and then what it leaves running."""
    here = checkout(tmp_path / "checkout")
    played = play(README, here, only={"as a newcomer"}, environment=with_anvil(), seconds=600)
    assert re.search(r"adds_up +│ True", played.output)
    assert "court: convicted, and the answer void" in played.output
    assert "answer (final; rounded tier" in played.output
    assert "verified: everything that there is to check holds" in played.output
    assert re.search(r"stopped +yes", played.output)


@thorough
def test_a_watcher_watches_and_a_requester_its_own(running: Devnet) -> None:
    played = play(README, running.folder, only={"as a watcher"}, seconds=300)
    assert re.search(r"^watched +(clean|over)$", played.output, re.MULTILINE)
    assert re.search(r"label +7$", played.output, re.MULTILINE)
    assert "missed now" in played.terminals["watcher"], "the report after Ctrl-C"


@thorough
def test_an_operator_begins_earns_and_leaves(running: Devnet, tmp_path: Path) -> None:
    """Beside a devnet whose operator serves the model that is fetched."""
    mine = tmp_path / "operator"
    mine.mkdir()
    (mine / ".venv").symlink_to(running.folder / ".venv")
    (mine / "deployment.json").symlink_to(running.data_dir / "deployment.json")
    (mine / "model.onnx").symlink_to(ROOT / "models" / "digits-logistic.onnx")
    (mine / "rows.npz").symlink_to(ROOT / "models" / "heldout" / "digits-logistic.npz")
    port = free_port()

    def earn() -> None:
        asked = ("request", "my-model", "--input", "models/examples/seven.json", "--wait")
        assert oracle(running.folder, *asked)["final"] is True
        until(lambda: oracle(mine, "account", "show", "--key", "owner")["account_opg"] == "0.5")

    played = play(
        README,
        mine,
        only={"as a node operator"},
        replace={
            "rpc_url=https://…": f"rpc_url={running.rpc_url}",
            "endpoint https://…": f"endpoint http://127.0.0.1:{port}",
            "# Send both keys coin for gas, and the owner OPG to bond.": SEND,
        },
        environment={"ORACLE_SERVE_PORT": port},
        before={"oracle node status": earn},
        seconds=600,
    )
    assert "✗" not in played.output, "every check of `oracle node doctor` holds"
    assert re.search(r"^withdrawn opg +0\.5$", played.output, re.MULTILINE)
    assert (mine / "node.sqlite").is_file()
    assert re.search(r"^exits\n  opg +1000$", played.output, re.MULTILINE)


def until(condition: Callable[[], bool]) -> None:
    """Asks again until it holds: the node settles when the window is over."""
    give_up_at = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.5)
