"""What is called a stall, what is called rest, and that each says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core.health import (
    STALLS,
    Cause,
    Following,
    Health,
    HealthLimits,
    Reason,
    Standing,
    Vitals,
    health_of,
)

NOW = 1_000_000.0
LIMITS = HealthLimits(stalled_seconds=60, catch_up_seconds=600, stale_head_seconds=300)
UP_TO_DATE = Following(
    reached_at=NOW - 1,
    got_on_at=NOW - 1,
    head_block=100,
    head_time=int(NOW) - 12,
    cursor_block=100,
)
WELL = Vitals(started_at=NOW - 10_000, following=UP_TO_DATE)
OTHER = "host/12/abc"


def judged(vitals: Vitals, limits: HealthLimits = LIMITS) -> Health:
    return health_of(vitals, limits, NOW)


def follows(**changes: object) -> Vitals:
    return replace(WELL, following=replace(UP_TO_DATE, **changes))


STALLED = {
    Cause.HUNG: replace(WELL, hung={"infer": 301.5}),
    Cause.CHAIN: follows(
        reached_at=NOW - 61, got_on_at=NOW - 61, failure="no answer to eth_blockNumber"
    ),
    Cause.CURSOR: follows(reached_at=NOW - 601, cursor_block=17),
    Cause.HEAD: follows(head_time=int(NOW) - 301),
    Cause.LOGS: follows(missing_logs=2),
    Cause.LEASE: replace(WELL, standing=Standing(key_held=False, chain_held=False)),
    Cause.INTAKE: replace(WELL, intake="nothing new is taken on: 5 failures of signing in a row"),
}
SAYS = {
    Cause.HUNG: "the step infer has not come back for 302 s",
    Cause.CHAIN: "not been read up to its head for 61 s: no answer to eth_blockNumber",
    Cause.CURSOR: "not been reached for 601 s: the last block that was read is 17",
    Cause.HEAD: "newest block, 100, is 301 s old",
    Cause.LOGS: "all but 2 of the requests",
    Cause.LEASE: "this worker has no lease",
    Cause.INTAKE: "5 failures of signing in a row",
}


def test_a_node_that_is_up_to_date_is_well() -> None:
    health = judged(WELL)
    assert (health.status, health.stalled, health.resting) == ("well", (), ())
    assert health.does_its_job
    assert health.takes_on_work


def test_what_is_wanting_is_said_and_keeps_nobody_from_the_job() -> None:
    lack = Reason(Cause.MODELS, "an offer without its model", "oracle model fetch 0x0a")
    health = judged(replace(WELL, wanting=(lack,)))
    assert (health.status, health.wanting) == ("wanting", (lack,))
    assert (health.does_its_job, health.takes_on_work) == (True, True)
    assert judged(replace(WELL, draining=True, wanting=(lack,))).status == "draining"


def test_there_is_a_case_for_each_stall() -> None:
    assert set(STALLED) == set(SAYS) == set(STALLS)


@pytest.mark.parametrize("cause", STALLED)
def test_each_stall_is_named_with_what_to_do(cause: Cause) -> None:
    health = judged(STALLED[cause])
    assert [one.cause for one in health.stalled] == [cause]
    assert SAYS[cause] in health.stalled[0].what
    assert health.stalled[0].next_step
    assert health.status == "stalled"
    assert not health.does_its_job
    assert not health.takes_on_work


def test_several_stalls_are_all_named() -> None:
    worse = replace(STALLED[Cause.CHAIN], hung={"watch": 400.0}, intake="no coin")
    assert [one.cause for one in judged(worse).stalled] == [Cause.HUNG, Cause.CHAIN, Cause.INTAKE]


def test_a_node_has_time_to_read_for_the_first_time() -> None:
    young = Vitals(started_at=NOW - 59)
    assert judged(young).does_its_job
    assert [one.cause for one in judged(replace(young, started_at=NOW - 61)).stalled] == [
        Cause.CHAIN
    ]


def test_catching_up_is_no_stall_for_a_while() -> None:
    assert judged(follows(reached_at=NOW - 599)).does_its_job
    assert judged(follows(reached_at=None)).stalled[0].cause is Cause.CURSOR


def test_an_endpoint_that_shows_an_older_chain_than_before_is_a_stall_without_an_error() -> None:
    health = judged(follows(reached_at=NOW - 90, got_on_at=NOW - 90))
    assert "lies behind what was read before" in health.stalled[0].what


def test_a_chain_may_stand_still_where_settings_say_so() -> None:
    still = follows(head_time=int(NOW) - 10**6)
    assert judged(still, replace(LIMITS, stale_head_seconds=0)).does_its_job


def test_a_chain_whose_clock_is_ahead_is_not_stale() -> None:
    assert judged(follows(head_time=int(NOW) + 10**6)).does_its_job


def test_who_does_not_read_the_chain_is_not_judged_by_it() -> None:
    other_reads = Standing(key_held=True, chain_held=False, chain_leader=OTHER)
    assert judged(replace(STALLED[Cause.CHAIN], standing=other_reads)).takes_on_work


def test_nobody_who_reads_the_chain_is_a_stall() -> None:
    health = judged(replace(WELL, standing=Standing(key_held=True, chain_held=False)))
    assert [one.cause for one in health.stalled] == [Cause.LEASE]
    assert "reads the chain" in health.stalled[0].what


def test_a_spare_is_well_and_takes_on_nothing() -> None:
    health = judged(
        replace(
            WELL,
            standing=Standing(
                key_held=False, chain_held=False, key_leader=OTHER, chain_leader=OTHER
            ),
        )
    )
    assert health.does_its_job
    assert not health.takes_on_work
    assert health.status == "standing by"
    assert OTHER in health.resting[0].what


def test_a_node_that_drains_is_well_and_takes_on_nothing() -> None:
    health = judged(replace(WELL, draining=True))
    assert (health.does_its_job, health.takes_on_work) == (True, False)
    assert health.status == "draining"
    assert judged(replace(STALLED[Cause.HUNG], draining=True)).status == "stalled"
