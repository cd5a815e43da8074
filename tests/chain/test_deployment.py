"""Deploying, and the file that says where."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oracle.chain.contracts import Contracts
from oracle.chain.deployer import deploy, deploy_example, deploy_token
from oracle.chain.deployment import Deployment, DeploymentParameters
from oracle.core.types import ZERO_ADDRESS, address
from oracle.devnet.accounts import Person
from oracle.errors import ConfigurationError, WrongChain
from tests.support.anvil import Chain
from tests.support.scene import OPG, Scene

ANYWHERE = address("0x" + "c1" * 20)


def test_round_trip(deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "some" / "deployment.json"
    with_more = replace(deployment, examples={"ChequeClearing": ANYWHERE})
    for saved in (deployment, with_more):
        saved.save(path)
        assert Deployment.load(path) == saved
    assert [entry.name for entry in path.parent.iterdir()] == ["deployment.json"]
    assert deployment.domain.verifying_contract == deployment.oracle


def test_a_deployment_may_do_without_answers_in_views(deployment: Deployment) -> None:
    assert deployment.views is not None
    assert deployment.credit is not None
    document = json.loads(deployment.to_json())
    del document["credit"]
    assert Deployment.from_json(json.dumps(document)) == replace(deployment, credit=None)
    del document["views"]
    without = replace(deployment, views=None, credit=None)
    assert Deployment.from_json(json.dumps(document)) == without


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"chain_id": "1"},
        {"chain_id": True},
        {"deployed_block": -1},
        {"genesis_hash": "0x12"},
        {"oracle": "0x12"},
        {"oracle": None},
        {"court": 5},
        {"court": None},
        {"verifier": None},
        {"examples": []},
        {"examples": {"x": "y"}},
        {"parameters": {}},
        {"unknown": 1},
        {"views": 5},
        {"views": "0x12"},
        {"credit": 5},
        {"credit": "0x12"},
    ],
)
def test_strict(deployment: Deployment, tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps({**json.loads(deployment.to_json()), **change}))
    with pytest.raises(ConfigurationError, match=r"deployment\.json"):
        Deployment.load(path)


def test_missing_or_no_json(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    assert Deployment.load_if_there(path) is None
    with pytest.raises(ConfigurationError, match="no deployment file") as missing:
        Deployment.load(path)
    assert missing.value.hint is not None
    assert "oracle devnet up" in missing.value.hint
    assert "ask whoever gave you the deployment file" in missing.value.hint
    assert "oracle deploy" not in missing.value.hint, "a second set of contracts is no remedy"
    for text in ("", "[]", "{", '{"format": 2}'):
        path.write_text(text)
        with pytest.raises(ConfigurationError):
            Deployment.load(path)


async def test_verified_against_the_chain(anvil: Chain, deployment: Deployment) -> None:
    await deployment.verify(anvil.rpc)
    for wrong, message in (
        (replace(deployment, chain_id=deployment.chain_id + 1), "is on chain"),
        (replace(deployment, genesis_hash=bytes(32)), "began anew"),
        (replace(deployment, staking=ANYWHERE), "no contract at"),
    ):
        with pytest.raises(WrongChain, match=message):
            await wrong.verify(anvil.rpc)


async def test_existing_token(anvil: Chain) -> None:
    sender = anvil.sender(Person.DEPLOYER)
    token = await deploy_token(sender, 5 * OPG)
    deployed = await deploy(sender, DeploymentParameters(), token=token)
    assert deployed.token == token
    contracts = Contracts.at(anvil.rpc, deployed)
    assert (await contracts.oracle.wiring()).court == deployed.court
    assert await contracts.court.verifier() == deployed.verifier
    assert await contracts.token.total_supply() == 5 * OPG
    limits = await contracts.oracle.limits()
    parameters = deployed.parameters
    assert limits.max_ttl == parameters.max_ttl
    assert limits.max_window == parameters.max_challenge_window
    assert limits.dispute_allowance == parameters.dispute_allowance
    assert await contracts.staking.exit_delay() == parameters.exit_delay
    assert await contracts.staking.signer_delay() == parameters.signer_delay
    court = await contracts.court.limits()
    assert court.base_deposit == parameters.reveal_deposit
    assert court.announcement_age == parameters.announcement_age
    assert court.priority_period == parameters.priority_period
    await deployed.verify(anvil.rpc)
    with pytest.raises(ConfigurationError, match="no token"):
        await deploy(sender, DeploymentParameters(), token=ANYWHERE)


def test_parameters_that_leave_a_gap_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="exit delay"):
        DeploymentParameters(exit_delay=11 * 24 * 3600 - 1)
    with pytest.raises(ConfigurationError, match="default window"):
        DeploymentParameters(default_window=10)
    with pytest.raises(ConfigurationError, match="not a number"):
        DeploymentParameters(max_ttl=-1)
    with pytest.raises(ConfigurationError, match="cannot be 0"):
        DeploymentParameters(announcement_age=0)


async def test_an_example(scene: Scene) -> None:
    clearing = await deploy_example(
        scene.owner,
        "ChequeClearing",
        scene.contracts.oracle.address,
        scene.model_id,
        scene.owner.address,
        OPG,
        100 * OPG,
        9 * 10**17,
    )
    assert await clearing.view("MODEL_ID") == scene.model_id
    assert await clearing.view("balances", ZERO_ADDRESS) == 0
