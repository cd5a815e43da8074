"""Cases of a watcher and demands on an operator: cursor, reorgs, and what a restart finds."""

from __future__ import annotations

from dataclasses import replace

from oracle.core.case import Case, CaseState
from oracle.core.dispute import DemandedLeaves, RevealDemand
from oracle.core.receipt import AnswerCommitment
from oracle.core.types import Address
from oracle.storage import Storage, open_storage

from .building import SteppingClock

OPERATOR = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")


def case(number: int, block_number: int = 7) -> Case:
    return Case(bytes([number]) * 32, OPERATOR, block_number, bytes([block_number]) * 32)


def demand(number: int = 0, deadline: int = 500) -> RevealDemand:
    return RevealDemand(
        request_id=b"\x01" * 32,
        number=number,
        demander=OPERATOR,
        deposit=2**95,
        deadline=deadline,
        window=60,
        program_root=b"\x02" * 32,
        commitment=AnswerCommitment(OPERATOR, b"\x03" * 32, b"\x04" * 32),
        leaves=DemandedLeaves(1, 0, 3, 5, 40, 256, 1000, 0, 4),
    )


async def test_a_case_is_noted_once_and_keeps_what_was_found(storage: Storage) -> None:
    cases = storage.cases
    assert await cases.cursor() is None
    assert await cases.note(9, [case(1), case(2)]) == [case(1), case(2)]
    accused = replace(
        case(1), state=CaseState.ACCUSED, reason="wrong", proof=b"proof", salt=b"\x09" * 32
    )
    await cases.save(accused)
    assert await cases.note(12, [case(1)]) == [], "read again"
    assert await cases.cursor() == 12
    assert await cases.unfinished() == [accused, case(2)]
    await cases.save(replace(case(2), state=CaseState.CLEAN))
    assert await cases.unfinished() == [accused]
    await cases.save(replace(accused, not_before=100.0))
    assert await cases.unfinished(due_at=99.0) == []
    assert len(await cases.everything()) == 2


async def test_an_answer_that_a_reorg_moved_is_another_case(storage: Storage) -> None:
    cases = storage.cases
    await cases.note(9, [case(1)])
    await cases.save(replace(case(1), state=CaseState.CLEAN))
    assert await cases.note(9, [case(1, block_number=8)]) == [case(1, block_number=8)]
    await cases.save(replace(case(1), state=CaseState.SKIPPED))
    assert await cases.everything() == [case(1, block_number=8)], "what came late is left out"


async def test_demands_wait_the_most_urgent_first_until_they_are_closed(
    storage: Storage, location: str, clock: SteppingClock
) -> None:
    late, soon = demand(0, deadline=900), demand(1, deadline=300)
    assert await storage.demands.note(5, [late, soon]) == [late, soon]
    assert await storage.demands.note(6, [late, soon]) == []
    again = open_storage(location, clock)
    try:
        assert await again.demands.pending() == [soon, late]
        assert await again.demands.cursor() == 6
        await again.demands.close(soon)
        assert await again.demands.pending() == [late]
        assert await again.demands.note(7, [soon]) == [], "read again"
        assert await again.demands.pending() == [late]
        assert await again.demands.closed([soon, late, demand(2)]) == [soon]
        await again.demands.reopen(soon)
        assert await again.demands.pending() == [soon, late]
        assert await again.demands.closed([soon, late]) == []
    finally:
        await again.close()


async def test_after_a_reorg_a_number_may_be_another_demand(storage: Storage) -> None:
    first, other = demand(0), demand(0, deadline=777)
    await storage.demands.note(5, [first])
    await storage.demands.close(first)
    assert await storage.demands.note(5, [other]) == [other]
    await storage.demands.close(first)
    assert await storage.demands.pending() == [other]
    await storage.demands.close(other)
    assert await storage.demands.closed([first]) == [], "another than the one that was closed"
    await storage.demands.reopen(first)
    assert await storage.demands.pending() == []
