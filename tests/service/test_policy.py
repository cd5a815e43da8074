"""The one rule that decides on a request, at its edges; and the verb that asks for its facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core.economics import Estimate
from oracle.core.job import JobState
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.types import ZERO_ADDRESS, Address, Tier
from oracle.errors import InferenceError, SchemaError
from oracle.service.admit import Admit
from oracle.service.estimate import result_bytes
from oracle.service.policy import (
    ACCEPT_GAS,
    ANSWER_GAS,
    SETTLE_GAS,
    Circumstances,
    Policy,
    expected,
    judged,
    objection,
)
from tests.service.fakes import (
    FEE,
    NOW,
    OPERATOR,
    REQUESTER,
    Engine,
    Files,
    Gateway,
    Jobs,
    Offering,
    Registry,
    Staking,
    model,
    request,
)

ANY = Offer(0, 2**88 - 1, 1, 0, 2**24 - 1, 2**24 - 1)
CALM = Circumstances(chain_time=int(NOW), free_stake=20 * FEE, gas_price_wei=10)


@pytest.mark.parametrize(("minimum", "refused"), [(FEE - 1, False), (FEE, False), (FEE + 1, True)])
def test_the_minimum_fee_itself_is_enough(minimum: int, refused: bool) -> None:
    why = objection(request(), CALM, Policy(minimum_fee=minimum))
    assert (why is not None) == refused


@pytest.mark.parametrize(
    ("offered", "minimum", "refused"),
    [
        (FEE, None, False),
        (FEE + 1, None, True),
        (FEE + 1, 0, False),
        (0, FEE + 1, True),
    ],
)
def test_without_a_minimum_the_own_offer_is_the_floor(
    offered: int, minimum: int | None, refused: bool
) -> None:
    circumstances = replace(CALM, offer=replace(ANY, price=offered))
    found = judged(request(), circumstances, Policy(minimum_fee=minimum), now=NOW)
    assert (found.objection is not None) == refused


@pytest.mark.parametrize(
    ("offer", "why"),
    [
        (None, "no standing offer"),
        (replace(ANY, capacity=0), "no standing offer"),
        (replace(ANY, max_bond=20 * FEE - 1), "bond of"),
        (replace(ANY, min_time=request().deadline - int(NOW) + 1), "own offer wants"),
        (replace(ANY, max_window=request().window - 1), "window of 5 s is longer than the 4 s of"),
        (replace(ANY, max_callback_gas=6_999), "callback gas of 7000 is above the 6999 of"),
    ],
)
def test_what_the_operator_has_not_offered_it_does_not_take_on(
    offer: Offer | None, why: str
) -> None:
    asked = request(callback_gas_limit=7_000)
    circumstances = replace(CALM, offer=offer)
    found = judged(asked, circumstances, Policy(minimum_fee=0), now=NOW)
    assert found.decision == "decline"
    assert why in (found.objection or "")
    bound = judged(asked, circumstances, Policy(minimum_fee=0), bound=True, now=NOW)
    assert (bound.decision, bound.objection) == ("bound", None), "the chain has decided"


@pytest.mark.parametrize(
    ("policy", "admitted"),
    [
        (Policy(), False),
        (Policy(max_window_seconds=60), False),
        (Policy(max_callback_gas=7_000), False),
        (Policy(max_window_seconds=60, max_callback_gas=7_000), True),
        (Policy(max_window_seconds=59, max_callback_gas=7_000), False),
        (Policy(max_window_seconds=60, max_callback_gas=6_999), False),
    ],
)
def test_a_number_that_is_set_stands_for_the_offers(policy: Policy, admitted: bool) -> None:
    narrow = replace(CALM, offer=replace(ANY, max_window=0, max_callback_gas=0))
    asked = request(window=60, callback_gas_limit=7_000)
    assert (judged(asked, narrow, policy, now=NOW).decision == "admit") == admitted


def test_a_tighter_number_than_the_offers_holds() -> None:
    offered = replace(CALM, offer=ANY)
    found = judged(request(window=61), offered, Policy(max_window_seconds=60), now=NOW)
    assert found.decision == "decline"


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


ASKED = request(consumer=REQUESTER, callback_gas_limit=1_000)
GAS = ANSWER_GAS + SETTLE_GAS + ACCEPT_GAS + ASKED.notice_gas


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
    why = objection(ASKED, CALM, policy)
    assert (why is not None) == refused


@pytest.mark.parametrize(
    ("consumer", "eager", "notices"),
    [
        (ZERO_ADDRESS, False, 0),
        (ZERO_ADDRESS, True, 0),
        (REQUESTER, False, 1),
        (REQUESTER, True, 2),
    ],
)
def test_an_eager_notice_may_be_paid_for_twice(
    consumer: Address, eager: bool, notices: int
) -> None:
    terms = request(consumer=consumer, callback_gas_limit=63_000, eager=eager)
    gas = expected(terms, CALM, Policy(), with_accept=True).gas
    assert gas.callback == notices * (64_000 + 10_000)


@pytest.mark.parametrize(
    ("size", "alone", "for_consumer"),
    [
        (0, 0, 0),
        (48, 48 * 25, 48 * (25 + 17)),
        (1_000, 1_000 * 25, 1_000 * (25 + 17)),
        (98_304, 98_304 * 40 - 17_000, 2 * 98_304 * 40 - 42_000),
    ],
)
def test_the_bytes_of_a_result_are_paid_for_wherever_they_are_posted(
    size: int, alone: int, for_consumer: int
) -> None:
    circumstances = replace(CALM, result_bytes=size)
    for terms, gas in ((request(), alone), (request(consumer=REQUESTER), for_consumer)):
        assert expected(terms, circumstances, Policy(), with_accept=True).gas.result == gas


def test_a_long_result_can_make_a_request_unprofitable() -> None:
    policy = Policy(wei_per_opg=(GAS + 1_000) * CALM.gas_price_wei)
    assert objection(ASKED, replace(CALM, result_bytes=16), policy) is None
    why = objection(ASKED, replace(CALM, result_bytes=98_304), policy)
    assert (why or "").startswith("unprofitable")


WIDE = ModelSchema(
    inputs=(TensorSpec("x", ElementType.FLOAT32, (None, 2)),),
    outputs=(
        TensorSpec("y", ElementType.FLOAT32, (None, 3)),
        TensorSpec("z", ElementType.INT64, (2,)),
    ),
)
LARGEST = (98_304 - 16) // 12
"""Rows."""


@pytest.mark.parametrize(
    ("schema", "input_bytes", "result"),
    [
        (WIDE, 8, 12 + 16),
        (WIDE, 800, 1_200 + 16),
        (WIDE, 0, 0),
        (WIDE, 7, 0),
        (replace(WIDE, max_batch=2**16), 8 * LARGEST, 12 * LARGEST + 16),
        (replace(WIDE, max_batch=2**16), 8 * (LARGEST + 1), 0),
    ],
)
def test_the_length_of_an_input_tells_that_of_its_result(
    schema: ModelSchema, input_bytes: int, result: int
) -> None:
    assert result_bytes(schema, bytes(input_bytes)) == result


def test_a_bound_request_costs_no_acceptance() -> None:
    terms = request()
    open_, bound = (expected(terms, CALM, Policy(), with_accept=one) for one in (True, False))
    assert open_.cost_wei - bound.cost_wei == CALM.gas_price_wei * ACCEPT_GAS


def admitting(
    jobs: Jobs, registry: Registry, files: Files, staking: Staking | None = None
) -> Admit:
    staking = staking or Offering()
    return Admit(jobs, registry, staking, Gateway(), files, Engine(), OPERATOR, Policy(), 60)  # type: ignore[arg-type]


async def test_requests_of_one_round_share_the_free_stake() -> None:
    jobs = Jobs()
    made = [jobs.add(JobState.SEEN) for _ in range(3)]
    assert await admitting(jobs, Registry(), Files(), Offering(free=45 * FEE)).cycle()
    states = [jobs.now(one).state for one in made]
    assert states == [JobState.ADMITTED, JobState.ADMITTED, JobState.DECLINED]


async def test_no_more_is_admitted_than_the_offer_has_places() -> None:
    jobs, staking = Jobs(), Staking()
    staking.offers = {model(1).id: replace(ANY, capacity=2)}
    made = [jobs.add(JobState.SEEN) for _ in range(3)]
    admit = admitting(jobs, Registry(), Files(), staking)
    assert await admit.cycle()
    assert not await admit.cycle(), "what was admitted counts until it is bound, and then as bound"
    states = sorted(jobs.now(one).state.name for one in made)
    assert states == ["ADMITTED", "ADMITTED", "SEEN"]


async def test_each_model_has_the_floor_of_its_own_offer() -> None:
    jobs, registry = Jobs(), Registry(model(1), model(2), model(3))
    staking = Staking()
    staking.offers = {
        model(1).id: Offer(FEE + 1, 1, 1, 0, 0, 0),
        model(2).id: Offer(FEE + 1, 1, 0, 0, 0, 0),  # withdrawn
    }
    below, withdrawn, never = (
        jobs.add(JobState.SEEN, request(model_id=model(number).id)) for number in (1, 2, 3)
    )
    assert await admitting(jobs, registry, Files(), staking=staking).cycle()
    declined = jobs.now(below)
    assert declined.state is JobState.DECLINED
    assert declined.reason == (
        "the fee of 1 OPG is below the 1.000000000000000001 OPG of this operator's own offer"
    )
    assert Estimate.from_json(declined.economics or "").objection == declined.reason
    for unwanted in (withdrawn, never):
        assert jobs.now(unwanted).reason == "this operator has no standing offer for the model"


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


async def test_a_model_that_cannot_be_disputed_to_the_end_is_declined() -> None:
    def revealing(window: int) -> Model:
        plain = model(4)
        terms = replace(plain.terms, tier=Tier.ROUNDED, reveal_window=window)
        return replace(plain, id=terms.model_id(OPERATOR), terms=terms)

    jobs, fits, too_long = Jobs(), revealing(30), revealing(31)
    made = [jobs.add(JobState.SEEN, request(model_id=one.id)) for one in (fits, too_long)]
    await admitting(jobs, Registry(fits, too_long), Files()).cycle()
    assert [jobs.now(one).state for one in made] == [JobState.ADMITTED, JobState.DECLINED]
    assert "reveal window of 31 s" in (jobs.now(made[1]).reason or "")


async def test_nothing_is_asked_where_nothing_was_seen() -> None:
    assert not await admitting(Jobs(), Registry(), Files()).cycle()


async def test_the_sum_is_kept_with_the_decision() -> None:
    jobs, files = Jobs(), Files()
    files.missing.add(model(3).terms.program_root)
    taken = jobs.add(JobState.SEEN)
    asked = request(model_id=model(3).id, consumer=REQUESTER, callback_gas_limit=63)
    left = jobs.add(JobState.SEEN, asked)
    await admitting(jobs, Registry(model(1), model(3)), files).cycle()
    good, bad = (Estimate.from_json(jobs.now(one).economics or "") for one in (taken, left))
    assert (good.decision, good.objection) == ("admit", None)
    assert good.gas.result == 4 * 25, "a row of one float"
    assert good.cost_wei == (ACCEPT_GAS + ANSWER_GAS + SETTLE_GAS + 4 * 25) * 100
    assert (bad.decision, bad.objection) == ("decline", jobs.now(left).reason)
    assert (bad.gas.callback, bad.gas.result) == (64 + 10_000, 4 * (25 + 17))


async def test_what_cannot_be_judged_now_is_left_and_holds_up_no_other() -> None:
    jobs = Jobs()
    broken = model(2)
    waits = jobs.add(JobState.SEEN, request(model_id=broken.id))
    fine = jobs.add(JobState.SEEN)
    admit = admitting(jobs, Registry(model(1), broken), Files())
    admit._engine.broken[broken.terms.program_root] = InferenceError("no process")  # type: ignore[attr-defined]
    assert await admit.cycle()
    assert jobs.now(fine).state is JobState.ADMITTED
    assert jobs.now(waits).state is JobState.SEEN
    assert not await admit.cycle(), "no hot loop"
    admit._engine.broken.clear()  # type: ignore[attr-defined]
    assert await admit.cycle()
    assert jobs.now(waits).state is JobState.ADMITTED
