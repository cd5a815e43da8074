"""The sums that an operator is shown: exact, kept without loss, and taken from what was mined."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.economics import Estimate, GasParts, outcome
from oracle.core.job import JobState
from oracle.core.transaction import Call, Mined, Purpose, Transaction, TransactionState
from oracle.errors import InputError
from tests.service.fakes import ORACLE, SIGNER, Jobs

OPG = 10**18
amounts = st.integers(0, 2**96)
gas = st.integers(0, 2**32)

SUM = Estimate(
    decision="admit",
    objection=None,
    judged_at=1.5,
    fee=2 * OPG,
    wei_per_opg=10**15,
    margin_percent=20,
    gas_price_wei=10**9,
    gas=GasParts(accept=60_000, answer=75_000, settle=45_000, callback=18_000, result=2_000),
)


@given(
    st.builds(
        Estimate,
        decision=st.sampled_from(["admit", "decline", "bound"]),
        objection=st.none() | st.text(),
        judged_at=st.floats(0, 1e12),
        fee=amounts,
        wei_per_opg=amounts,
        margin_percent=st.integers(0, 1_000),
        gas_price_wei=amounts,
        gas=st.builds(GasParts, gas, gas, gas, gas, gas),
    )
)
def test_an_estimate_is_read_back_as_it_was_written(estimate: Estimate) -> None:
    assert Estimate.from_json(estimate.to_json()) == estimate


def test_the_sum_adds_up() -> None:
    assert SUM.gas.total == 200_000
    assert SUM.income_wei == 2 * 10**15
    assert SUM.cost_wei == 2 * 10**14
    assert SUM.needed_wei == 24 * 10**13
    assert SUM.profit_wei == 18 * 10**14
    assert SUM.profitable
    facts = SUM.as_facts()
    assert facts["profit_wei"] == facts["income_wei"] - facts["cost_wei"]
    assert facts["gas"]["total"] == sum(v for k, v in facts["gas"].items() if k != "total")


def test_without_a_worth_nothing_is_called_profit() -> None:
    worthless = replace(SUM, wei_per_opg=0)
    assert worthless.profit_wei is None
    assert worthless.profitable
    assert worthless.as_facts()["income_wei"] is None


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"gas": 1}', '{"fee": 1}'])
def test_what_is_no_estimate_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no estimate"):
        Estimate.from_json(text)


def mined(purpose: Purpose, requests: int, gas_used: int, *, succeeded: bool = True) -> Transaction:
    what = Mined(bytes([gas_used % 256]) * 32, 7, b"\x07" * 32, succeeded, gas_used, 10)
    ids = tuple(bytes([number]) * 32 for number in range(requests))
    state = TransactionState.MINED if succeeded else TransactionState.REVERTED
    return Transaction(
        1, SIGNER.address, 0, purpose, Call(ORACLE, b"", 1), ids, state, (), what, 0.0
    )


def test_what_it_came_to_is_its_share_of_what_was_mined() -> None:
    job = Jobs().add(JobState.SETTLED, fee_earned=2 * OPG, economics=SUM.to_json())
    waiting = replace(mined(Purpose.SETTLE, 1, 5), mined=None, state=TransactionState.OPEN)
    sent = [
        mined(Purpose.ANSWER, 1, 90_000, succeeded=False),
        mined(Purpose.ANSWER, 4, 200_000),
        mined(Purpose.SETTLE, 10, 300_000),
        waiting,
    ]
    found = outcome(job, sent)
    assert [share.gas for share in found.shares] == [90_000, 50_000, 30_000]
    assert [share.succeeded for share in found.shares] == [False, True, True]
    assert found.cost_wei == 1_700_000
    assert found.profit_wei == 2 * 10**15 - 1_700_000
    assert outcome(replace(job, economics=None), sent).profit_wei is None
