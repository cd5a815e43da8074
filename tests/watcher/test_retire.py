"""Whose a transaction is, by its calldata: a case's own are given up, everybody else's stay."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from oracle.chain.court_contract import CourtBinding, Disputed
from oracle.core.case import Case, CaseState
from oracle.core.dispute import DemandedLeaves, RevealDemand, announcement_of
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import Request
from oracle.core.transaction import Call, Purpose, Transaction, TransactionState
from oracle.errors import NotFound
from oracle.watcher.retire import Retire
from tests.service.fakes import DOMAIN, OPERATOR, ORACLE, STRANGER, model, request

COURT = CourtBinding(cast("Any", None), ORACLE)
MINE, OTHER = request(), request()
PROOF, SALT = b"proof" * 9, b"\x03" * 32


def disputed(terms: Request) -> Disputed:
    commitment = AnswerCommitment(OPERATOR, b"\x05" * 32, b"\x06" * 32)
    return Disputed(terms, commitment, OPERATOR, model().terms)


def demand(terms: Request) -> RevealDemand:
    leaves = DemandedLeaves(1, 0, 2, 3, 4, 32, 32, 0, 1)
    commitment = disputed(terms).commitment
    return RevealDemand(terms.id(DOMAIN), 0, STRANGER, 1, 9, 5, b"\x07" * 32, commitment, leaves)


def sent(purpose: Purpose, data: bytes) -> Transaction:
    call = Call(ORACLE, data, 1)
    return Transaction(1, STRANGER, 0, purpose, call, (), TransactionState.OPEN, (), None, 0.0)


def of_a_case(terms: Request) -> list[Transaction]:
    announcement = announcement_of(STRANGER, terms.id(DOMAIN), PROOF, SALT)
    subject = disputed(terms)
    return [
        sent(Purpose.ANNOUNCE, COURT.announce_data(announcement)),
        sent(Purpose.PROVE, COURT.prove_fraud_data(subject, PROOF, SALT)),
        sent(Purpose.DEMAND, COURT.demand_reveal_data(subject, b"place", 7)),
        sent(Purpose.TIME_OUT, COURT.reveal_timeout_data(terms, demand(terms))),
    ]


def case(**changes: Any) -> Case:
    fields: dict[str, Any] = {"state": CaseState.ACCUSED, "proof": PROOF, "salt": SALT} | changes
    return Case(MINE.id(DOMAIN), OPERATOR, 7, b"\x02" * 32, **fields)


async def unwanted(ended: Case, *, known: bool = True) -> Callable[[Transaction], bool]:
    """What a case's end gives up."""
    asked: list[Callable[[Transaction], bool]] = []

    async def withdraw(which: Callable[[Transaction], bool]) -> None:
        asked.append(which)

    async def story(_: Case) -> Any:
        if not known:
            raise NotFound("a fork took it away")
        return SimpleNamespace(created=SimpleNamespace(request=MINE))

    outbox = SimpleNamespace(sender=STRANGER, withdraw=withdraw)
    await Retire(COURT, cast("Any", SimpleNamespace(story=story)), cast("Any", outbox))(ended)
    (which,) = asked
    return which


async def test_all_that_was_sent_to_convict_is_given_up_and_nothing_of_another_case() -> None:
    which = await unwanted(case())
    assert [which(one) for one in of_a_case(MINE)] == [True] * 4
    assert [which(one) for one in of_a_case(OTHER)] == [False] * 4


async def test_what_fetches_money_stays() -> None:
    which = await unwanted(case())
    fetching = COURT.refund_demand_data(demand(MINE)), COURT.collect_data(MINE.id(DOMAIN))
    assert not any(which(sent(Purpose.SHARE, data)) for data in fetching)
    assert not which(sent(Purpose.ALLOW, b"approve"))


async def test_a_case_without_a_proof_announced_nothing() -> None:
    which = await unwanted(case(state=CaseState.WITHHELD, proof=None, salt=None))
    assert [which(one) for one in of_a_case(MINE)] == [False, True, True, True]


@pytest.mark.parametrize("terms", [MINE, OTHER])
async def test_of_a_request_that_a_fork_took_only_the_announcement_is_known(terms: Request) -> None:
    which = await unwanted(case(), known=False)
    assert [which(one) for one in of_a_case(terms)] == [terms is MINE, False, False, False]
