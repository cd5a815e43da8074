"""The selectors of custom errors that docs/cast-only.md names are those of our contracts."""

from __future__ import annotations

import json
import re
from pathlib import Path

from eth_utils.crypto import keccak

from oracle.chain.abi import errors_by_selector

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `0x([0-9a-f]{8})` \| `(\w+)(\([\w,]*\))` \|", re.MULTILINE)


def test_each_selector_is_of_the_error_beside_it() -> None:
    rows = ROW.findall((ROOT / "docs" / "cast-only.md").read_text())
    assert {"ERC20InsufficientAllowance", "NotFinalYet"} < {name for _, name, _ in rows}
    known = errors_by_selector()
    for selector, name, arguments in rows:
        assert known[bytes.fromhex(selector)].name == name
        assert keccak(text=name + arguments)[:4].hex() == selector


def test_what_a_requester_may_meet_is_in_the_abis() -> None:
    abi = json.loads((ROOT / "abi" / "InferenceOracle.json").read_text())["abi"]
    named = {one["name"] for one in abi if one["type"] == "error"}
    rows = {name for _, name, _ in ROW.findall((ROOT / "docs" / "cast-only.md").read_text())}
    assert {name for name in rows if not name.startswith("ERC20")} <= named
