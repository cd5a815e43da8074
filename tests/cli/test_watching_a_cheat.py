"""An operator that cheats, as its requester and as watchers see it from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.bootstrap.worker import Worker
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from oracle.verify.report import Verdict
from tests.cli.conftest import Oracle, blocks_every_second
from tests.support.failures import thorough

CHEAT = ("scripts.dishonest_operator",)
ROOT = Path(__file__).parents[2]
REQUESTER, WATCHER = (signer_of(one).address for one in (Person.REQUESTER, Person.WATCHER))
VOIDED, WRONG = 8, 11


@pytest.fixture(scope="module")
def cheat(devnet: Oracle) -> Iterator[Oracle]:
    """The devnet's operator with cheaper weights, on a chain with a block a second."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with blocks_every_second(devnet):
        start = Worker.start(devnet.config, devnet.data_dir, program=CHEAT, environment=environment)
        worker = asyncio.run(start)
        yield devnet
        asyncio.run(worker.stop())


def held_out(model: str, folder: Path) -> str:
    rows, _ = sample(model).held_out_samples()
    path = folder / "row.npy"
    np.save(path, rows[:1].astype(np.float32))
    return str(path)


@pytest.fixture
def image(tmp_path: Path) -> str:
    return held_out("digits-mlp", tmp_path)


def ask(
    oracle: Oracle, image: str, *more: str, window: int = 600, env: dict[str, str] | None = None
) -> tuple[int, str]:
    arguments = ["--input", image, "--bond", "1000", "--window", str(window), *more]
    printed = oracle.run("request", "digits-mlp", *arguments, env=env)
    return printed.exit_code, printed.out


@contextmanager
def watching(oracle: Oracle, *more: str) -> Iterator[Path]:
    """`oracle watch` in a process of its own; its log."""
    log = oracle.data_dir / "watch.log"
    worker = Worker.spawn(oracle.config, log, program=("oracle", "watch", *more))
    try:
        yield log
    finally:
        asyncio.run(worker.stop())


def told(oracle: Oracle, request: str) -> tuple[dict[str, Any], str]:
    (line,) = [one for one in oracle.ok("show", request).splitlines() if "convicted" in one]
    return oracle.json("show", request), line


def test_a_requester_whose_watcher_convicts_is_told_what_became_of_its_money(
    cheat: Oracle, image: str
) -> None:
    exit_code, out = ask(cheat, image, "--watch", "--wait", "--json")
    facts = json.loads(out)
    assert exit_code == VOIDED
    assert (facts["watched"], facts["voided"]) == ("convicted", True)
    assert "claimed" in facts["found"]
    conviction = facts["conviction"]
    assert conviction["by"] == conviction["watcher_share_of"] == REQUESTER
    names = ("refunded", "slashed", "requester_share", "watcher_share", "burned")
    assert [conviction[f"{name}_opg"] for name in names] == ["1", "1000", "200", "300", "500"]
    assert conviction["watcher_share_held_until"] is None, "it was announced"
    assert facts["next"] == "oracle account claim"
    assert float(facts["claimable_opg"]) >= 500
    shown, line = told(cheat, facts["request"])
    assert shown["conviction"] == conviction
    assert f"convicted by {REQUESTER}, by a proof: 1 OPG back" in line
    for part in ("200 (20%) to the requester", f"300 (30%) to {REQUESTER}", "500 (50%) burned"):
        assert part in line


def test_whoever_convicts_unannounced_is_named_and_not_the_court(cheat: Oracle, image: str) -> None:
    with watching(cheat, "--no-announce") as log:
        exit_code, out = ask(cheat, image, "--wait")
        assert exit_code == VOIDED
        request = next(one for one in out.split() if one.startswith("0x") and len(one) == 66)
        facts, line = told(cheat, request)
    conviction = facts["conviction"]
    assert conviction["by"] == conviction["watcher_share_of"] == WATCHER, log.read_text()
    held = conviction["watcher_share_held_until"]
    assert f"convicted by {WATCHER}, by a proof" in line
    assert f"300 (30%) to {WATCHER}, held until {held}" in line
    # The requester is told in words, too.
    words = [" ".join(one.split()) for one in out.splitlines()]
    for row in (f"by {WATCHER}", "refunded opg 1", "requester share opg 200"):
        assert row in words
    assert "next oracle account claim" in words


@thorough
def test_a_wrong_answer_that_became_final_ends_a_single_look_with_a_code_of_its_own(
    cheat: Oracle, image: str, tmp_path: Path
) -> None:
    poor = tmp_path / "poor.json"
    cheat.ok("keystore", "new", str(poor))
    exit_code, out = ask(cheat, image, "--wait-answered", "--json", window=25)
    assert exit_code == 0
    request = json.loads(out)["request"]
    look = ("watch", "--once", "--no-demand", "--keystore", str(poor), "--json")
    printed = cheat.run(*look)
    report = json.loads(printed.out)
    assert printed.exit_code == WRONG, report
    assert (report["states"]["missed"], report["missed_now"]) == (1, 1)
    (missed,) = [one for one in report["cases"] if one["state"] == "missed"]
    assert missed["request"] == request
    assert "of the chain's coin, and needs" in missed["reason"]
    assert "too little coin for a conviction" in printed.err
    again = cheat.run(*look)
    assert again.exit_code == 0, "it was said"
    assert json.loads(again.out)["missed_now"] == 0


@thorough
def test_a_requester_that_could_not_pay_for_a_proof_is_warned_of_the_answer(
    cheat: Oracle, image: str
) -> None:
    no_price_will_do = {"ORACLE_MAX_FEE_GWEI": "1e-9"}
    exit_code, out = ask(
        cheat, image, "--watch", "--wait", "--json", window=20, env=no_price_will_do
    )
    facts = json.loads(out)
    assert exit_code == WRONG
    assert (facts["watched"], facts["final"]) == ("missed", True)
    assert "that may be paid" in facts["found"]
    assert "voided" not in facts


def test_verify_names_values_in_decimal_first(cheat: Oracle, tmp_path: Path) -> None:
    """Of a tree, whose leaves are exact."""
    row = held_out("breast-cancer-gbt", tmp_path)
    asked = cheat.json("request", "breast-cancer-gbt", "--input", row, "--wait-answered")
    printed = cheat.run("verify", asked["request"])
    assert printed.exit_code == Verdict.WRONG_ANSWER.exit_code
    in_json = cheat.run("verify", asked["request"], "--json")
    for out in (printed.out, in_json.out):
        assert re.search(r"must be -?[0-9.e-]+ \(0x[0-9a-f]{8}\)", out), out
        assert "·2^" not in out
