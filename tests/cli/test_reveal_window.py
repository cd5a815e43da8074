"""How long an operator has to show what is demanded: suggested by depth, refused beyond reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oracle.bootstrap.reveal_window import reveal_advice
from oracle.chain.deployment import DeploymentParameters
from oracle.devnet.samples import sample as packaged
from oracle.errors import InputError
from tests.cli.conftest import Oracle
from tests.court_suite.sample_runs import sample

HOUR = 3_600


def test_the_suggestion_follows_from_the_depth_and_the_limit() -> None:
    production = DeploymentParameters()
    shallow = reveal_advice(sample("digits-mlp").program, production, HOUR)
    deep = reveal_advice(sample("digits-encoder").program, production, HOUR)
    assert (shallow.depth, deep.depth) == (20, 108)
    assert shallow.suggested == HOUR, "never above the challenge window"
    assert deep.suggested == deep.sensible == (HOUR + 72 * HOUR) // 216
    assert deep.warning(deep.suggested) is None
    warning = deep.warning(deep.sensible + 1)
    assert warning is not None
    assert f"longest sensible window is {deep.sensible} s" in warning
    deep.require(36 * HOUR)
    with pytest.raises(InputError, match=r"129602 s|129601 s") as refused:
        deep.require(36 * HOUR + 1)
    assert refused.value.hint == f"--reveal-window {deep.suggested} suits this program"


def test_a_devnet_of_seconds_leaves_an_operator_time_to_send() -> None:
    devnet = replace(DeploymentParameters.devnet(), default_window=30)
    advice = reveal_advice(sample("digits-encoder").program, devnet, 30)
    assert advice.sensible == 1
    assert advice.suggested == 5


def test_the_verb_refuses_warns_and_says_what_it_chose(devnet: Oracle) -> None:
    file = str(packaged("wine-forest").file)
    refused = devnet.fails(3, "model", "add", file, "--name", "slow", "--reveal-window", "31")
    assert "more than the 60 s that disputes may add" in refused
    assert "--reveal-window" in refused
    warned = devnet.run(
        "model",
        "add",
        file,
        "--name",
        "slowish",
        "--window",
        "30",
        "--reveal-window",
        "30",
        "--json",
    )
    assert warned.exit_code == 0, warned.err
    assert "longest sensible window is 9 s" in warned.err
    chosen = devnet.run("model", "add", file, "--name", "quick", "--window", "4", "--json")
    assert "warning" not in chosen.err, "the program's own choice is none to warn of"
    assert "reveal window: 4 s, chosen for a model 5 steps deep" in chosen.err
    added = json.loads(chosen.out)
    assert added["reveal_window_seconds"] == 4
    assert added["steps_deep"] == 5
    shown = devnet.json("model", "show", added["id"])
    assert shown["reveal_window_seconds"] == 4
