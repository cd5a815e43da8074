"""`oracle credit`, `oracle view --max-price`, `oracle operator collect`, as a person types them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from oracle.bootstrap.worker import Worker
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from tests.cli.conftest import Oracle, travel

OPERATOR = signer_of(Person.OWNER).address
REQUESTER = signer_of(Person.REQUESTER).address


@pytest.fixture(scope="module")
def gateway(devnet: Oracle) -> Iterator[Oracle]:
    """A node whose answers in views have a price, and that is slow to collect it."""
    before = devnet.config.read_text()
    devnet.config.write_text(
        before + 'views = ["digits-mlp=0.01", "wine-forest"]\nviews_collect_at = "50"\n'
    )
    worker = asyncio.run(Worker.start(devnet.config, devnet.data_dir))
    yield devnet
    asyncio.run(worker.stop())
    devnet.config.write_text(before)


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    images, _ = sample("digits-mlp").held_out_samples()
    path = tmp_path / "digit.npy"
    np.save(path, images[:1].astype(np.float32))
    return ["view", "digits-mlp", "--input", str(path)]


def test_a_view_is_paid_from_a_credit_and_collected_by_hand(
    gateway: Oracle, asked: list[str]
) -> None:
    said = gateway.fails(13, *asked)
    assert "asks 0.01 OPG" in said
    assert "--max-price 0.01" in said
    assert f"oracle credit deposit {OPERATOR}" in said
    assert "the limit is 0.001 OPG" in gateway.fails(13, *asked, "--max-price", "0.001")
    assert "short of this answer" in gateway.fails(3, *asked, "--max-price", "0.01")
    stranger = signer_of(Person.RELAYER).address
    said = gateway.fails(3, *asked, "--max-price", "0.01", "--from", stranger)
    assert "pays for its view" in said

    facts = gateway.json("credit", "deposit", OPERATOR, "1")
    assert (facts["deposited_opg"], facts["credit_opg"]) == ("1", "1")
    said = gateway.fails(13, *asked, "--max-price", "0.001")
    assert "--max-price 0.01 (in Python" in said
    assert "the credit of 1 OPG pays for it" in said
    assert "credit deposit" not in said
    assert "credit deposit" not in gateway.fails(13, *asked)
    seen = gateway.json(*asked, "--max-price", "0.01")
    assert seen["paid_opg"] == "0.01"
    owed = gateway.status()
    assert abs(Decimal(owed["views_owed_opg"]) - Decimal("0.01")) < Decimal("1e-9")
    assert owed["views_collected_opg"] == "0"
    _, labels = sample("digits-mlp").held_out_samples()
    assert seen["outputs"]["label"] == [int(labels[0])]
    assert gateway.json("credit", "show", OPERATOR)["collected_opg"] == "0"

    found = gateway.json("operator", "collect")
    assert (found["payers"], len(found["transactions"])) == (1, 1)
    assert found["not_covered_opg"] == "0"
    assert abs(Decimal(found["collected_opg"]) - Decimal("0.01")) < Decimal("1e-9")
    facts = gateway.json("credit", "show", OPERATOR)
    assert facts["collected_opg"] == found["collected_opg"]
    assert Decimal(facts["credit_opg"]) == 1 - Decimal(found["collected_opg"])
    assert gateway.json("operator", "collect")["transactions"] == []
    assert "collected opg    0" in gateway.ok("operator", "collect")


def test_a_credit_comes_back_in_two_steps(gateway: Oracle) -> None:
    nobody = signer_of(Person.PAYEE).address
    assert "has no credit" in gateway.fails(7, "credit", "withdraw", nobody)
    gateway.json("credit", "deposit", nobody, "2.5")
    facts = gateway.json("credit", "withdraw", nobody)
    assert (facts["announced"], facts["payer"]) == (True, REQUESTER)
    assert facts["withdrawable_at"].endswith("UTC")
    assert facts["next"].startswith(f"oracle credit withdraw {nobody}")
    said = gateway.fails(3, "credit", "withdraw", nobody)
    assert f"from {facts['withdrawable_at']} on" in said
    facts = gateway.json("credit", "deposit", nobody, "1")
    assert (facts["credit_opg"], facts["withdrawable_at"]) == ("3.5", None)
    assert gateway.json("credit", "withdraw", nobody)["announced"] is True
    travel(gateway, 70)
    facts = gateway.json("credit", "withdraw", nobody)
    assert (facts["withdrawn_opg"], facts["credit_opg"]) == ("3.5", "0")


def test_what_is_no_credit(gateway: Oracle) -> None:
    gateway.fails(3, "credit", "deposit", OPERATOR, "0")
    gateway.fails(3, "credit", "deposit", "0x12", "1")
    gateway.fails(3, "credit", "show", "nobody")
    assert "BalanceTooLow" not in gateway.fails(5, "credit", "deposit", OPERATOR, "99999999")


def test_prices_that_are_none_are_refused_by_name(gateway: Oracle) -> None:
    for text, words in (
        ("digits-mlp=dear", "the price of digits-mlp"),
        ("digits-mlp=0", "for a free one"),
        ("digits-mlp digits-mlp=1", "named twice"),
    ):
        said = gateway.fails(4, "node", "run", env={"ORACLE_VIEWS": text})
        assert "views (ORACLE_VIEWS)" in said
        assert words in said or "is 0 OPG" in said
    said = gateway.fails(4, "node", "run", env={"ORACLE_VIEWS_COLLECT_AT": "some"})
    assert "views_collect_at" in said
