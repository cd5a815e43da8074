"""What a verb that asks says when something does not fit, and while it waits."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from oracle.cli import output, silence
from oracle.devnet.samples import sample
from tests.cli.conftest import PATIENCE_SECONDS, Oracle, blocks_every_second, travel
from tests.support.failures import thorough

OPEN = ("--open", "--fee", "1")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A held-out digit, as a file."""
    images, _ = sample("digits-mlp").held_out_samples()
    path = tmp_path / "digit.npy"
    np.save(path, images[:1].astype(np.float32))
    return path


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What standard error shows somebody at a terminal."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, highlight=False, soft_wrap=True)
    monkeypatch.setattr(output, "_err", console)
    return shown


@contextmanager
def an_hour_later(devnet: Oracle, watched: io.StringIO, words: str) -> Iterator[None]:
    """The chain's clock is moved on once these words were shown."""

    def go_on() -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while words not in watched.getvalue() and time.monotonic() < give_up_at:
            time.sleep(0.05)
        travel(devnet, 3_600)

    clock = threading.Thread(target=go_on)
    clock.start()
    try:
        yield
    finally:
        clock.join()


# ---- what is asked


def test_fractions_of_an_array_are_rounded_where_it_is_asked_for(
    devnet: Oracle, tmp_path: Path
) -> None:
    path = tmp_path / "wide.npy"
    np.save(path, np.full((1, 64), 0.1))
    asking = ("digits-mlp", "--input", str(path))
    said = devnet.fails(3, "request", *asking, *OPEN)
    assert "tensor 'pixels': 0.1 at [0, 0] (float64) is not exactly representable" in said
    assert "--round rounds to the nearest; or save the array as float32" in said
    assert "--round rounds" in devnet.fails(3, "view", *asking, "--from", "0x" + "11" * 20)
    asked = devnet.json("request", *asking, *OPEN, "--round")
    assert devnet.json("cancel", asked["request"])["cancelled"] == asked["request"]


@pytest.mark.parametrize(
    ("document", "problem", "hint"),
    [
        ([[1e40] * 64], "1e+40 at [0, 0] is beyond float32", "the largest float32 is 3.4e+38"),
        ([[1] * 64, [1]], "rows of different lengths: [1] has 1", None),
        ([[None] * 64], "null at [0, 0]", None),
        ([["1"] * 64], "text at [0, 0]", None),
        ([[1] * 63], "has shape [1, 63], not [N, 64]", "axis 2 of 2 must be 64"),
        ([1] * 64, "has shape [64], not [N, 64]", "needs its leading batch axis: [1, 64]"),
        ({}, "missing 'pixels'\n", "give pixels float32[N, 64]"),
        ({"pixel": [1]}, "missing 'pixels'; unknown 'pixel'", "give pixels float32[N, 64]"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_what_would(
    devnet: Oracle, tmp_path: Path, document: object, problem: str, hint: str | None
) -> None:
    path = tmp_path / "input.json"
    path.write_text(json.dumps(document))
    said = devnet.fails(3, "request", "digits-mlp", "--input", str(path), *OPEN)
    assert problem in said
    assert (hint or "") in said
    assert "numpy" not in said


def test_terms_that_nobody_takes_are_refused_with_what_would_be_taken(
    devnet: Oracle, image: Path
) -> None:
    asking = ("request", "digits-mlp", "--input", str(image))
    assert "try: raise the fee to 1 OPG" in devnet.fails(7, *asking, "--fee", "0.1")
    assert "try: lower the fee to 500 OPG" in devnet.fails(7, *asking, "--fee", "90000")
    assert "try: give one, like --fee 0.5" in devnet.fails(3, *asking, "--open")
    hurried = devnet.fails(7, *asking, "--time-to-answer", "5")
    assert "5 s to the deadline: its offer needs 2 s, and 5 s go for mining" in hurried
    assert "try: give 7 s to answer (--time-to-answer 7)" in hurried
    devnet.json("model", "add", str(sample("digits-mlp").file), "--name", "unserved")
    said = devnet.fails(7, "request", "unserved", "--input", str(image), "--fee", "90000")
    assert "there are none" in said
    assert "raise the fee" not in said
    assert "oracle model list" in said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ('{"pixels": [', "is no JSON: Expecting value at line 1"),
    ],
)
def test_a_document_that_is_none_is_told_what_it_should_be(
    devnet: Oracle, tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "input.json"
    path.write_text(text)
    said = devnet.fails(3, "request", "digits-mlp", "--input", str(path), *OPEN)
    assert problem in said
    assert "write arrays by the names of the inputs" in said
    absent = devnet.fails(3, "request", "digits-mlp", "--input", "absent.json", *OPEN)
    assert f"looked for in {Path.cwd()}" in absent


@pytest.mark.parametrize("verb", ["request", "view"])
def test_a_model_and_an_input_in_each_others_place_are_told(
    devnet: Oracle, image: Path, verb: str
) -> None:
    said = devnet.fails(3, verb, str(image), "--input", "digits-mlp")
    assert f"try: the model comes first: digits-mlp --input {image}" in said


def test_a_request_below_every_price_says_why_nobody_takes_it(devnet: Oracle, image: Path) -> None:
    asking = ("request", "digits-mlp", "--input", str(image))
    low = devnet.json(*asking, "--open", "--fee", "0.1")["request"]
    why = f"no offer takes it (lowest price: 1 OPG); `oracle cancel {low}` gives the fee back"
    assert devnet.json("show", low)["not_taken"] == why
    assert why in devnet.ok("show", low)
    assert f"`oracle cancel {low}`) gives the fee back at once" in devnet.fails(5, "reclaim", low)
    devnet.ok("cancel", low)
    assert "not_taken" not in devnet.json("show", low)
    operator = json.loads((devnet.data_dir / "up.json").read_text())["operator"]
    named = devnet.json(*asking, "--operator", operator, "--fee", "0.1")["request"]
    assert f"no offer of {operator} takes it" in devnet.ok("show", named)
    backed = devnet.json(*asking, "--open", "--fee", "1", "--bond", "99999999")["request"]
    assert "of free stake for its bond" in devnet.ok("show", backed)
    fine = devnet.json(*asking, *OPEN)["request"]
    assert "not_taken" not in devnet.json("show", fine)
    travel(devnet, 610)
    late = devnet.json("show", fine)["not_taken"]
    assert late.startswith("nobody took it before ")
    assert late.endswith(f"`oracle reclaim {fine}` gives the fee back")


def test_a_request_beyond_every_offer_says_why_nobody_takes_it(devnet: Oracle, image: Path) -> None:
    asking = ("request", "digits-mlp", "--input", str(image), "--open", "--fee", "1")
    high = devnet.json(*asking, "--bond", "20000")["request"]
    why = devnet.json("show", high)["not_taken"]
    assert "the bond of 20000 OPG is above its largest of" in why
    assert f"`oracle cancel {high}` gives the fee back" in why
    devnet.ok("cancel", high)


# ---- waiting


@pytest.mark.parametrize("sent", [True, False])
def test_an_interrupt_says_whether_the_request_goes_on(
    devnet: Oracle, image: Path, tmp_path: Path, sent: bool
) -> None:
    words = ["request", "digits-mlp", "--input", str(image), "--wait", "--save", "answer.json"]
    silent: socket.socket | None = None
    if not sent:  # an endpoint that takes a connection and says nothing
        silent = socket.create_server(("127.0.0.1", 0))
        words = ["--rpc-url", f"http://127.0.0.1:{silent.getsockname()[1]}", *words]
    with ExitStack() as opened:
        running = opened.enter_context(
            subprocess.Popen(
                [sys.executable, "-u", "-m", "oracle", "--config", str(devnet.config), *words],
                cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        )  # fmt: skip
        opened.callback(running.kill)
        assert running.stdout is not None
        if silent is None:
            first = running.stdout.readline()
            assert first.startswith("waiting for the answer to 0x")
        else:
            opened.enter_context(silent).settimeout(PATIENCE_SECONDS)
            opened.enter_context(silent.accept()[0])
        running.send_signal(signal.SIGINT)
        rest, said = running.communicate(timeout=PATIENCE_SECONDS)
    assert (running.returncode, said) == (130, "")
    if silent is not None:
        assert rest == "interrupted: nothing was sent\n"
        return
    request_id = first.split()[-1]
    assert "interrupted: the request goes on" in rest
    assert f"oracle show {request_id}" in rest
    assert f"oracle receipt {request_id} --save FILE" in rest
    assert devnet.json("show", request_id)["state"] == "accepted"


def test_waiting_ends_when_the_deadline_has_passed_on_the_chain(
    devnet: Oracle, image: Path, watched: io.StringIO
) -> None:
    asking = ("request", "digits-mlp", "--input", str(image), "--time-to-answer", "600")
    with blocks_every_second(devnet), an_hour_later(devnet, watched, "s left to answer"):
        ended = devnet.run(*asking, "--wait")
    assert ended.exit_code == 8
    request_id = next(word for word in ended.out.split() if word.startswith("0x"))
    said = watched.getvalue()
    assert "s ago and nobody answered" in said
    assert f"try: `oracle reclaim {request_id}` gets the fee back" in said
    assert "s left to answer" in said
    assert devnet.json("reclaim", request_id)["state"] == "defaulted"


def test_an_operator_that_is_silent_and_not_there_is_spoken_of_once(
    devnet: Oracle, image: Path, watched: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "_SILENT_SECONDS", 1.0)
    devnet.json("operator", "endpoint", "http://127.0.0.1:1")
    asking = ("request", "digits-mlp", "--input", str(image), "--wait", "--json")
    with blocks_every_second(devnet), an_hour_later(devnet, watched, "does not answer ("):
        ended = devnet.run(*asking)
    devnet.json("operator", "endpoint", "--withdraw")
    assert ended.exit_code == 8
    said = watched.getvalue()
    why = "its endpoint http://127.0.0.1:1 does not answer (nobody listens there (connection refu"
    assert said.count(why) == 1
    assert "UTC: oracle reclaim 0x" in said


@thorough
def test_what_is_waited_for_is_shown_while_it_is_waited_for(
    node: Oracle, image: Path, watched: io.StringIO
) -> None:
    node.json("model", "add", str(sample("digits-mlp").file), "--name", "brief", "--window", "12")
    node.json("operator", "offer", "brief", "--price", "1", "--max-bond", "100", "--min-time", "2")
    _, labels = sample("digits-mlp").held_out_samples()
    with blocks_every_second(node):
        asked = node.json("request", "brief", "--input", str(image), "--wait")
    assert asked["final"] is True
    said = watched.getvalue()
    assert f"answered by {asked['answered_by'][:6]}…: {labels[0]}; final in " in said
