"""A receipt saved with the request, and verified: what a newcomer types after the first answer."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from oracle.devnet.samples import sample
from oracle.storage.heartbeat import HeartbeatFile
from tests.cli.conftest import PATIENCE_SECONDS, Oracle, blocks_every_second
from tests.cli.test_notice import asked as asked_unchecked


def test_a_request_saves_its_receipt_and_the_receipt_verifies(node: Oracle, tmp_path: Path) -> None:
    images, labels = sample("digits-mlp").held_out_samples()
    image, receipt = tmp_path / "digit.npy", tmp_path / "receipt.json"
    np.save(image, images[:1].astype(np.float32))
    # It must not be settled between two looks.
    asking = ("request", "digits-mlp", "--input", str(image), "--window", "600")
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
    beat = HeartbeatFile(node.data_dir / "node.json").read()
    assert beat is not None
    assert beat.serving is not None
    served = tmp_path / "served.json"
    fetch = ("receipt", asked["request"], "--save", str(served), "--endpoint", beat.serving)
    # The node has it once it has read of its own transaction; the chain had it before.
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (printed := node.run(*fetch)).exit_code == 7:
        assert time.monotonic() < give_up_at, printed.err
        time.sleep(0.1)
    assert printed.exit_code == 0, printed.err
    assert served.read_text() == receipt.read_text()
    assert node.json("verify", str(served))["verdict"] == "verified"
    assert "no receipt of request" in node.fails(7, "receipt", "0x" + "0f" * 32, *fetch[2:])
    shown = node.ok("show", str(receipt))
    assert shown == node.ok("show", asked["request"])
    assert "or a file of `oracle receipt`" in node.fails(3, "show", "nowhere.json")
    assert f"decision by probabilities: {decision['label']} {decision['status']}" in shown
    assert "error bar: " in shown


def test_an_empty_answer_is_shown_with_the_reason_that_its_input_gives(node: Oracle) -> None:
    pixels = np.zeros(64)
    pixels[1] = np.nan
    operator = json.loads((node.data_dir / "up.json").read_text())["operator"]
    request = asked_unchecked(node, pixels, operator=operator)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (shown := node.json("show", request))["state"] == "accepted":
        assert time.monotonic() < give_up_at, shown
        time.sleep(0.1)
    assert shown["unusable_input"] == "input 'pixels' is nan at [0, 1]"
    text = node.ok("show", request)
    assert "the model cannot take this input: input 'pixels' is nan at [0, 1]" in text
    assert "  no output for this input" in text
    assert "error bar" not in text
    assert shown["unusable_input"] in node.ok("verify", request)
