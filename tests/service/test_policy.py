"""The one rule that decides on a request, at its edges; and the verb that asks for its facts."""

from __future__ import annotations

import pytest

from oracle.core.job import JobState
from oracle.errors import SchemaError
from oracle.service.admit import Admit
from oracle.service.policy import (
    ACCEPT_GAS,
    ANSWER_GAS,
    SETTLE_GAS,
    Circumstances,
    Policy,
    gas_cost_wei,
    objection,
)
from tests.service.fakes import (
    FEE,
    NOW,
    OPERATOR,
    Engine,
    Files,
    Gateway,
    Jobs,
    Registry,
    Staking,
    model,
    request,
)

CALM = Circumstances(chain_time=int(NOW), free_stake=20 * FEE, gas_price_wei=10)


@pytest.mark.parametrize(("minimum", "refused"), [(FEE - 1, False), (FEE, False), (FEE + 1, True)])
def test_the_minimum_fee_itself_is_enough(minimum: int, refused: bool) -> None:
    why = objection(request(), CALM, Policy(minimum_fee=minimum))
    assert (why is not None) == refused


@pytest.mark.parametrize(("free", "refused"), [(20 * FEE, False), (20 * FEE - 1, True)])
def test_the_free_stake_must_cover_the_bond(free: int, refused: bool) -> None:
    why = objection(request(), Circumstances(int(NOW), free, 10), Policy())
    assert (why is not None) == refused


@pytest.mark.parametrize(("left", "refused"), [(6, False), (5, False), (4, True), (-1, True)])
def test_the_margin_must_be_left_until_the_deadline(left: int, refused: bool) -> None:
    terms = request(deadline=int(NOW) + left)
    why = objection(terms, CALM, Policy(answer_margin_seconds=5))
    assert (why is not None) == refused


@pytest.mark.parametrize(("window", "refused"), [(60, False), (61, True)])
def test_a_window_may_be_as_long_as_the_policy_says(window: int, refused: bool) -> None:
    why = objection(request(window=window), CALM, Policy(max_window_seconds=60))
    reason = "the challenge window of 61 s is longer than the 60 s that are accepted"
    assert why == (reason if refused else None)


@pytest.mark.parametrize(("gas", "refused"), [(100_000, False), (100_001, True)])
def test_a_callback_may_have_as_much_gas_as_the_policy_says(gas: int, refused: bool) -> None:
    why = objection(request(callback_gas_limit=gas), CALM, Policy(max_callback_gas=100_000))
    reason = "the callback gas of 100001 is above the 100000 that are accepted"
    assert why == (reason if refused else None)


GAS = ANSWER_GAS + SETTLE_GAS + ACCEPT_GAS + 1_000


@pytest.mark.parametrize(
    ("wei_per_opg", "margin", "refused"),
    [
        (0, 900, False),
        (GAS * 10, 0, False),
        (GAS * 10 - 1, 0, True),
        (GAS * 12, 20, False),
        (GAS * 12 - 1, 20, True),
    ],
)
def test_the_fee_must_pay_for_gas_callback_and_margin(
    wei_per_opg: int, margin: int, refused: bool
) -> None:
    policy = Policy(wei_per_opg=wei_per_opg, margin_percent=margin)
    why = objection(request(callback_gas_limit=1_000), CALM, policy)
    assert (why is not None) == refused


def test_a_bound_request_costs_no_acceptance() -> None:
    terms = request()
    both = gas_cost_wei(terms, 2, with_accept=True), gas_cost_wei(terms, 2, with_accept=False)
    assert both[0] - both[1] == 2 * ACCEPT_GAS


def admitting(jobs: Jobs, registry: Registry, files: Files, free: int = 1_000 * FEE) -> Admit:
    return Admit(jobs, registry, Staking(free), Gateway(), files, Engine(), OPERATOR, Policy())  # type: ignore[arg-type]


async def test_requests_of_one_round_share_the_free_stake() -> None:
    jobs = Jobs()
    made = [jobs.add(JobState.SEEN) for _ in range(3)]
    assert await admitting(jobs, Registry(), Files(), free=45 * FEE).cycle()
    states = [jobs.now(one).state for one in made]
    assert states == [JobState.ADMITTED, JobState.ADMITTED, JobState.DECLINED]


async def test_a_model_that_cannot_be_read_declines_its_own_requests_only() -> None:
    jobs, registry, files = Jobs(), Registry(model(1), model(2), model(3)), Files()
    registry.models[model(2).id] = SchemaError("not a schema")
    files.missing.add(model(3).terms.program_root)
    good = jobs.add(JobState.SEEN)
    garbled = jobs.add(JobState.SEEN, request(model_id=model(2).id))
    absent = jobs.add(JobState.SEEN, request(model_id=model(3).id))
    unknown = jobs.add(JobState.SEEN, request(model_id=b"\x0f" * 32))
    undecodable = jobs.add(JobState.SEEN, request_input=b"\0" * 3)
    await admitting(jobs, registry, files).cycle()
    assert jobs.now(good).state is JobState.ADMITTED
    reasons = [jobs.now(one).reason or "" for one in (garbled, absent, unknown, undecodable)]
    assert "not a schema" in reasons[0]
    assert "not in this node's store" in reasons[1]
    assert "no model has this id" in reasons[2]
    assert "cannot be decoded" in reasons[3]


async def test_nothing_is_asked_where_nothing_was_seen() -> None:
    assert not await admitting(Jobs(), Registry(), Files()).cycle()
