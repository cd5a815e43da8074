"""The pages of the dApp developer's path, played as they stand, and the notebook among them.

The guide starts from nothing, beside a clone of the repository. The other pages need a devnet, as
they say: they share one, and start the node themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from oracle.bootstrap.devnet import free_port
from tests.dapp.registry import REPOSITORY, registry
from tests.documents import blocks, play
from tests.support.failures import thorough

DOCS = REPOSITORY / "docs"
EXAMPLES = REPOSITORY / "examples"
SCREENING = REPOSITORY / "contracts" / "examples" / "screening"
FOUNDRY = [str(next((REPOSITORY / "node_modules/@foundry-rs").glob(f"{name}-*/bin")))
           for name in ("forge", "cast", "anvil")]  # fmt: skip
"""As on the path of whoever has Foundry."""

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a devnet without a node, at the port `rpc_port` of it."""
    folder = tmp_path_factory.mktemp("devnet")
    command = [sys.executable, "-m", "oracle"]
    port = str(free_port())
    subprocess.run([*command, "devnet", "up", "--port", port], cwd=folder, check=True)
    (folder / "rpc_port").write_text(port)
    (folder / "seven.json").symlink_to(REPOSITORY / "models" / "examples" / "seven.json")
    yield folder
    subprocess.run([*command, "devnet", "down"], cwd=folder, check=True)


@pytest.fixture
def beside(devnet: Path, tmp_path: Path) -> Path:
    """Another folder in which the devnet is found."""
    for name in (".oracle", "seven.json"):
        (tmp_path / name).symlink_to(devnet / name)
    return tmp_path


@thorough
def test_an_hour_from_nothing(tmp_path: Path) -> None:
    (tmp_path / "opg-inference-oracle").symlink_to(REPOSITORY)

    def execute_the_notebook() -> None:
        notebook = nbformat.read(EXAMPLES / "ask_and_plot.ipynb", as_version=4)
        where = {"metadata": {"path": str(tmp_path / "my-dapp")}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
        last = notebook.cells[-2].outputs + notebook.cells[-1].outputs
        assert any("image/png" in one.get("data", {}) for one in last)

    with registry("@openzeppelin/contracts", "solady") as url:
        play(
            DOCS / "dapp-guide.md",
            tmp_path,
            replace={"8545": str(free_port())},
            environment={
                # What npm and forge would take from the net, from this machine.
                "npm_config_registry": url,
                "npm_config_cache": str(tmp_path / "npm"),
                "npm_config_audit": "false",
                "npm_config_update_notifier": "false",
                "FOUNDRY_SOLC": str(REPOSITORY / "scripts" / "solc"),
                "FOUNDRY_OFFLINE": "true",
                "MPLBACKEND": "agg",
            },
            before={"Ask from a contract": execute_the_notebook},
            seconds=300,
        )
    assert (tmp_path / "my-dapp" / "answers.png").stat().st_size > 10_000


@thorough
def test_your_own_model_and_the_readmes_python(beside: Path) -> None:
    def run_the_readmes_block() -> None:
        folder = beside / "readme"
        folder.mkdir()
        (folder / ".oracle").symlink_to(beside / ".oracle")
        played = play(REPOSITORY / "README.md", folder, only={"as a dApp developer"}, seconds=300)
        assert ", final, rounded tier" in played.output

    # Where the page comes to it, a node runs.
    play(
        DOCS / "your-own-model.md",
        beside,
        before={"Ask it from a contract": run_the_readmes_block},
        seconds=300,
    )


def test_everything_by_cast(beside: Path, devnet: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), *FOUNDRY, os.environ["PATH"]])
    play(
        DOCS / "cast-only.md",
        beside,
        replace={"8545": (devnet / "rpc_port").read_text()},
        environment={"PATH": path},
        seconds=300,
    )


def test_the_readme_shows_a_piece_of_the_example() -> None:
    (shown,) = (one.text for one in blocks(REPOSITORY / "README.md") if one.language == "solidity")
    assert shown in (SCREENING / "src" / "Screening.sol").read_text()


def test_the_guide_shows_the_packages_example() -> None:
    shown = {one.title: one.text for one in blocks(DOCS / "dapp-guide.md") if one.title}
    for title in ("src/Screening.sol", "test/Screening.t.sol"):
        assert shown[title] == (SCREENING / title).read_text(), f"{title} differs"


def test_the_notebook_is_made_from_the_script(tmp_path: Path) -> None:
    made = tmp_path / "made.ipynb"
    subprocess.run([REPOSITORY / "scripts" / "notebook", made], check=True)
    assert made.read_text() == (EXAMPLES / "ask_and_plot.ipynb").read_text(), "run scripts/notebook"
