"""A receipt saved with the request, and verified: what a newcomer types after the first answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from oracle.devnet.samples import sample
from tests.cli.conftest import Oracle, blocks_every_second


def test_a_request_saves_its_receipt_and_the_receipt_verifies(node: Oracle, tmp_path: Path) -> None:
    images, labels = sample("digits-mlp").held_out_samples()
    image, receipt = tmp_path / "digit.npy", tmp_path / "receipt.json"
    np.save(image, images[:1].astype(np.float32))
    asking = ("request", "digits-mlp", "--input", str(image))
    assert "there is no folder" in node.fails(3, *asking, "--save", str(tmp_path / "no" / "r"))
    with blocks_every_second(node):
        asked = node.json(*asking, "--save", str(receipt))
    assert asked["receipt"] == str(receipt)
    (decision,) = asked["decisions"]["probabilities"]
    assert decision["label"] == int(labels[0])
    assert decision["status"] in ("clear", "ambiguous")
    document = json.loads(receipt.read_text())
    assert document["request"]["id"] == asked["request"]
    for target in (str(receipt), asked["request"]):
        facts = node.json("verify", target)
        assert facts["verdict"] == "verified", facts
    shown = node.ok("show", asked["request"])
    assert f"decision by probabilities: {decision['label']} {decision['status']}" in shown
    assert "error bar: " in shown
