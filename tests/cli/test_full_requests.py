"""What the verbs say of full requests that an offer takes and this machine does not answer."""

from __future__ import annotations

import json
from pathlib import Path

from oracle.devnet.samples import sample
from tests.cli.conftest import Oracle

OFFER = ("operator", "offer", "digits-encoder", "--price", "1", "--max-bond", "100")


def test_an_offer_names_what_a_full_request_takes_too_long_for(
    devnet: Oracle, tmp_path: Path
) -> None:
    usual = devnet.json(*OFFER, "--capacity", "1")
    assert usual["min_time_seconds"] == 30, "on a chain of this machine"
    assert [one for one in usual["warnings"] if one["kind"] == "warning"] == []
    tight = devnet.with_settings(tmp_path / "tight", inference_timeout_seconds=0.01)
    printed = tight.run(*OFFER, "--capacity", "20000", "--json")
    assert printed.exit_code == 0, "it is set, whatever is said of it"
    shown = json.loads(printed.out)
    assert shown["capacity"] == 20_000
    given_up, places = [one for one in shown["warnings"] if "a full request" in one["what"]]
    assert given_up["kind"] == places["kind"] == "warning"
    assert "a run may take 0.01 s" in given_up["what"]
    assert given_up["next"].startswith("set inference_timeout_seconds to ")
    assert "20,000 at once" in places["what"]
    assert "--capacity " in places["next"]
    assert f"warning: {given_up['what']}" in printed.err
    assert "inference process" not in printed.out + printed.err, "its log is the node's"
    printed = tight.run("node", "doctor", "--json")
    found = [one for one in json.loads(printed.out)["checks"] if one["check"] == "full requests"]
    warned = [one for one in found if one["status"] == "warning"]
    said = [one["found"] for one in warned if "digits-encoder" in one["found"]]
    assert [("a run may take" in one, "at once" in one) for one in said] == [
        (True, False),
        (False, True),
    ]
    assert "`oracle operator offer 0x" in warned[0]["mend"]


def test_the_doctor_is_silent_about_the_devnets_own_deadlines(devnet: Oracle) -> None:
    devnet.json(*OFFER, "--min-time", "2")
    printed = devnet.run("node", "doctor", "--json")
    found = [one for one in json.loads(printed.out)["checks"] if one["check"] == "full requests"]
    assert {one["status"] for one in found} == {"good"}
    assert "each can be answered by its deadline" in found[-1]["found"]


def test_what_cannot_be_timed_fails_no_offer(devnet: Oracle, tmp_path: Path) -> None:
    without = devnet.with_settings(tmp_path / "without", provider="cuda")
    printed = without.run(*OFFER, "--json")
    assert printed.exit_code == 0
    (note,) = [one for one in json.loads(printed.out)["warnings"] if "found out" in one["what"]]
    assert note["kind"] == "note"
    assert "oracle node doctor" in note["next"]
    printed = without.run("node", "doctor", "--json")
    found = [one for one in json.loads(printed.out)["checks"] if one["check"] == "full requests"]
    assert found
    assert not [one for one in found if "can be answered" in one["found"]], "nobody knows"


def test_a_model_of_a_large_trace_takes_fewer_rows_unless_told_otherwise(devnet: Oracle) -> None:
    file = str(sample("digits-encoder").file)
    printed = devnet.run("model", "add", file, "--name", "few", "--window", "31", "--json")
    assert printed.exit_code == 0, printed.err
    assert json.loads(printed.out)["most_rows_a_request"] == 39
    assert "rows of one request: 39 at most, not 1024" in printed.err
    assert "--max-rows sets another number" in printed.err
    wished = ("--max-rows", "5", "--window", "32", "--json")
    printed = devnet.run("model", "add", file, "--name", "five", *wished)
    assert printed.exit_code == 0, printed.err
    assert json.loads(printed.out)["most_rows_a_request"] == 5
    assert "rows of one request" not in printed.err
    plain = ("--tier", "unproven", "--max-rows", "3", "--window", "33")
    added = devnet.json("model", "add", file, "--name", "plain", *plain)
    offer = ("operator", "offer", added["id"], "--price", "1", "--max-bond", "100")
    assert [one for one in devnet.json(*offer)["warnings"] if "found out" in one["what"]] == []


def test_the_doctor_adds_up_the_places_of_all_offers_and_what_their_price_pays_for(
    devnet: Oracle, tmp_path: Path
) -> None:
    devnet.json(*OFFER, "--capacity", "20000", "--min-time", "1000000")
    quick = ("operator", "offer", "digits-mlp", "--price", "1", "--max-bond", "100")
    devnet.json(*quick, "--capacity", "1", "--min-time", "60")
    worth = devnet.with_settings(tmp_path / "worth", wei_per_opg=1)
    checks = json.loads(worth.run("node", "doctor", "--json").out)["checks"]
    (together,) = [one for one in checks if "can bind you to 20,000" in one["found"]]
    assert (together["check"], together["status"]) == ("full requests", "warning")
    assert "--min-time " in together["mend"]
    dear = [one for one in checks if "does not pay for the dearest" in one["found"]]
    assert {one["status"] for one in dear} == {"warning"}
    assert [one for one in dear if "digits-encoder" in one["found"]]
