"""Every verb once, on a real devnet with a real node."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from oracle.inference.model_library import ModelLibrary
from tests.cli.conftest import Oracle, blocks_every_second, give, travel

UNKNOWN = "0x" + "0f" * 32


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A held-out digit, as a file."""
    images, _ = sample("digits-mlp").held_out_samples()
    path = tmp_path / "digit.npy"
    np.save(path, images[:1].astype(np.float32))
    return path


# ---- devnet


def test_devnet_up_says_all_there_is_to_know(devnet: Oracle) -> None:
    facts = json.loads((devnet.data_dir / "up.json").read_text())
    assert facts["rpc_url"].startswith("http://127.0.0.1:")
    assert facts["operator"] == signer_of(Person.OWNER).address
    assert Path(facts["settings_file"]) == devnet.config
    assert set(facts["models"]) >= {"breast-cancer-gbt", "digits-mlp", "digits-encoder"}


def test_devnet_status_counts_what_is_on_it(devnet: Oracle) -> None:
    facts = devnet.json("devnet", "status")
    assert facts["opg_in_staking"] == "100000"
    assert facts["block"] > 0
    assert "opg in staking" in devnet.ok("devnet", "status")


# ---- models


def test_models_are_listed_and_shown(devnet: Oracle) -> None:
    listed = devnet.json("model", "list")["models"]
    assert {one["name"] for one in listed} >= {"breast-cancer-gbt", "digits-mlp"}
    digits = next(one for one in listed if one["name"] == "digits-mlp")
    assert digits["offers"] >= 1
    prices = [one["price_opg"] for one in devnet.json("model", "show", "digits-mlp")["offers"]]
    assert digits["cheapest_offer_opg"] == prices[0]
    assert "digits-mlp" in devnet.ok("model", "list")
    facts = devnet.json("model", "show", "digits-mlp")
    assert facts["inputs"] == ["pixels float32[N, 64]"]
    assert facts["file_here"] is True
    assert 0 < float(facts["error_bar"]) < 1e-3
    assert (facts["error_bar_is"], facts["compared_on"]) == ("proved", "450 given rows")
    assert facts["largest_difference"] < 1e-5
    assert facts["offers"][0]["price_opg"] == "1"
    assert facts["offers"][0]["max_window_seconds"] == 600  # the deployment's; the offer's is 3,600
    assert facts == devnet.json("model", "show", facts["id"])
    assert facts["tier"] == "rounded"
    assert facts["backing"] == "one wrong element, shown while it is not final, voids it"
    assert "tier: " not in devnet.ok("model", "show", "digits-mlp")
    assert "is not a model id" in devnet.fails(3, "model", "show", "0x" + "zz" * 32)
    assert "no live model" in devnet.fails(7, "model", "show", "absent")


def test_a_model_is_added_once(devnet: Oracle) -> None:
    file = str(sample("digits-mlp").file)
    options = ["--name", "digits :heart:", "--window", "2", "--uri", "[bold]ipfs[/bold]"]
    added = devnet.json("model", "add", file, *options)
    assert added["name"] == "digits :heart:"
    assert devnet.json("model", "add", file, *options)["id"] == added["id"]
    assert "registered already as 'digits :heart:'" in devnet.ok("model", "add", file, *options)
    other = ["--name", "my digits", "--window", "2"]
    said = devnet.fails(3, "model", "add", file, *other)
    assert "registered already as 'digits :heart:', and this name stays" in said
    assert added["id"] in said
    said = devnet.fails(3, "model", "add", file, *options[:-1], "https://elsewhere.example/digits")
    assert "and its URI stays '[bold]ipfs[/bold]'" in said
    unnamed = devnet.run("model", "add", file, "--window", "2", "--json")
    assert (unnamed.exit_code, json.loads(unnamed.out)["name"]) == (0, "digits :heart:")
    assert "and this name stays: an id does not depend on the name" in unnamed.err
    shown = devnet.json("model", "show", added["id"])
    assert (shown["uri"], shown["challenge_window_seconds"]) == ("[bold]ipfs[/bold]", 2)
    assert (shown["error_bar"], shown["error_bar_is"]) == ("not certified", "none")


def test_adding_a_model_keeps_its_manifest_beside_the_program(devnet: Oracle) -> None:
    wine = sample("wine-forest")
    rows = ["--inputs", str(wine.held_out), "--rows", "3", "--tier", "native"]
    added = devnet.json("model", "add", str(wine.file), "--name", "wine in float32", *rows)
    assert (added["error_bar_is"], added["compared_on"]) == ("proved", "45 given rows")
    manifest = ModelLibrary(devnet.data_dir / "models").manifest(
        bytes.fromhex(added["program_root"][2:])
    )
    assert manifest is not None
    assert manifest.certificate is not None
    assert manifest.certificate["rows"] == 3
    shown = devnet.json("model", "show", added["id"])
    names = ("error_bar", "error_bar_is", "compared_on", "largest_difference")
    assert [shown[name] for name in names] == [added[name] for name in names]


def test_files_that_are_no_models_are_refused(devnet: Oracle, tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    empty = tmp_path / "empty.onnx"
    empty.touch()
    for path in (text, empty, tmp_path / "absent.onnx", tmp_path):
        devnet.fails(3, "model", "add", str(path))
    for node in ("HardSigmoid", "Softplus"):  # the runtime has no double one; no rule judges one
        double = tmp_path / f"{node}.onnx"
        value = [
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 4]) for name in "xy"
        ]
        graph = helper.make_graph([helper.make_node(node, ["x"], ["y"])], "g", value[:1], value[1:])
        opsets = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), double)
        rows = tmp_path / "rows.npz"
        np.savez(rows, x=np.zeros((2, 4)))
        for more in ([], ["--inputs", str(rows)]):
            said = devnet.fails(3, "model", "add", str(double), *more)
            assert "try: its inputs are double: export it with float32 inputs" in said
            assert "X[:1].astype(np.float32)" in said
    file = str(sample("digits-mlp").file)
    said = devnet.fails(5, "model", "add", file, "--name", "now", "--window", "0")
    assert "Window" in said


# ---- asking


def test_a_request_is_answered_and_its_whole_story_told(node: Oracle, image: Path) -> None:
    name = "two-seconds"
    file = str(sample("digits-mlp").file)
    node.json("model", "add", file, "--name", name, "--window", "2", "--min-bond", "20")
    node.json("operator", "offer", name, "--price", "1", "--max-bond", "100", "--min-time", "2")
    _, labels = sample("digits-mlp").held_out_samples()
    with blocks_every_second(node):
        printed = node.run("request", name, "--input", str(image), "--wait", "--json")
    asked = json.loads(printed.out)
    assert asked["request"] in printed.err, "the id is known before the wait ends"
    assert asked["final"] is True
    assert asked["outputs"]["label"] == [int(labels[0])]
    assert asked["backing"].startswith("rounded")

    told = node.json("show", asked["request"])
    assert told["state"] in ("answered", "settled")
    assert told["money"]["fee_opg"] == "1"
    assert told["model"] == name
    assert told["receipt"]["verified"] is True
    assert told["receipt"]["signer"] == signer_of(Person.SIGNER).address
    assert told["answer"]["outputs"]["label"] == asked["outputs"]["label"]
    texts = [event["text"] for event in told["events"]]
    assert texts[0].startswith("requested by ")
    assert texts[1].startswith("accepted by ")
    assert texts[2].startswith("answered by ")
    assert all(event["gas_used"] > 0 and event["time"] > 0 for event in told["events"])
    assert set(told) == {
        "request", "state", "model", "tier", "requester", "operator", "consumer", "notice",
        "deadline", "window_seconds", "money", "events", "answer", "receipt", "conviction",
        "demands",
    }  # fmt: skip
    assert (told["conviction"], told["demands"]) == (None, [])
    text = node.ok("show", asked["request"])
    for part in ("fee 1 OPG", "answered by", "receipt: signature of", "label: "):
        assert part in text


def test_inputs_come_as_arrays_by_position_by_name_and_as_json(
    node: Oracle, image: Path, tmp_path: Path
) -> None:
    pixels = np.load(image)
    by_name = tmp_path / "digit.npz"
    np.savez(by_name, pixels=pixels)
    as_object = tmp_path / "object.json"
    as_object.write_text(json.dumps({"pixels": pixels.tolist()}))
    as_list = tmp_path / "list.json"
    as_list.write_text(json.dumps(pixels.tolist()))
    labels = []
    for path in (image, by_name, as_object, as_list):
        asked = node.json("request", "digits-mlp", "--input", str(path), "--wait-answered")
        labels.append(asked["outputs"]["label"])
    assert labels == [labels[0]] * 4


def test_inputs_that_cannot_be_read_are_refused(
    devnet: Oracle, image: Path, tmp_path: Path
) -> None:
    whole = image.read_bytes()
    broken = {
        "empty.npy": b"",
        "cut.npy": whole[:100],
        "text.npy": b"hello",
        "empty.npz": b"",
        "cut.npz": b"PK\x03\x04 and no more",
        "array.npz": whole,
        "text.json": b"{",
        "binary.json": b"\xff\xfe",
        "number.json": b"5",
        "wrong.json": b'{"pixels": [[1, 2]]}',
        "name.json": b'{"other": [[1, 2]]}',
        "pixels.txt": b"1 2 3",
    }
    for name, content in broken.items():
        path = tmp_path / name
        path.write_bytes(content)
        expected = 0 if name == "array.npz" else 3
        printed = devnet.run("request", "digits-mlp", "--input", str(path), "--open", "--fee", "1")
        assert printed.exit_code == expected, (name, printed)
    absent = str(tmp_path / "absent.npy")
    assert "there is no file" in devnet.fails(3, "request", "digits-mlp", "--input", absent)


def test_a_request_that_nobody_took_is_cancelled(devnet: Oracle, image: Path) -> None:
    options = ["--input", str(image), "--open", "--fee", "0.000001", "--bond", "99999999"]
    asked = devnet.json("request", "digits-mlp", *options)
    assert asked["accepted"] is False
    cancelled = devnet.json("cancel", asked["request"])
    assert cancelled["cancelled"] == asked["request"]
    assert devnet.json("show", asked["request"])["state"] == "cancelled"
    assert "WrongState" in devnet.fails(5, "cancel", asked["request"])
    said = devnet.fails(3, "reclaim", asked["request"])
    assert "nothing to reclaim" in said
    me = signer_of(Person.REQUESTER).address
    assert f"came back to the account of {me} at the oracle" in said


def test_a_request_whose_deadline_passed_is_reclaimed(devnet: Oracle, image: Path) -> None:
    options = ["--input", str(image), "--open", "--fee", "2", "--bond", "99999999"]
    asked = devnet.json("request", "digits-mlp", *options, "--time-to-answer", "300")
    assert "DeadlineNotPassed" in devnet.fails(5, "reclaim", asked["request"])
    travel(devnet, 310)
    got = devnet.json("reclaim", asked["request"])
    assert (got["state"], got["refund_opg"]) == ("expired", "2")
    text = devnet.ok("show", asked["request"])
    assert "expired unaccepted; 2 OPG back" in text


def test_bad_arguments_of_a_request_are_refused(devnet: Oracle, image: Path) -> None:
    def refused(exit_code: int, *options: str, model: str = "digits-mlp") -> str:
        return devnet.fails(exit_code, "request", model, "--input", str(image), *options)

    assert "is not an OPG amount" in refused(3, "--fee", "one")
    assert "is not an address" in refused(3, "--operator", "0x12")
    assert "needs a fee" in refused(3, "--open")
    assert "no standing offer" in refused(7, "--fee", "0.1")
    assert "BondTooLow" in refused(5, "--fee", "1", "--bond", "1", "--open")
    assert "no live model" in refused(7, model="absent")
    for name in ("show", "cancel", "reclaim"):
        assert "is not a request id" in devnet.fails(3, name, "0x12")
        assert "has no request" in devnet.fails(7, name, UNKNOWN)


# ---- keys and chains


def test_a_wrong_password_and_a_missing_key_are_told_apart(devnet: Oracle, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.touch(mode=0o600)
    wrong.write_text("battery staple\n")
    devnet.secrets.add("battery staple")
    said = devnet.with_settings(tmp_path / "a", password_file=wrong).fails(4, "cancel", UNKNOWN)
    assert "the password is wrong" in said
    absent = tmp_path / "absent.json"
    other = devnet.with_settings(tmp_path / "b", requester_keystore=absent)
    assert "there is no keystore" in other.fails(4, "cancel", UNKNOWN)


def test_an_endpoint_that_is_dead_or_of_another_chain_is_told(
    devnet: Oracle, tmp_path: Path
) -> None:
    secret = "http://127.0.0.1:1/v3/very-secret-key"
    devnet.secrets.add("very-secret-key")
    assert "127.0.0.1:1" in devnet.fails(6, "--rpc-url", secret, "model", "list")
    deployment = json.loads((devnet.data_dir / "deployment.json").read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(deployment | {"chain_id": 1}))
    assert "chain 1" in devnet.fails(4, "--deployment", str(other), "model", "list")


def test_contracts_are_deployed_with_an_existing_token(devnet: Oracle, tmp_path: Path) -> None:
    token = json.loads((devnet.data_dir / "deployment.json").read_text())["token"]
    path = tmp_path / "second.json"
    verb = ["--deployment", str(path), "deploy", "--token", token]
    refused = devnet.run(*verb, typed="n\n")
    assert (refused.exit_code, path.exists()) == (1, False)
    made = devnet.json(*verb, "--yes")
    assert made["token"] == token
    assert json.loads(path.read_text())["oracle"] == made["oracle"]
    assert devnet.json("--deployment", str(path), "model", "list")["models"] == []
    before = path.read_text()
    assert "exists" in devnet.fails(4, *verb, "--yes")
    assert path.read_text() == before
    third = ["--deployment", str(tmp_path / "third.json"), "deploy", "--yes"]
    assert "exit delay" in devnet.fails(4, *third, "--token", token, "--exit-delay", "1")
    assert "is not an address" in devnet.fails(3, *third, "--token", "0x12")
    nobody = "0x" + "12" * 20
    assert devnet.run(*third, "--token", nobody).exit_code != 0


# ---- operators


def test_an_operators_life_from_registration_to_withdrawal(devnet: Oracle, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    owner = devnet.json("keystore", "new", str(keys / "owner.json"))["address"]
    mine = devnet.with_settings(
        tmp_path / "mine",
        operator=owner,
        owner_keystore=keys / "owner.json",
        signer_keystore=keys / "signer.json",
    )
    give(devnet, owner, 500 * 10**18)
    assert "is not an operator" in mine.fails(7, "operator", "status")
    made = mine.json("operator", "init")
    assert (made["operator"], made["payout"]) == (owner, owner)
    assert (keys / "signer.json").exists(), "the signer's key is made where it is missing"
    assert mine.run("operator", "init").exit_code == 5
    said = mine.fails(5, "operator", "bond", "501.25")
    assert f"{owner} holds 500 OPG, not 501.25" in said
    assert f"try: send 1.25 OPG to {owner}, or bond at most 500" in said
    assert mine.json("operator", "bond", "400.5")["free_opg"] == "400.5"
    offered = mine.json(
        "operator", "offer", "digits-mlp", "--price", "0.5", "--max-bond", "40", "--capacity", "3"
    )
    assert offered["price_opg"] == "0.5"
    window = devnet.json("model", "show", "digits-mlp")["challenge_window_seconds"]
    assert (offered["max_window_seconds"], offered["max_callback_gas"]) == (window, 200_000)
    bounds = ["--price", "0.5", "--max-bond", "40", "--max-window", "60"]
    bounds += ["--max-callback-gas", "9000", "--capacity", "3"]
    mine.json("operator", "offer", "digits-mlp", *bounds)
    assert mine.json("operator", "status")["offers"] == {
        "digits-mlp": "0.5 OPG, up to 3 at once, bond up to 40 OPG, at least 30 s to answer, "
        "window up to 60 s, callback up to 9000 gas"
    }
    too_long = ["--price", "1", "--max-bond", "40", "--max-window", str(2**24)]
    assert "max_window" in mine.fails(3, "operator", "offer", "digits-mlp", *too_long)
    withdrawn = ["--price", "0", "--max-bond", "0", "--capacity", "0"]
    mine.json("operator", "offer", "digits-mlp", *withdrawn)
    assert mine.json("operator", "status", owner)["offers"] == {}
    assert mine.json("operator", "endpoint") == {"operator": owner, "endpoint": None}
    assert "http" in mine.fails(3, "operator", "endpoint", "ftp://host.example")
    assert "either" in mine.fails(3, "operator", "endpoint", "https://host.example", "--withdraw")
    url = "https://host.example/oracle"
    assert mine.json("operator", "endpoint", url)["endpoint"] == url
    assert mine.json("operator", "endpoint")["endpoint"] == url
    assert mine.json("operator", "status")["endpoint"] == url
    assert mine.json("operator", "endpoint", "--withdraw")["endpoint"] is None
    assert mine.json("operator", "status")["endpoint"] is None
    assert "start one" in mine.fails(7, "operator", "withdraw")
    leaving = mine.json("operator", "unbond", "100")
    assert (leaving["free_opg"], leaving["exits"][0]["opg"]) == ("300.5", "100")
    assert "the next is over at" in mine.fails(7, "operator", "withdraw")
    too_much = mine.fails(3, "operator", "unbond", "301")
    assert "300.5 OPG of the stake are free, 0 are locked" in too_much
    assert "unbond all" in too_much
    assert mine.json("operator", "unbond", "all")["free_opg"] == "0"
    assert "0 OPG of the stake are free" in mine.fails(3, "operator", "unbond", "all")
    travel(devnet, 4_400)
    assert mine.json("operator", "withdraw") == {"withdrawn_opg": "400.5", "exits": 2}
    assert "stake opg" in mine.ok("operator", "status")


# ---- the node


def test_a_node_says_how_it_is_doing_and_is_stopped(node: Oracle) -> None:
    facts = node.status()
    assert facts["alive"] is True
    assert facts["trouble"] == {}
    assert facts["demands"] == []
    assert "trouble                          none" in node.ok("node", "status")
    assert facts["operator"] == signer_of(Person.OWNER).address
    assert facts["reverted"] == 0
    assert sum(facts["jobs"].values()) > 0
    apart = node.json("--rpc-url", "http://127.0.0.1:1", "node", "status")
    assert apart["alive"] is True
    assert "no answer" in apart["chain"]
    assert node.json("node", "stop") == {"process": facts["process"], "ended": True}
    assert "no node runs here" in node.fails(7, "node", "stop")


def test_a_node_is_not_started_with_anothers_key_or_a_damaged_database(
    devnet: Oracle, tmp_path: Path
) -> None:
    keys = devnet.data_dir / "keys"
    mistaken = devnet.with_settings(tmp_path / "a", signer_keystore=keys / "owner.json")
    printed = mistaken.run("node", "run")  # its log comes before the error
    assert printed.exit_code == 4
    assert "\nerror: the signer of" in printed.err
    assert "the keystore holds" in printed.err
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_text("this is not a database" * 100)
    assert devnet.with_settings(tmp_path / "b", database=damaged).run("node", "run").exit_code == 10
