"""Money and keys by the command line: what is prepaid, earned, refunded and slashed, and its end.

Also what several commands at once do to one key, and amounts that no contract can hold.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from oracle.chain.keystore import CHEAP_ITERATIONS, create_keystore, read_password
from oracle.core.job import JobState
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.devnet.samples import sample
from tests.cli.conftest import PATIENCE_SECONDS, Oracle, blocks_every_second, give, travel
from tests.support.failures import thorough

OPG = 10**18
TOO_MUCH = "79228162515"
"""OPG, a little more than 2**96 - 1 base units."""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A held-out digit, as a file."""
    images, _ = sample("digits-mlp").held_out_samples()
    path = tmp_path / "digit.npy"
    np.save(path, images[:1].astype(np.float32))
    return path


def requester(devnet: Oracle, folder: Path, opg: int) -> tuple[Oracle, str]:
    """The command line of a requester of the test's own, with so many base units of OPG."""
    keystore = folder / "keys" / "requester.json"
    made = devnet.json("keystore", "new", str(keystore))["address"]
    give(devnet, made, opg)
    return devnet.with_settings(folder / "mine", requester_keystore=keystore), made


def test_what_is_prepaid_is_shown_and_withdrawn(devnet: Oracle, tmp_path: Path) -> None:
    mine, me = requester(devnet, tmp_path, 10 * OPG)
    shown = mine.json("account", "show")
    assert (shown["address"], shown["account_opg"], shown["wallet_opg"]) == (me, "0", "10")
    assert "is empty" in mine.fails(7, "account", "withdraw")
    assert "no slashed stake is owed" in mine.fails(7, "account", "claim")
    paid = mine.json("account", "deposit", "4.5")
    assert (paid["deposited_opg"], paid["account_opg"], paid["wallet_opg"]) == ("4.5", "4.5", "5.5")
    said = mine.fails(5, "account", "withdraw", "5")
    assert "BalanceTooLow(balance=4.5 OPG, needed=5 OPG)" in said
    said = mine.fails(5, "account", "deposit", "6")
    assert "ERC20InsufficientBalance" in said
    assert re.search(r"try: send [0-9.]+ OPG to 0x[0-9a-fA-F]{40}$", said.strip()), said
    assert "0 OPG cannot be moved" in mine.fails(3, "account", "withdraw", "0")
    other = "0x" + "77" * 20
    some = mine.json("account", "withdraw", "1.5", "--to", other)
    assert (some["withdrawn_opg"], some["account_opg"], some["wallet_opg"]) == ("1.5", "3", "5.5")
    rest = mine.json("account", "withdraw")
    assert (rest["withdrawn_opg"], rest["account_opg"], rest["wallet_opg"]) == ("3", "0", "8.5")
    assert rest["to"] == me
    text = mine.ok("account", "show")
    assert "wallet opg" in text


def test_a_requester_of_a_silent_operator_claims_its_share(
    devnet: Oracle, image: Path, tmp_path: Path
) -> None:
    mine, me = requester(devnet, tmp_path, 2 * OPG)
    options = ["--input", str(image), "--time-to-answer", "300"]
    asked = mine.json("request", "digits-mlp", *options)
    assert asked["accepted"] is True
    said = mine.fails(5, "reclaim", asked["request"])
    assert "s more, until the deadline is over" in said
    travel(devnet, 310)
    back = mine.json("reclaim", asked["request"])
    shown = mine.json("account", "show")
    assert (back["refund_opg"], back["next"]) == ("1", "oracle account claim")
    assert back["claimable_opg"] == shown["claimable_opg"]
    assert me in back["refund_to"]
    assert "`oracle account claim`" in mine.fails(3, "reclaim", asked["request"])
    assert shown["account_opg"] == "1"
    claimed = mine.json("account", "claim")
    assert claimed["claimed_opg"] == shown["claimable_opg"] != "0"
    assert claimed["claimable_opg"] == "0"
    assert mine.json("account", "withdraw")["withdrawn_opg"] == "1"
    give(devnet, signer_of(Person.OWNER).address, OPG)
    devnet.json("operator", "bond", claimed["claimed_opg"])  # other tests count the stake


@pytest.mark.parametrize("prepaid", [pytest.param(0, marks=thorough), 2])
@thorough
def test_four_requests_of_one_key_at_once_all_succeed(
    devnet: Oracle, image: Path, tmp_path: Path, prepaid: int
) -> None:
    mine, me = requester(devnet, tmp_path, 4 * OPG)
    if prepaid:
        mine.json("account", "deposit", str(prepaid))
    command = [sys.executable, "-m", "oracle", "--config", str(mine.config)]
    command += ["request", "digits-mlp", "--input", str(image), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with blocks_every_second(devnet):
        running = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for _ in range(4)
        ]
        printed = [one.communicate(timeout=300) for one in running]
    assert [one.returncode for one in running] == [0] * 4, printed
    asked = [json.loads(out) for out, _ in printed]
    assert len({one["request"] for one in asked}) == 4
    assert all(one["accepted"] for one in asked)
    left = mine.json("account", "show")
    assert (left["address"], left["account_opg"], left["wallet_opg"]) == (me, "0", "0")


def test_what_no_contract_can_hold_is_refused_in_words(devnet: Oracle, image: Path) -> None:
    ask = ["request", "digits-mlp", "--input", str(image)]
    for option in ("--fee", "--bond", "--value-at-risk"):
        for amount in (TOO_MUCH, "9" * 5_000):
            said = devnet.fails(3, *ask, option, amount)
            assert "more than a contract can hold" in said
            assert "amounts are OPG, not base units" in said
    said = devnet.fails(3, *ask, "--window", "-5")
    assert "a challenge window of -5 s" in said
    assert "--window" in said
    said = devnet.fails(3, *ask, "--time-to-answer", "-30")
    assert "the deadline 30 s into the past" in said
    assert "--time-to-answer" in said
    said = devnet.fails(3, *ask, "--window", str(2**32), "--open", "--fee", "1")
    assert said.startswith("error: window: 4294967296 does not fit: at least 0, at most 4294967295")
    said = devnet.fails(5, *ask, "--open", "--fee", "1", "--time-to-answer", str(10**9))
    assert "s too late" in said
    assert "UTC" in said
    for verb in ("bond", "unbond"):
        assert "more than a contract" in devnet.fails(3, "operator", verb, TOO_MUCH)
    assert "more than a contract" in devnet.fails(3, "account", "deposit", TOO_MUCH)
    price = ["--price", "1300000", "--max-bond", "40"]
    said = devnet.fails(3, "operator", "offer", "digits-mlp", *price)
    assert "an offer's price of 1300000 OPG does not fit" in said
    file = str(sample("digits-mlp").file)
    for window in ("-1", str(2**33)):
        said = devnet.fails(3, "model", "add", file, "--name", "odd", "--window", window)
        assert "does not fit" in said


def test_the_operators_earnings_are_withdrawn_with_its_payouts_key(
    node: Oracle, image: Path, tmp_path: Path
) -> None:
    keystore = tmp_path / "payout.json"
    payout = node.json("operator", "status")["payout"]
    (secret,) = [secret_of(one) for one in Person if signer_of(one).address == payout]
    password = read_password(node.data_dir / "keys" / "password")
    create_keystore(keystore, password, secret=secret, iterations=CHEAP_ITERATIONS)
    give(node, payout, 0)
    asked = node.json("request", "digits-mlp", "--input", str(image), "--wait-answered")
    travel(node, node.json("model", "show", "digits-mlp")["challenge_window_seconds"] + 1)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    # What other tests asked before there was a node is answered and settled, too.
    while node.json("job", "show", asked["request"])["state"] != "settled" or _under_way(node):
        assert time.monotonic() < give_up_at, node.json("job", "list")
        travel(node, 1)
    earned = node.json("operator", "status")["earned_not_withdrawn_opg"]
    assert float(earned) >= 1
    taken = node.json("account", "withdraw", "--keystore", str(keystore))
    assert taken["withdrawn_opg"] == earned
    assert node.json("operator", "status")["earned_not_withdrawn_opg"] == "0"


def _under_way(node: Oracle) -> bool:
    """Whether the node has jobs that may still earn something."""
    return not all(JobState(one).terminal for one in node.json("job", "list")["all"])
