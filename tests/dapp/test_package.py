"""The npm package: what is in it, and that a project of others compiles against it, with any solc.

The whole way, to a paid answer on a devnet, is `test_pages.test_an_hour_from_nothing`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import oracle
from tests.dapp.registry import REPOSITORY, registry
from tests.support.failures import thorough

NAME = "opg-inference-oracle-contracts"
CONTRACTS = REPOSITORY / "contracts"
FORGE = next((REPOSITORY / "node_modules" / "@foundry-rs").glob("forge-*/bin/forge"))


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    packed = subprocess.run(
        [REPOSITORY / "scripts" / "contracts-package", folder],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(packed.stdout.strip())


@pytest.fixture(scope="module")
def project(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of others: the package installed, its example copied, the README's settings."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text("{}")
    (folder / "foundry.toml").write_text("[profile.default]\n" + readme("toml"))
    with registry("@openzeppelin/contracts", "solady") as url:
        settings = {"npm_config_registry": url, "npm_config_cache": str(folder / "npm")}
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", tarball],
            cwd=folder,
            env=os.environ | settings,
            check=True,
        )
    example = folder / "node_modules" / NAME / "examples" / "screening"
    for kind in ("src", "test"):
        shutil.copytree(example / kind, folder / kind)
    return folder


def readme(language: str) -> str:
    """The first block of a language in the package's README."""
    tokens = MarkdownIt().parse((CONTRACTS / "README.md").read_text())
    return next(one.content for one in tokens if one.type == "fence" and one.info == language)


def forge(project: Path, *arguments: str, solc: str = "solc") -> str:
    settings = {
        "FOUNDRY_SOLC": str(REPOSITORY / "scripts" / "solc"),
        "FOUNDRY_OFFLINE": "true",
        "FOUNDRY_DENY": "warnings",
        "SOLC_PACKAGE": solc,
    }
    done = subprocess.run(
        [FORGE, *arguments],
        cwd=project,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiler_of(project: Path, contract: str) -> str:
    artifact = json.loads((project / "out" / f"{contract}.sol" / f"{contract}.json").read_text())
    return str(artifact["metadata"]["compiler"]["version"])


def test_the_package_holds_what_it_says_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        files = {name.removeprefix("package/") for name in archive.getnames()}
        package = json.load(archive.extractfile("package/package.json"))  # type: ignore[arg-type]
        abi = json.load(archive.extractfile("package/abi/InferenceOracle.json"))  # type: ignore[arg-type]
    assert package["version"] == oracle.__version__
    assert {name.split("/")[0] for name in files} == {
        *("src", "testing", "examples", "abi"),
        *("package.json", "remappings.txt", "README.md", "LICENSE"),
    }
    assert {"requestWithPull", "settle"} <= {one.get("name") for one in abi}
    for kind in ("src", "testing", "examples"):
        ours = {str(one.relative_to(CONTRACTS)) for one in (CONTRACTS / kind).rglob("*.sol")}
        assert ours == {name for name in files if name.startswith(f"{kind}/")}


def test_the_readme_names_what_is_there(project: Path) -> None:
    imported = readme("solidity").split('"')[1]
    assert (project / "node_modules" / imported).is_file()
    hints = (CONTRACTS / "remappings.txt").read_text().split()
    assert [line.strip(' ",') for line in readme("toml").splitlines()[1:-1]] == hints


def test_the_example_passes_its_tests_with_the_oldest_compiler_that_it_takes(project: Path) -> None:
    assert "5 passed; 0 failed" in forge(project, "test", solc="solc-oldest")
    assert compiler_of(project, "Screening").startswith("0.8.27+")


@thorough
def test_it_compiles_by_the_intermediate_representation(project: Path) -> None:
    forge(project, "build", "--force", "--via-ir", "--optimize", "--skip", "test")
    pinned = json.loads((REPOSITORY / "package.json").read_text())["devDependencies"]["solc"]
    assert compiler_of(project, "Screening").startswith(f"{pinned}+")
