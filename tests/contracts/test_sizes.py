"""The contracts' sizes: what a chain takes, and what docs/decisions/0016 says of them."""

from __future__ import annotations

import json
from pathlib import Path

ABI = Path(__file__).resolve().parents[2] / "abi"
EIP_170_BYTES = 24_576
WITH_MONEY = ("DisputeManager", "InferenceOracle", "OperatorStaking")
JUDGES = (
    "ArithmeticRules",
    "ElementaryRules",
    "FraudVerifier",
    "QuantisedRules",
    "SelectionRules",
    "SumRules",
)


def runtime_bytes() -> dict[str, int]:
    return {
        one["contractName"]: one["runtimeBytes"]
        for one in (json.loads(file.read_text()) for file in sorted(ABI.glob("*.json")))
    }


def test_a_chain_takes_every_contract() -> None:
    sizes = runtime_bytes()
    assert set(WITH_MONEY) | set(JUDGES) <= {name for name, size in sizes.items() if size}
    assert {name: size for name, size in sizes.items() if size > EIP_170_BYTES} == {}


def test_manager_verifier_and_rules_are_too_large_for_one_contract() -> None:
    sizes = runtime_bytes()
    assert sum(sizes[name] for name in ("DisputeManager", *JUDGES)) > EIP_170_BYTES


def test_what_holds_money_keeps_below_20_000_bytes() -> None:
    sizes = runtime_bytes()
    assert {name: sizes[name] for name in WITH_MONEY if sizes[name] >= 20_000} == {}
