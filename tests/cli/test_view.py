"""`oracle view`, `oracle post` and `oracle operator gateways`, as a person types them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from oracle.bootstrap.worker import Worker
from oracle.core.view_receipt import SavedView
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from tests.cli.conftest import Oracle

REQUESTER = signer_of(Person.REQUESTER).address


@pytest.fixture
def image(tmp_path: Path) -> Path:
    images, _ = sample("digits-mlp").held_out_samples()
    path = tmp_path / "digit.npy"
    np.save(path, images[:1].astype(np.float32))
    return path


@pytest.fixture(scope="module")
def gateway(devnet: Oracle) -> Iterator[Oracle]:
    """A node that answers in views, with the devnet's own settings and one more."""
    before = devnet.config.read_text()
    devnet.config.write_text(before + 'views = ["digits-mlp"]\n')
    worker = asyncio.run(Worker.start(devnet.config, devnet.data_dir))
    yield devnet
    asyncio.run(worker.stop())
    devnet.config.write_text(before)


def test_a_view_is_asked_saved_and_posted(gateway: Oracle, image: Path, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    asked = ["view", "digits-mlp", "--input", str(image)]
    facts = gateway.json(*asked, "--save", str(file))
    _, labels = sample("digits-mlp").held_out_samples()
    assert facts["outputs"]["label"] == [int(labels[0])]
    assert (facts["caller"], facts["posted"]) == (REQUESTER, False)
    assert (facts["fee_opg"], facts["bond_opg"]) == ("1", "20")
    assert facts["next"] == f"oracle post {file}"
    saved = SavedView.from_json(file.read_text())
    assert "0x" + saved.request_id.hex() == facts["request"]
    said = gateway.run(*asked).out
    assert "nothing is locked behind it" in said
    assert re.search(r"^post until +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", said, re.MULTILINE)
    assert facts["paid_opg"] == "0"
    posted = gateway.json("post", str(file))
    assert posted["request"] == facts["request"]
    assert posted["state"] in ("answered", "settled")
    assert posted["contradicted"] is False
    assert facts["request"] in gateway.ok("show", facts["request"])
    assert gateway.json("post", str(file))["transactions"] == []


def test_whether_a_gateway_may_be_private_is_the_settings_to_say(
    gateway: Oracle, image: Path, tmp_path: Path
) -> None:
    """The chain's endpoint is on this machine, and may be a tunnel to anywhere."""
    careful = gateway.with_settings(
        tmp_path / "careful",
        deployment=gateway.data_dir / "deployment.json",
        rpc_url=json.loads((gateway.data_dir / "up.json").read_text())["rpc_url"],
        private_endpoints=False,
    )
    asked = ["view", "digits-mlp", "--input", str(image), "--from", REQUESTER]
    assert "not https" in careful.fails(13, *asked)


def test_a_view_needs_no_key_but_somebody_to_ask(
    gateway: Oracle, image: Path, tmp_path: Path
) -> None:
    keyless = gateway.with_settings(
        tmp_path / "keyless",
        deployment=gateway.data_dir / "deployment.json",
        rpc_url=json.loads((gateway.data_dir / "up.json").read_text())["rpc_url"],
        requester_keystore=tmp_path / "absent.json",
    )
    asked = ["view", "digits-mlp", "--input", str(image)]
    assert "--from" in keyless.fails(3, *asked)
    stranger = signer_of(Person.RELAYER).address
    assert keyless.json(*asked, "--from", stranger)["caller"] == stranger


def test_what_cannot_be_viewed_or_posted(gateway: Oracle, image: Path, tmp_path: Path) -> None:
    asked = ["view", "wine-forest", "--input", str(image)]
    gateway.fails(3, *asked)
    wine = sample("wine-forest").held_out_samples()[0][:1].astype(np.float32)
    np.save(image, wine)
    assert "not answered in views" in gateway.fails(13, *asked)
    assert "no folder" in gateway.fails(3, *asked, "--save", str(tmp_path / "absent" / "x"))
    for text in ("", "{}", '{"kind": "x"}'):
        (tmp_path / "bad.json").write_text(text)
        gateway.fails(3, "post", str(tmp_path / "bad.json"))
    gateway.fails(3, "post", str(tmp_path / "absent.json"))


def test_what_is_announced_as_a_gateway_and_is_none_is_told(gateway: Oracle) -> None:
    before = gateway.json("operator", "gateways")
    serving = gateway.status()["serving"]
    announced = gateway.json("operator", "gateways", serving)
    assert announced["gateways"] == [serving]
    (told,) = announced["warnings"]
    assert told["what"] == f"{serving}: no gateway for views answers there, but HTTP 405"
    assert "/views" in told["next"]
    text = gateway.ok("operator", "gateways", "http://127.0.0.1:9/views")
    assert "warning: http://127.0.0.1:9/views: nothing answers there" in text
    right = [f"{serving}/views", f"{serving}/views/{{sender}}/{{data}}.json"]
    assert gateway.json("operator", "gateways", *right)["warnings"] == []
    gateway.json("operator", "gateways", *before["gateways"])


def test_gateways_are_announced_shown_and_withdrawn(devnet: Oracle) -> None:
    before = devnet.json("operator", "gateways")["gateways"]
    assert len(before) == 1
    assert before[0].endswith("/views")
    urls = ["https://one.example/views", "https://two.example/{sender}/{data}"]
    assert devnet.json("operator", "gateways", *urls)["gateways"] == urls
    assert "two.example" in devnet.ok("operator", "gateways")
    assert devnet.json("operator", "status")["gateways"] == urls
    assert devnet.json("operator", "gateways", "--withdraw")["gateways"] == []
    assert "is not an http" in devnet.fails(3, "operator", "gateways", "ftp://x")
    devnet.fails(3, "operator", "gateways", *urls, "--withdraw")
    devnet.fails(5, "operator", "gateways", *(urls * 3))
    assert devnet.json("operator", "gateways", *before)["gateways"] == before
