"""When intake stops, for whose failures, and how it goes on: the breaker, the purse, the intake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from oracle.core.job import JobState
from oracle.core.transaction import SendOutcome
from oracle.court.message import MAX_RESULT_BYTES
from oracle.errors import (
    ChainRefused,
    ChainUnreachable,
    ContractReverted,
    IllegalTransition,
    InferenceError,
    KeystoreError,
    ModelFileError,
    OracleError,
    SignedTwice,
    SignerUnreachable,
    StorageError,
    TraceStoreFull,
    WrongChain,
)
from oracle.service.admit import Admit
from oracle.service.breaker import Breaker, Kind, kind_of
from oracle.service.funds import GAS_OF_A_REVEAL, Funds, FundsPolicy, gas_of
from oracle.service.intake import Intake
from oracle.service.policy import ANSWER_GAS, Policy, result_gas
from tests.service.fakes import (
    OPERATOR,
    SIGNER,
    Clock,
    Engine,
    Files,
    Gateway,
    Jobs,
    Offering,
    Registry,
)


class Purse(Gateway):
    """A gateway that says what balance it is told to."""

    held = 10**18

    async def balance(self, account: object) -> int:
        return self.held


def tripped(clock: Clock, kind: Kind = Kind.STORAGE) -> Breaker:
    breaker = Breaker(clock, failures=3, pause_seconds=60)
    for _ in range(3):
        breaker.failed(kind, "no")
    return breaker


def test_it_opens_at_the_limit_and_not_before() -> None:
    breaker = Breaker(Clock(), failures=3)
    for count in range(3):
        assert (breaker.stops, breaker.why, breaker.room()) == (False, None, None), count
        breaker.failed(Kind.SIGNING, f"failure {count}")
    assert breaker.stops
    assert breaker.room() == 0
    assert breaker.why == "3 failures of signing in a row, the last: failure 2"


def test_a_success_between_ends_the_row_of_its_own_kind_only() -> None:
    breaker = Breaker(Clock(), failures=3)
    for kind in (Kind.STORAGE, Kind.SENDING) * 2:
        breaker.failed(kind, "no")
    breaker.succeeded(Kind.STORAGE)
    breaker.failed(Kind.STORAGE, "no")
    assert not breaker.stops
    breaker.failed(Kind.SENDING, "no")
    assert breaker.stops


def test_one_request_that_fails_for_ever_is_one_failure() -> None:
    breaker = Breaker(Clock(), failures=3)
    for _ in range(50):
        breaker.failed(Kind.INFERENCE, "hangs", case=b"the same")
    assert not breaker.stops
    breaker.failed(Kind.INFERENCE, "hangs", case=b"second")
    breaker.failed(Kind.INFERENCE, "hangs", case=b"third")
    assert breaker.stops


def test_zero_is_never() -> None:
    breaker = Breaker(Clock(), failures=0)
    for _ in range(100):
        breaker.failed(Kind.STORAGE, "no")
    assert not breaker.stops


def test_after_the_pause_one_is_let_in_and_a_success_closes_it() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.seconds += 59
    assert breaker.room() == 0
    clock.seconds += 1
    assert breaker.room() == 1
    assert not breaker.stops, "what was let in may be accepted"
    assert breaker.room() == 0, "one at a time"
    breaker.succeeded(Kind.STORAGE)
    assert (breaker.room(), breaker.why) == (None, None)


def test_a_trial_that_fails_opens_it_for_another_pause() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.seconds += 60
    assert breaker.room() == 1
    breaker.failed(Kind.STORAGE, "still")
    assert breaker.stops
    clock.seconds += 59
    assert breaker.room() == 0
    clock.seconds += 1
    assert breaker.room() == 1


def test_what_fails_between_trials_does_not_put_them_off() -> None:
    clock = Clock()
    breaker = tripped(clock)
    for _ in range(6):
        clock.seconds += 10
        breaker.failed(Kind.STORAGE, "again")
    assert breaker.room() == 1


def test_a_trial_that_comes_to_nothing_is_followed_by_another() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.seconds += 60
    assert breaker.room() == 1
    clock.seconds += 60
    assert breaker.stops
    assert breaker.room() == 1


def test_it_is_closed_when_all_that_opened_it_is_mended() -> None:
    breaker = tripped(Clock())
    for _ in range(3):
        breaker.failed(Kind.SENDING, "no")
    breaker.succeeded(Kind.STORAGE)
    assert breaker.stops
    breaker.succeeded(Kind.SENDING)
    assert not breaker.stops


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StorageError("full"), Kind.STORAGE),
        (TraceStoreFull("full"), Kind.STORAGE),
        (IllegalTransition("overtaken"), None),
        (SignedTwice("no"), None),
        (SignerUnreachable("gone"), Kind.SIGNING),
        (KeystoreError("gone"), Kind.SIGNING),
        (WrongChain("other"), None),
        (InferenceError("no"), Kind.INFERENCE),
        (ModelFileError("no"), Kind.INFERENCE),
        (ChainRefused("fee cap"), Kind.SENDING),
        (ContractReverted("NotOpen"), None),
        (ChainUnreachable("dead"), None),
    ],
)
def test_whose_fault_an_error_is(error: OracleError, kind: Kind | None) -> None:
    assert kind_of(error) is kind


async def test_a_step_is_watched_and_its_errors_pass_through() -> None:
    breaker = Breaker(Clock(), failures=2)
    outcomes: list[bool | OracleError] = [StorageError("locked"), StorageError("locked")]

    async def cycle() -> bool:
        outcome = outcomes.pop(0)
        if isinstance(outcome, OracleError):
            raise outcome
        return outcome

    watched = breaker.watching(cycle, Kind.STORAGE)
    for _ in range(2):
        with pytest.raises(StorageError):
            await watched()
    assert breaker.stops
    outcomes[:] = [False, True]
    assert not await watched()
    assert breaker.stops, "a round without work shows nothing"
    assert await watched()
    assert not breaker.stops


def test_sends_are_counted_and_an_unknown_one_is_nobodys_fault() -> None:
    breaker = Breaker(Clock(), failures=2)
    for outcome in (SendOutcome.REFUSED, SendOutcome.UNKNOWN, SendOutcome.UNKNOWN):
        breaker.sent(outcome, "insufficient funds")
    assert not breaker.stops
    breaker.sent(SendOutcome.REFUSED, "insufficient funds")
    assert "insufficient funds" in (breaker.why or "")
    breaker.sent(SendOutcome.ACCEPTED, None)
    assert not breaker.stops


# ---- funds


def purse(held: int, **limits: int) -> tuple[Funds, Purse]:
    gateway = Purse()
    gateway.held = held
    return Funds(gateway, lambda: [SIGNER.address, SIGNER.address], FundsPolicy(**limits)), gateway


@pytest.mark.parametrize(
    ("held", "scarce", "spent"),
    [(100, False, False), (99, True, False), (10, True, False), (9, True, True), (0, True, True)],
)
async def test_below_the_minimum_is_said_and_below_the_floor_stops(
    held: int, scarce: bool, spent: bool
) -> None:
    funds, _ = purse(held, minimum_wei=100, floor_wei=10)
    await funds.cycle()
    assert (funds.trouble is not None, funds.exhausted is not None) == (scarce, spent)
    if scarce:
        assert funds.trouble is not None
        assert funds.trouble.count(SIGNER.address) == 1, "each key is looked at once"


async def test_without_limits_it_is_answers_and_reveals_at_the_price_of_the_day() -> None:
    funds, gateway = purse(gas_of(20, 4, 3) * 100)
    await funds.cycle()
    assert funds.trouble is None
    gateway.held -= 1
    await funds.cycle()
    told = "now gas for 213 small answers, for 6 of the largest results, or for 9 of the largest"
    assert told in (funds.trouble or "")
    gateway.held = gas_of(3, 1, 1) * 100
    await funds.cycle()
    assert funds.exhausted is None
    gateway.held -= 1
    await funds.cycle()
    assert "or for 2 of the largest demands" in (funds.exhausted or "")
    gateway.held = 10**18
    await funds.cycle()
    assert (funds.trouble, funds.exhausted) == (None, None)


async def test_the_floor_pays_for_a_largest_answer_and_the_minimum_for_four() -> None:
    """By what answering it with the most bytes takes, and the headroom that its limit has."""
    largest = (ANSWER_GAS + result_gas(MAX_RESULT_BYTES, for_consumer=False)) * 6 // 5
    assert largest == pytest.approx(4_788_000, rel=0.001)
    funds, gateway = purse(0)
    await funds.cycle()
    price = (await gateway.fees()).max_fee
    shown = GAS_OF_A_REVEAL * price
    assert funds.floor - shown >= largest * price
    assert funds.minimum - 3 * shown >= 4 * largest * price
    assert "for 0 of the largest results" in (funds.exhausted or "")


# ---- intake


def admitting(jobs: Jobs, intake: Intake) -> Admit:
    return Admit(
        jobs,  # type: ignore[arg-type]
        Registry(),
        Offering(),
        Gateway(),
        Files(),
        Engine(),
        OPERATOR,
        Policy(),
        0,
        intake,
    )


async def test_while_it_stops_nothing_is_judged_and_nothing_declined() -> None:
    clock, jobs = Clock(), Jobs()
    breaker = tripped(clock)
    waiting = [jobs.add(JobState.SEEN) for _ in range(3)]
    admit = admitting(jobs, Intake(breaker))
    assert not await admit.cycle()
    assert {jobs.now(one).state for one in waiting} == {JobState.SEEN}
    clock.seconds += 60
    assert await admit.cycle()
    states = sorted(jobs.now(one).state for one in waiting)
    assert states == [JobState.ADMITTED, JobState.SEEN, JobState.SEEN]
    assert not await admit.cycle()
    breaker.succeeded(Kind.STORAGE)
    assert await admit.cycle()
    assert {jobs.now(one).state for one in waiting} == {JobState.ADMITTED}


async def test_a_trial_is_not_used_up_where_nothing_waits() -> None:
    clock, jobs = Clock(), Jobs()
    admit = admitting(jobs, Intake(tripped(clock)))
    clock.seconds += 60
    assert not await admit.cycle()
    jobs.add(JobState.SEEN)
    assert await admit.cycle()


async def test_an_empty_purse_stops_intake_and_says_what_to_do() -> None:
    funds, gateway = purse(1, minimum_wei=100, floor_wei=10)
    await funds.cycle()
    jobs = Jobs()
    jobs.add(JobState.SEEN)
    intake = Intake(Breaker(Clock()), funds)
    assert not await admitting(jobs, intake).cycle()
    assert "send it" in (intake.why or "")
    assert "oracle operator offer MODEL --capacity 0" in (intake.why or "")
    assert intake.trouble()["funds"] == funds.trouble
    gateway.held = 1_000
    await funds.cycle()
    assert intake.trouble() == {"intake": None, "funds": None}
    assert await admitting(jobs, intake).cycle()


async def test_acceptances_rest_while_it_stops_and_not_during_a_trial() -> None:
    clock = Clock()
    breaker = tripped(clock)
    sent = 0

    async def accept() -> bool:
        nonlocal sent
        sent += 1
        return True

    cycle: Callable[[], Awaitable[bool]] = Intake(breaker).guarded(accept)
    assert not await cycle()
    clock.seconds += 60
    assert breaker.room() == 1
    assert await cycle()
    assert sent == 1
