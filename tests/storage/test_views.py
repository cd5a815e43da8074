"""Answers in views in the database: nothing of them is lost, and they go when they are past."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core.types import Address, address
from oracle.errors import StaleVoucher
from oracle.ports.views import CreditTotals, HeldVoucher, ViewAnswer
from oracle.storage.storage import Storage, open_storage
from tests.storage.building import ALICE, SteppingClock, new_id, request

CREDIT, OTHER_CREDIT = Address("0x" + "cc" * 20), Address("0x" + "dd" * 20)
BOB = address("0x" + "b0" * 20)


def _view(deadline: int = 2_000_000_000, **changes: object) -> ViewAnswer:
    unsigned = ViewAnswer(
        new_id(),
        request(deadline=deadline, nonce=2**63 + 5, fee=10**27),
        b"\x00result\xff" * 300,
        bytes(range(32)),
        deadline - 60,
    )
    return replace(unsigned, **changes)  # type: ignore[arg-type]


async def test_what_is_kept_is_found_whole_and_by_whoever_opens_it_next(
    storage: Storage, location: str, clock: SteppingClock
) -> None:
    unsigned = _view()
    signed = replace(
        unsigned,
        signer=Address(ALICE),
        accept_signature=b"\x01" * 65,
        answer_signature=b"\x02" * 65,
    )
    await storage.views.keep(unsigned)
    assert await storage.views.view(unsigned.request_id) == unsigned
    await storage.views.keep(signed)
    other = open_storage(location, clock)
    try:
        assert await other.views.view(unsigned.request_id) == signed
    finally:
        await other.close()


async def test_a_signed_answer_is_not_lost_to_an_unsigned_one(storage: Storage) -> None:
    unsigned = _view()
    signed = replace(unsigned, signer=Address(ALICE), answer_signature=b"\x02" * 65)
    other = replace(unsigned, result=b"another")
    views = storage.views
    assert await views.keep(unsigned) == unsigned
    assert await views.keep(other) == other
    assert await views.keep(signed) == signed
    assert await views.keep(other) == signed
    await views.drop([signed.request_id], unsigned=True)
    assert await views.view(signed.request_id) == signed
    await views.drop([signed.request_id])
    await views.keep(other)
    await views.drop([other.request_id], unsigned=True)
    assert await views.view(other.request_id) is None


async def test_several_are_read_at_once_and_unknown_ones_left_out(storage: Storage) -> None:
    kept = [_view() for _ in range(3)]
    for one in kept:
        await storage.views.keep(one)
    wanted = [one.request_id for one in kept[1:]]
    found = await storage.views.views_of([*wanted, new_id()])
    assert found == {one.request_id: one for one in kept[1:]}
    assert await storage.views.views_of([]) == {}
    assert await storage.views.view(new_id()) is None


async def test_those_that_are_past_are_listed_and_dropped(storage: Storage) -> None:
    late, early, middle = (_view(at) for at in (300, 100, 200))
    for one in (late, early, middle):
        await storage.views.keep(one)
    assert list(await storage.views.past(300, limit=9)) == [early, middle]
    assert list(await storage.views.past(301, limit=1)) == [early]
    await storage.views.drop([early.request_id, middle.request_id, new_id()])
    assert list(await storage.views.past(10**9, limit=9)) == [late]


# ---- paid


def _voucher(total: int, payer: str = ALICE) -> HeldVoucher:
    return HeldVoucher(Address(payer), total, bytes([total % 256]) * 65)


def _signed(**changes: object) -> ViewAnswer:
    return _view(signer=Address(BOB), answer_signature=b"\x02" * 65, **changes)


async def test_an_answer_and_its_voucher_are_kept_together_or_not_at_all(
    storage: Storage, location: str, clock: SteppingClock
) -> None:
    first, second = _signed(), _signed()
    unsigned = replace(second, signer=None, answer_signature=b"")
    views, vouchers = storage.views, storage.vouchers
    assert await views.keep_paid(first, CREDIT, _voucher(10), 10) == first
    await views.keep(unsigned)
    for total in (10, 19, 5):
        with pytest.raises(StaleVoucher):
            await views.keep_paid(second, CREDIT, _voucher(total), 10)
        assert await views.view(second.request_id) == unsigned
        assert await vouchers.voucher(CREDIT, Address(ALICE)) == _voucher(10)
    await views.keep_paid(second, CREDIT, _voucher(20), 10)
    other = open_storage(location, clock)
    try:
        assert await other.vouchers.voucher(CREDIT, Address(ALICE)) == _voucher(20)
        assert await other.views.bought(Address(ALICE), 20) == second
        assert await other.views.bought(Address(ALICE), 10) == first
    finally:
        await other.close()
    assert await views.bought(Address(ALICE), 15) is None
    assert await views.bought(Address(BOB), 10) is None


async def test_an_answer_is_charged_once_whoever_signs_it_again(storage: Storage) -> None:
    first = _signed()
    again = replace(first, signer=Address(ALICE), answer_signature=b"\x03" * 65)
    views = storage.views
    await views.keep_paid(first, CREDIT, _voucher(10), 10)
    assert await views.keep_paid(again, CREDIT, _voucher(20), 10) == again
    assert await storage.vouchers.voucher(CREDIT, Address(ALICE)) == _voucher(10)
    assert await views.keep(first) == first, "nor is it forgotten who paid"
    assert await views.bought(Address(ALICE), 10) == first


async def test_vouchers_outlive_their_answers_and_say_what_is_owed(storage: Storage) -> None:
    views, vouchers = storage.views, storage.vouchers
    large = 2**96 - 1
    for payer, total in ((ALICE, 30), (BOB, large)):
        kept = _signed()
        await views.keep_paid(kept, CREDIT, _voucher(total, payer), 10)
        await views.drop([kept.request_id])
    await views.keep_paid(_signed(), OTHER_CREDIT, _voucher(7), 7)
    alice, bob = Address(ALICE), Address(BOB)
    by_payer = {one.payer: one for one in await vouchers.uncollected(CREDIT)}
    assert {key: one.owed for key, one in by_payer.items()} == {alice: 30, bob: large}
    assert await vouchers.totals(CREDIT) == CreditTotals(owed=large + 30, collected=0)
    await vouchers.note_collected(CREDIT, {alice: 30, bob: large - 5})
    assert [one.payer for one in await vouchers.uncollected(CREDIT)] == [bob]
    assert len(await vouchers.vouchers(CREDIT)) == 2
    assert await vouchers.totals(CREDIT) == CreditTotals(owed=5, collected=large + 25)
    assert await vouchers.totals(OTHER_CREDIT) == CreditTotals(owed=7, collected=0)
    await views.keep_paid(_signed(), CREDIT, _voucher(40), 10)
    found = await vouchers.voucher(CREDIT, alice)
    assert found is not None
    assert (found.total, found.collected) == (40, 30)
