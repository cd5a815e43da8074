"""What an operator does between two requests: gas, models, keys, a node that runs already."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from oracle.settings_file import load
from tests.cli.conftest import Oracle, command, give, travel


def operator_of_its_own(devnet: Oracle, folder: Path) -> tuple[Oracle, str]:
    """A registered operator with a bare data directory: no stake, no models, no gas to sign."""
    keys = folder / "keys"
    owner = devnet.json("keystore", "new", str(keys / "owner.json"))["address"]
    give(devnet, owner, 0)
    mine = devnet.with_settings(
        folder / "mine",
        data_dir=folder / "mine",
        deployment=devnet.data_dir / "deployment.json",
        rpc_url=json.loads((devnet.data_dir / "up.json").read_text())["rpc_url"],
        operator=owner,
        owner_keystore=keys / "owner.json",
        signer_keystore=keys / "signer.json",
    )
    made = mine.json("operator", "init")
    assert "send gas to the signer" in made["next"]
    return mine, made["signer"]


def test_who_has_gas_is_not_told_to_send_some(devnet: Oracle, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    made = [
        devnet.json("keystore", "new", str(keys / f"{name}.json"))["address"]
        for name in ("owner", "signer")
    ]
    for one in made:
        give(devnet, one, 0)
    mine = devnet.with_settings(
        tmp_path / "mine",
        operator=made[0],
        owner_keystore=keys / "owner.json",
        signer_keystore=keys / "signer.json",
    )
    assert mine.json("operator", "init")["next"] == "`oracle operator bond`"


def test_a_newcomer_is_told_of_gas_and_of_a_model_that_is_not_here(
    devnet: Oracle, tmp_path: Path
) -> None:
    mine, signer = operator_of_its_own(devnet, tmp_path)
    checked = mine.json("selfcheck")
    (gas,) = checked["missing"]
    assert gas["kind"] == "gas"
    assert signer in gas["what"]
    assert gas["next"].startswith("send ")
    assert f"missing: {signer} pays for gas" in mine.ok("selfcheck")
    model = devnet.json("model", "show", "digits-mlp")
    offer = ("operator", "offer", "digits-mlp", "--price", "9", "--max-bond", "400")
    printed = mine.run(*offer, "--json")
    assert json.loads(printed.out)["price_opg"] == "9"
    assert "warning: 0 OPG of the stake are free" in printed.err
    assert "oracle operator bond" in printed.err
    warned = json.loads(printed.out)["warnings"]
    assert [(one["kind"], one["next"].split(" AMOUNT")[0]) for one in warned] == [
        ("warning", f"oracle model fetch {model['id']}"),
        ("warning", "oracle operator bond"),
    ]
    narrow = mine.json(*offer[:-1], "1", "--max-window", "1")["warnings"]
    assert any("--max-bond 180 or more" in one["next"] for one in narrow)
    assert any(
        f"--max-window {model['challenge_window_seconds']} or more" in one["next"] for one in narrow
    )
    mine.json(*offer)
    assert mine.json("operator", "status")["signer_balance_wei"] == 0
    kinds = {one["kind"]: one for one in mine.json("selfcheck")["missing"]}
    assert set(kinds) == {"gas", "model"}
    assert kinds["model"]["next"] == f"oracle model fetch {model['id']}"
    command(devnet, "anvil_setBalance", signer, hex(10**18))
    assert [one["kind"] for one in mine.json("selfcheck")["missing"]] == ["model"]
    withdrawn = ["--price", "0", "--max-bond", "0", "--capacity", "0"]
    mine.json("operator", "offer", "digits-mlp", *withdrawn)
    assert mine.json("selfcheck")["missing"] == []


def test_a_registered_model_is_fetched_and_checked(node: Oracle, tmp_path: Path) -> None:
    mine = node.with_settings(
        tmp_path / "mine",
        data_dir=tmp_path / "mine",
        deployment=node.data_dir / "deployment.json",
        rpc_url=json.loads((node.data_dir / "up.json").read_text())["rpc_url"],
    )
    model = node.json("model", "show", "digits-mlp")
    assert mine.json("model", "show", "digits-mlp")["file_here"] is False
    assert "http" in mine.fails(3, "model", "fetch", "digits-mlp", "--from", "ftp://host")
    nowhere = mine.fails(7, "model", "fetch", "digits-mlp", "--from", "http://127.0.0.1:1")
    assert "nobody serves the file of digits-mlp" in nowhere
    serving = node.status()["serving"]
    got = mine.json("model", "fetch", model["id"], "--from", serving)
    assert (got["name"], got["root"]) == ("digits-mlp", model["program_root"])
    assert serving in got["from"]
    assert mine.json("model", "show", "digits-mlp")["file_here"] is True
    assert mine.json("model", "fetch", "digits-mlp")["from"] == "it was here already"
    stored = mine.data_dir / "models" / "programs" / f"{model['program_root'][2:]}.onnx"
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:1_000])
    shown = mine.json("model", "show", "digits-mlp")
    assert shown["file_here"] is False
    assert f"the file {stored} is damaged" in shown["file_damaged"]
    fetch = f"oracle model fetch {model['id']}"
    assert shown["file_damaged"].endswith(fetch)
    said = mine.fails(3, "selfcheck")
    assert said.startswith(f"error: digits-mlp: the file {stored} is damaged")
    assert f"try: {fetch}" in said
    assert serving in mine.json("model", "fetch", "digits-mlp", "--from", serving)["from"]
    assert "file_damaged" not in mine.json("model", "show", "digits-mlp")
    (checked,) = mine.json("selfcheck")["selfcheck"]
    program = f"program {model['program_root'][:14]}"
    assert checked["what"] == f"trial of digits-mlp ({program})"
    assert (checked["tier"], checked["verdict"]) == ("rounded", "honest")
    file, operator = str(sample("digits-mlp").file), load(mine.config).operator
    added = node.json("model", "add", file, "--name", "mine too", "--window", "6")
    assert node.json("model", "show", added["id"])["registrar"] == operator
    (checked,) = mine.json("selfcheck")["selfcheck"]
    assert checked["what"] == f"trial of digits-mlp, mine too ({program})", "its owner's name"
    nowhere = mine.with_settings(tmp_path / "mine", rpc_url="http://127.0.0.1:1")
    (checked,) = nowhere.json("selfcheck")["selfcheck"]
    assert checked["what"] == f"trial of {program}", "without a chain, there is no name"


def test_a_second_node_is_refused_and_the_first_shows_its_signers_gas(node: Oracle) -> None:
    facts = node.status()
    said = node.fails(10, "node", "run")
    assert f"a node runs on the data directory {node.data_dir}" in said
    assert f"process {facts['process']}" in said
    assert facts["signer"] == signer_of(Person.SIGNER).address
    assert facts["signer_balance_wei"] > 10**18
    answers, reveals = (facts[f"signer_balance_pays_for_{what}"] for what in ("answers", "reveals"))
    assert answers > 20 * reveals > 1_000
    assert facts["missing"] == []


def test_the_signer_is_rotated_after_a_delay(devnet: Oracle, tmp_path: Path) -> None:
    mine, signer = operator_of_its_own(devnet, tmp_path)
    new = tmp_path / "keys" / "second.json"
    old = tmp_path / "keys" / "signer.json"
    assert "is the signer already" in mine.fails(3, "operator", "rotate-signer", str(old))
    started = mine.json("operator", "rotate-signer", str(new))
    assert new.exists()
    assert started["signer_until_then"] == signer
    assert started["new_signer"] in started["next"]
    assert [name for name in started if name.startswith("valid_from")] == ["valid_from"]
    assert mine.json("operator", "status")["signer"] == signer
    travel(devnet, started["in_seconds"] + 1)
    assert mine.json("operator", "status")["signer"] == started["new_signer"]


def test_another_is_paid_from_the_next_settlement_on(devnet: Oracle, tmp_path: Path) -> None:
    mine, _ = operator_of_its_own(devnet, tmp_path)
    before, other = mine.json("operator", "status")["payout"], signer_of(Person.PAYOUT).address
    assert "is paid already" in mine.fails(3, "operator", "payout", before)
    assert "ZeroAddress" in mine.fails(5, "operator", "payout", "0x" + "00" * 20)
    assert mine.json("operator", "status")["payout"] == before
    changed = mine.json("operator", "payout", other)
    assert (changed["payout_until_then"], changed["payout"]) == (before, other)
    assert changed["left_there_opg"] == "0"
    assert mine.json("operator", "status")["payout"] == other


def test_a_model_is_deprecated_by_its_registrar_alone_and_once(
    devnet: Oracle, tmp_path: Path
) -> None:
    file = str(sample("digits-mlp").file)
    added = devnet.json("model", "add", file, "--name", "short-lived", "--window", "3")
    stranger, _ = operator_of_its_own(devnet, tmp_path)
    said = stranger.fails(3, "model", "deprecate", "short-lived", "--yes")
    assert "only its registrar" in said
    refused = devnet.run("model", "deprecate", "short-lived", typed="n\n")
    assert refused.exit_code == 1
    assert devnet.json("model", "show", "short-lived")["live"] is True
    ended = devnet.json("model", "deprecate", "short-lived", "--yes")
    assert ended["deprecated"] == added["id"]
    assert "no live model" in devnet.fails(7, "model", "deprecate", "short-lived", "--yes")
    assert "next" not in ended, "nobody offers it"
    said = devnet.fails(3, "model", "deprecate", added["id"], "--yes")
    assert f"short-lived: this model {added['id']} was deprecated on " in said


def test_of_a_deprecated_model_every_verb_says_that_it_is_over(
    devnet: Oracle, tmp_path: Path
) -> None:
    add = ("model", "add", str(sample("digits-mlp").file), "--name", "over", "--window", "4")
    key = devnet.json(*add)["id"]
    devnet.json("operator", "offer", key, "--price", "1", "--max-bond", "100")
    ended = devnet.json("model", "deprecate", "over", "--yes")
    assert f"oracle operator offer {key} --capacity 0" in ended["next"]
    pixels = tmp_path / "digit.npy"
    np.save(pixels, np.zeros((1, 64), np.float32))
    offer = ("operator", "offer", key, "--price", "1", "--max-bond", "100")
    for words in (("request", key, "--input", str(pixels)), offer, add):
        said = devnet.fails(3, *words)
        assert f"this model {key} was deprecated on " in said
        assert "UTC, for good" in said
        assert "change the window or retrain, for a new id" in said
    said = devnet.fails(7, "request", "over", "--input", str(pixels))
    assert f"no live model is named 'over': {key} was deprecated on " in said
    assert devnet.json(*offer, "--capacity", "0")["capacity"] == 0
    assert devnet.json("model", "show", key)["offers"] == []


def test_offers_for_two_models_of_one_name_are_told_apart(devnet: Oracle, tmp_path: Path) -> None:
    mine, _ = operator_of_its_own(devnet, tmp_path)
    file = str(sample("digits-mlp").file)
    ids = []
    for window in ("41", "42"):
        added = devnet.json("model", "add", file, "--name", "twin", "--window", window)
        ids.append(added["id"])
        mine.json("operator", "offer", added["id"], "--price", window, "--max-bond", "1")
    said = mine.fails(3, "operator", "offer", "twin", "--price", "1", "--max-bond", "1")
    assert "2 live models are named 'twin'" in said
    assert all(one in said for one in ids)
    offers = mine.json("operator", "status")["offers"]
    assert set(offers) == {f"twin {one}" for one in ids}
    for one in ids:
        devnet.json("model", "deprecate", one, "--yes")
