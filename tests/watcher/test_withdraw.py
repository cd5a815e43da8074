"""What is of no use any more is given up: nothing stale is sent, and no nonce is left unused."""

from __future__ import annotations

from structlog.testing import capture_logs

from oracle.core.transaction import Call, Purpose, SendOutcome, Transaction, TransactionState
from tests.service.fakes import ORACLE, SIGNER
from tests.service.test_transact import Bench

STALE = b"stale"


def stale(one: Transaction) -> bool:
    return one.call.data == STALE


async def sent(bench: Bench, *calls: bytes, outcome: SendOutcome) -> None:
    bench.gateway.outcome = outcome
    for data in calls:
        await bench.transact.submit(Purpose.PROVE, Call(ORACLE, data, 100_000), [])
    bench.gateway.outcome = SendOutcome.ACCEPTED


def alive(bench: Bench) -> list[tuple[int, Purpose, bytes]]:
    table = bench.transactions.table.values()
    return sorted(
        (one.nonce, one.purpose, one.call.data)
        for one in table
        if one.state is TransactionState.OPEN
    )


async def test_what_no_node_took_is_dropped_and_never_sent_again() -> None:
    bench = Bench()
    await sent(bench, STALE, STALE, outcome=SendOutcome.REFUSED)
    before = len(bench.gateway.sent)
    await bench.transact.withdraw(stale)
    assert alive(bench) == []
    for _ in range(5):
        await bench.follow(200)
    assert len(bench.gateway.sent) == before
    await sent(bench, b"next", outcome=SendOutcome.ACCEPTED)
    assert alive(bench) == [(0, Purpose.PROVE, b"next")]


async def test_a_nonce_that_others_wait_behind_is_used_up() -> None:
    bench = Bench()
    await sent(bench, STALE, b"wanted", STALE, outcome=SendOutcome.REFUSED)
    await bench.transact.withdraw(stale)
    assert alive(bench) == [(0, Purpose.CANCEL, b""), (1, Purpose.PROVE, b"wanted")]
    assert bench.gateway.sent[-1].fees.max_fee > bench.gateway.sent[0].fees.max_fee


async def test_what_a_pool_may_hold_is_replaced_whichever_of_the_two_is_mined() -> None:
    bench = Bench()
    await sent(bench, STALE, outcome=SendOutcome.ACCEPTED)
    (first,) = bench.transactions.table[1].attempts
    await bench.transact.withdraw(stale)
    ((nonce, purpose, _),) = alive(bench)
    assert (nonce, purpose) == (0, Purpose.CANCEL)
    assert bench.transactions.table[2].call.to == SIGNER.address
    bench.gateway.mine(first)
    with capture_logs() as logs:
        assert await bench.follow(1)
    assert alive(bench) == []
    assert [one for one in logs if one["log_level"] == "error"] == [], "it was our own"


async def test_what_is_mined_and_what_is_wanted_is_left_alone() -> None:
    bench = Bench()
    await sent(bench, STALE, b"wanted", outcome=SendOutcome.ACCEPTED)
    bench.gateway.mine(bench.gateway.sent[0])
    await bench.transact.withdraw(stale)
    assert [data for _, _, data in alive(bench)] == [STALE, b"wanted"]
    await bench.follow(1)
    assert bench.transactions.table[1].state is TransactionState.MINED
