"""Answers in views: whose turn it is, what is refused, what is on record, and how much is free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from oracle.chain.keystore import LocalSigner
from oracle.core.job import Job, JobState
from oracle.core.operator import Offer
from oracle.core.receipt import recover
from oracle.core.request import FIRST_SIGNED_NONCE
from oracle.core.types import ZERO_ADDRESS, Address, Tier
from oracle.core.view_price import read_prices
from oracle.core.voucher import Credit, Payment, Voucher, credit_domain
from oracle.errors import (
    InputError,
    NotFound,
    OracleError,
    PaymentInvalid,
    PaymentRequired,
    RateLimited,
    RunCrashed,
    SignedTwice,
    StaleVoucher,
    TensorError,
    UnusableOutput,
    ViewRefused,
)
from oracle.ports.inference import CommittedTrace, Inference, Tensors
from oracle.ports.traces import TraceUsage
from oracle.ports.views import HeldVoucher, ViewAnswer, ViewQuestion
from oracle.program.instruction import Trace
from oracle.service import sign, view
from oracle.service.infer import Infer
from oracle.service.policy import Policy
from oracle.service.retain import owed_until
from oracle.service.view import Views
from oracle.service.view_limits import Buckets, network_of
from oracle.service.view_promises import ViewPromises
from oracle.service.view_terms import ViewRules, ViewTerms
from oracle.service.view_vouchers import ViewVouchers
from tests.service.fakes import (
    DOMAIN,
    FEE,
    INPUT,
    OPERATOR,
    OUTPUT,
    REQUESTER,
    SIGNER,
    STRANGER,
    Clock,
    Engine,
    Gateway,
    Jobs,
    Registry,
    Staking,
    Traces,
    block,
    good,
    model,
)

ROOT = b"\x09" * 32
ASKED = ViewQuestion(REQUESTER, OPERATOR, model().id, INPUT)


class Offering(Staking):
    def __init__(self) -> None:
        super().__init__()
        self.standing = Offer(FEE, 100 * FEE, 10, 2, 3_600, 0)

    async def offer(self, operator: Address, model_id: bytes) -> Offer:
        return self.standing


class Store:
    """Views by id."""

    def __init__(self) -> None:
        self.rows: dict[bytes, ViewAnswer] = {}
        self.paid: dict[bytes, HeldVoucher] = {}

    async def keep_paid(
        self, answer: ViewAnswer, contract: Address, voucher: HeldVoucher, price: int
    ) -> ViewAnswer:
        if answer.request_id not in self.paid:
            if voucher.total < self.highest(voucher.payer) + price:
                raise StaleVoucher("another came first")
            self.paid[answer.request_id] = voucher
        self.rows[answer.request_id] = answer
        return answer

    async def bought(self, payer: Address, total: int) -> ViewAnswer | None:
        found = [key for key, one in self.paid.items() if (one.payer, one.total) == (payer, total)]
        return self.rows.get(found[0]) if found else None

    async def voucher(self, contract: Address, payer: Address) -> HeldVoucher | None:
        found = [one for one in self.paid.values() if one.payer == payer]
        return max(found, key=lambda one: one.total, default=None)

    def highest(self, payer: Address) -> int:
        return max((one.total for one in self.paid.values() if one.payer == payer), default=0)

    async def view(self, request_id: bytes) -> ViewAnswer | None:
        return self.rows.get(request_id)

    async def views_of(self, request_ids: Sequence[bytes]) -> Mapping[bytes, ViewAnswer]:
        return {one: self.rows[one] for one in request_ids if one in self.rows}

    async def keep(self, answer: ViewAnswer) -> ViewAnswer:
        known = self.rows.get(answer.request_id)
        if known is not None and known.signer is not None and answer.signer is None:
            return known
        self.rows[answer.request_id] = answer
        return answer

    async def drop(self, request_ids: Sequence[bytes], *, unsigned: bool = False) -> None:
        for one in request_ids:
            if not unsigned or self.rows[one].signer is None:
                del self.rows[one]

    async def past(self, deadline: int, *, limit: int) -> Sequence[ViewAnswer]:
        return [one for one in self.rows.values() if one.request.deadline < deadline][:limit]


class Held(Traces):
    held = 0

    async def usage(self) -> TraceUsage:
        return TraceUsage(1, self.held, self.held, 1_000, None, 0)


class Changing:
    """A handover: when the next key takes over."""

    at: int | None = None

    def pause_until(self, chain_time: int) -> int | None:
        return self.at if self.at is not None and chain_time >= self.at else None


CREDIT_DOMAIN = credit_domain(DOMAIN.chain_id, Address("0x" + "cc" * 20))
PAYER = LocalSigner.from_mnemonic("test " * 11 + "junk", 4)


class Credits:
    """Credits by payer, as the chain has them."""

    address = CREDIT_DOMAIN.verifying_contract

    def __init__(self) -> None:
        self.of: dict[Address, Credit] = {PAYER.address: Credit(100 * FEE, 0, 0)}
        self.looks = 0

    async def credits_of(self, operator: Address, payers: Sequence[Address]) -> Sequence[Credit]:
        self.looks += 1
        return [self.of.get(one, Credit(0, 0, 0)) for one in payers]

    def collect_data(self, operator: Address, vouchers: Sequence[HeldVoucher]) -> bytes:
        raise NotImplementedError


def payment(total: int) -> Payment:
    digest = Voucher(PAYER.address, OPERATOR, total).digest(CREDIT_DOMAIN)
    return Payment(total, PAYER.sign_digest(digest))


class Bench:
    """The service with everything it needs."""

    def __init__(
        self, *, names: str = "model-1", tier: Tier = Tier.UNPROVEN, policy: Policy | None = None
    ) -> None:
        made = model()
        self.model = replace(made, name="model-1", terms=replace(made.terms, tier=tier))
        self.jobs, self.engine, self.clock = Jobs(), Engine(), Clock()
        self.store, self.traces, self.staking = Store(), Held(), Offering()
        self.gateway, self.registry = Gateway(), Registry(self.model)
        self.handover = Changing()
        self.shut: str | None = None
        if tier is not Tier.UNPROVEN:
            self.engine.behave = lambda _: traced()
        rules = ViewRules(read_prices(names), 300, 60, 100)
        terms = ViewTerms(
            self.jobs, self.registry, self.staking, self.gateway, self.clock, DOMAIN,
            policy or Policy(answer_margin_seconds=60), rules,
        )  # fmt: skip
        self.views = Views(
            terms, self.store, self.jobs, self.engine, self.traces, SIGNER, self.clock, DOMAIN,
            OPERATOR, closed=lambda: self.shut, handover=self.handover, vouchers=self.vouchers(),
        )  # fmt: skip

    def vouchers(self) -> ViewVouchers:
        self.credits = Credits()
        return ViewVouchers(self.store, self.credits, self.clock, CREDIT_DOMAIN, OPERATOR)

    async def answer(self, **changes: Any) -> ViewAnswer:
        return await self.views.answer(replace(ASKED, **changes))

    def kill_before_it_is_signed(self, found: ViewAnswer) -> None:
        """Only the row is left of it: no trace was kept, nothing was signed."""
        self.traces.kept.clear()
        self.store.rows[found.request_id] = replace(
            found, signer=None, accept_signature=b"", answer_signature=b""
        )

    async def bound_by(self, found: ViewAnswer) -> Job:
        """The job of an answer's request, once the node has worked on it."""
        job = self.jobs.add(JobState.ACCEPTED, found.request, accepted=True)
        infer = Infer(
            self.jobs, self.registry, self.engine, self.traces, SIGNER, self.clock, DOMAIN,
            OPERATOR, promised=ViewPromises(self.store, self.traces, self.jobs, DOMAIN),
        )  # fmt: skip
        assert await infer.cycle()
        return job


def traced() -> Inference:
    committed = CommittedTrace(ROOT, b"\x01" * 32, Trace(((np.zeros(1, np.float32),),)))
    return replace(good(), trace=committed)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.views.close()


# ---- what is signed


async def test_the_terms_are_those_that_the_caller_would_have_to_send(bench: Bench) -> None:
    found = await bench.answer()
    request = found.request
    assert (request.requester, request.operator) == (REQUESTER, OPERATOR)
    assert (request.fee, request.bond, request.window) == (FEE, 20 * FEE, 5)
    assert (request.consumer, request.callback_gas_limit, request.eager) == (ZERO_ADDRESS, 0, False)
    assert request.nonce >= FIRST_SIGNED_NONCE
    now = max(int(bench.clock.now()), await bench.gateway.chain_time())
    assert 300 <= request.deadline - now <= 360
    assert request.deadline % 60 == 0
    assert found.accept_until == request.deadline - 60
    assert found.request_id == request.id(DOMAIN)
    assert found.result == OUTPUT.tobytes()


async def test_both_signatures_are_on_the_sign_once_record(bench: Bench) -> None:
    found = await bench.answer()
    for kind, signature in (
        ("accept", found.accept_signature),
        (sign.SIGNATURE_KIND, found.answer_signature),
    ):
        digest = bench.jobs.signatures[kind, found.request_id]
        assert recover(digest, signature) == SIGNER.address
    assert bench.store.rows == {found.request_id: found}


async def test_a_question_is_run_once_however_often_it_is_put(bench: Bench) -> None:
    found = await asyncio.gather(*(bench.answer() for _ in range(5)))
    assert {one.request_id for one in found} == {(await bench.answer()).request_id}
    assert bench.engine.runs == 1
    assert (await bench.answer(caller=STRANGER)).request_id != found[0].request_id
    bench.clock.seconds += 10_000
    assert (await bench.answer()).request_id != found[0].request_id


async def test_a_request_that_was_sent_is_another_the_next_time(bench: Bench) -> None:
    first = await bench.answer()
    bench.jobs.add(JobState.SETTLED, first.request)
    second = await bench.answer()
    assert second.request_id != first.request_id
    assert replace(second.request, nonce=0) == replace(first.request, nonce=0)
    for _ in range(14):
        bench.jobs.add(JobState.SETTLED, (await bench.answer()).request)
    bench.jobs.add(JobState.SETTLED, (await bench.answer()).request)
    with pytest.raises(ViewRefused, match="were sent in this minute"):
        await bench.answer()


async def test_another_key_signs_the_same_answer_again(bench: Bench) -> None:
    first = await bench.answer()
    bench.store.rows[first.request_id] = replace(first, signer=STRANGER)
    again = await bench.answer()
    assert again == first
    assert bench.engine.runs == 1


async def test_what_was_signed_for_its_job_first_is_not_signed_again(bench: Bench) -> None:
    found = await bench.answer()
    bench.store.rows.clear()
    bench.jobs.signatures[sign.SIGNATURE_KIND, found.request_id] = bytes(32)
    with pytest.raises(ViewRefused) as refused:
        await bench.answer()
    assert isinstance(refused.value.__cause__, SignedTwice)
    assert not bench.store.rows, "what was not signed is promised to nobody"


async def test_another_workers_answer_that_is_signed_stands(bench: Bench) -> None:
    theirs = await bench.answer()
    bench.store.rows.clear()
    run = bench.engine.behave

    def meanwhile(inputs: Tensors) -> Inference | OracleError:
        bench.store.rows[theirs.request_id] = theirs
        return run(inputs)

    bench.engine.behave = meanwhile
    assert await bench.answer() == theirs
    assert bench.store.rows == {theirs.request_id: theirs}


async def test_a_program_is_signed_with_its_trace_kept() -> None:
    bench = Bench(tier=Tier.ROUNDED)
    found = await bench.answer()
    assert found.trace_root == ROOT
    assert bench.traces.until == {found.request_id: owed_until(found.request) + 100}
    bench.kill_before_it_is_signed(found)
    assert await bench.answer() == found
    assert bench.engine.runs == 2


async def test_a_job_of_a_view_is_answered_by_what_is_on_record() -> None:
    bench = Bench(tier=Tier.ROUNDED)
    found = await bench.answer()
    job = await bench.bound_by(found)
    now = bench.jobs.now(job)
    assert (now.state, now.result) == (JobState.COMPUTED, found.result)
    assert now.answer is not None
    assert now.answer.trace_root == ROOT
    assert bench.engine.runs == 1, "it is not run again"
    assert bench.traces.until[job.request_id] == owed_until(found.request)


async def test_a_job_of_a_view_whose_trace_was_never_kept_is_run() -> None:
    """Killed, or out of disk, between the row and its trace: what is posted must be shown, too."""
    bench = Bench(tier=Tier.ROUNDED)
    found = await bench.answer()
    bench.kill_before_it_is_signed(found)
    bench.jobs.signatures.clear()
    job = await bench.bound_by(found)
    assert bench.jobs.now(job).state is JobState.COMPUTED
    assert bench.engine.runs == 2
    assert await bench.traces.find(ROOT) is not None


async def test_a_job_of_a_view_that_was_about_to_be_signed_is_answered_as_that_would_be() -> None:
    """Another worker's, whose trace is not here: no other result can ever be signed."""
    bench = Bench(tier=Tier.ROUNDED)
    found = await bench.answer()
    bench.kill_before_it_is_signed(found)
    job = await bench.bound_by(found)
    now = bench.jobs.now(job)
    assert (now.state, now.result) == (JobState.COMPUTED, found.result)
    assert bench.engine.runs == 1


async def test_views_are_forgotten_and_their_traces_let_go() -> None:
    bench = Bench(tier=Tier.ROUNDED)
    idle, sent = await bench.answer(), await bench.answer(caller=STRANGER)
    bench.jobs.add(JobState.SETTLED, sent.request)
    deadline = idle.request.deadline
    assert not await bench.views.cycle(), "before the chain was read"
    bench.jobs.blocks.append(replace(block(5), timestamp=deadline + 600))
    assert not await bench.views.cycle()
    assert len(bench.store.rows) == 2
    bench.jobs.blocks.append(replace(block(6), timestamp=deadline + 601))
    await bench.views.cycle()
    assert not bench.store.rows
    assert bench.traces.until[idle.request_id] == 0.0
    assert bench.traces.until[sent.request_id] > deadline


# ---- what is refused


async def test_what_is_not_answered_here(bench: Bench) -> None:
    for wrong, error in (
        ({"operator": STRANGER}, NotFound),
        ({"model_id": bytes(32)}, NotFound),
        ({"caller": ZERO_ADDRESS}, InputError),
        ({"input": INPUT[:-1]}, TensorError),
    ):
        with pytest.raises(error):
            await bench.answer(**wrong)
    others = Bench(names="another")
    with pytest.raises(NotFound, match="not answered in views"):
        await others.answer()
    by_id = Bench(names="0x" + model().id.hex())
    assert (await by_id.answer()).result


async def test_what_the_operator_would_not_take_on_is_not_signed(bench: Bench) -> None:
    bench.staking.free = 20 * FEE - 1
    with pytest.raises(ViewRefused, match="free stake"):
        await bench.answer()
    later = Bench()
    later.staking.standing = replace(later.staking.standing, capacity=0)
    with pytest.raises(NotFound, match="no standing offer"):
        await later.answer()
    large = Bench()
    large.staking.standing = replace(large.staking.standing, max_bond=20 * FEE - 1)
    with pytest.raises(NotFound, match="above its largest"):
        await large.answer()
    deprecated = Bench()
    deprecated.registry.models[deprecated.model.id] = replace(deprecated.model, deprecated_at=1)
    with pytest.raises(NotFound, match="deprecated"):
        await deprecated.answer()
    assert not bench.jobs.signatures | later.jobs.signatures | deprecated.jobs.signatures


async def test_a_node_that_may_not_sign_gives_no_view(bench: Bench) -> None:
    bench.shut = "the node is ending"
    with pytest.raises(ViewRefused, match="the node is ending"):
        await bench.answer()
    bench.shut = None
    bench.handover.at = 1
    with pytest.raises(ViewRefused, match="about to change"):
        await bench.answer()


async def test_paid_jobs_come_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = bench.jobs.add(JobState.ACCEPTED)
    waiting = asyncio.create_task(bench.answer())
    await asyncio.sleep(0.1)
    assert bench.engine.runs == 0
    del bench.jobs.table[job.request_id]
    await waiting
    assert bench.engine.runs == 1
    monkeypatch.setattr(view, "_PATIENCE_SECONDS", 0.1)
    bench.jobs.add(JobState.ACCEPTED)
    with pytest.raises(ViewRefused, match="busy with paid requests"):
        await bench.answer(caller=STRANGER)


async def test_so_many_at_once_and_no_more(bench: Bench) -> None:
    bench.jobs.add(JobState.ACCEPTED)
    callers = [Address(f"0x{number:040x}") for number in range(1, 18)]
    waiting = [asyncio.create_task(bench.answer(caller=one)) for one in callers[:16]]
    await asyncio.sleep(0.01)
    with pytest.raises(ViewRefused, match="busy"):
        await bench.answer(caller=callers[16])
    bench.jobs.table.clear()
    await asyncio.gather(*waiting)


async def test_traces_of_jobs_keep_half_of_the_room() -> None:
    bench = Bench(tier=Tier.ROUNDED)
    bench.traces.held = 501
    with pytest.raises(ViewRefused, match="no room"):
        await bench.answer()
    bench.traces.held = 500
    assert (await bench.answer()).trace_root == ROOT


async def test_an_input_that_ends_the_process_is_not_run_again(bench: Bench) -> None:
    bench.engine.behave = lambda _: RunCrashed("the process ended")
    with pytest.raises(RunCrashed):
        await bench.answer()
    with pytest.raises(ViewRefused, match="failed before"):
        await bench.answer(caller=STRANGER)
    assert bench.engine.runs == 1
    for number in (2.0, 3.0):
        with pytest.raises(RunCrashed):
            await bench.answer(input=np.array([[number, number]], np.float32).tobytes())
    bench.engine.behave = lambda _: good()
    fine = np.array([[9.0, 9.0]], np.float32).tobytes()
    with pytest.raises(ViewRefused, match="failed lately"):
        await bench.answer(input=fine)
    bench.clock.seconds += 700
    assert (await bench.answer(input=fine)).result


async def test_an_input_without_output_is_the_callers_fault(bench: Bench) -> None:
    bench.engine.behave = lambda _: UnusableOutput("NaN")
    with pytest.raises(InputError, match="no output for this input"):
        await bench.answer()
    assert not bench.store.rows


# ---- what is paid


@pytest.fixture
async def shop() -> AsyncIterator[Bench]:
    """An answer costs half an OPG, of the base units that the fee has."""
    made = Bench(names="model-1=0.5")
    yield made
    await made.views.close()


HALF = 10**18 // 2


async def _reason(bench: Bench, total: int | None, **changes: Any) -> PaymentRequired:
    paid = None if total is None else payment(total)
    with pytest.raises(PaymentRequired) as refused:
        await bench.answer(caller=PAYER.address, payment=paid, **changes)
    return refused.value


async def _paid(bench: Bench, total: int, **changes: Any) -> ViewAnswer:
    return await bench.answer(caller=PAYER.address, payment=payment(total), **changes)


OTHER = np.array([[5.0, 6.0]], np.float32).tobytes()


async def test_no_price_is_asked_for_what_would_be_refused(shop: Bench) -> None:
    standing, free = shop.staking.standing, shop.staking.free
    for spoilt, error in (
        (replace(standing, max_bond=20 * FEE - 1), NotFound),
        (replace(standing, max_window=4), NotFound),
        (replace(standing, capacity=0), NotFound),
    ):
        shop.staking.standing = spoilt
        shop.clock.seconds += 2  # what was looked up is good for one
        with pytest.raises(error):
            await shop.answer(caller=PAYER.address)
    shop.staking.standing, shop.staking.free = standing, 0
    shop.clock.seconds += 2
    with pytest.raises(ViewRefused, match="free stake") as refused:
        await shop.answer(caller=PAYER.address)
    assert not isinstance(refused.value, PaymentRequired)
    shop.staking.free = free
    shop.clock.seconds += 2
    assert (await _reason(shop, None)).price == HALF


async def test_bounds_that_are_for_requests_beyond_the_offer_are_none_of_a_view() -> None:
    bounds = Policy(minimum_fee=3 * FEE, answer_margin_seconds=60, max_window_seconds=1)
    bench = Bench(names="model-1=0.5", policy=bounds)
    assert (await _reason(bench, None)).price == HALF
    assert (await _paid(bench, HALF)).request.fee == FEE
    assert bench.store.highest(PAYER.address) == HALF
    await bench.views.close()


async def test_a_voucher_is_taken_with_the_signed_answer(shop: Bench) -> None:
    asked = await _reason(shop, None)
    assert (asked.reason, asked.price, asked.total, asked.signature) == ("unpaid", HALF, 0, b"")
    assert shop.engine.runs == 0
    found = await _paid(shop, HALF)
    assert shop.store.paid[found.request_id].total == HALF
    assert await _paid(shop, HALF) == found
    asked = await _reason(shop, None, input=OTHER)
    assert (asked.total, asked.signature) == (HALF, payment(HALF).signature)
    assert shop.engine.runs == 1


async def test_the_voucher_brings_its_answer_later_too_and_no_other(shop: Bench) -> None:
    found = await _paid(shop, HALF)
    shop.clock.seconds += 120
    assert await _paid(shop, HALF) == found
    assert (await _reason(shop, HALF, input=OTHER)).reason == "stale"
    shop.store.rows[found.request_id] = replace(found, signer=STRANGER)
    assert await _paid(shop, HALF) == found, "another key signs it again, for nothing"
    assert [one.total for one in shop.store.paid.values()] == [HALF]


async def test_nothing_is_run_for_a_voucher_that_does_not_pay(shop: Bench) -> None:
    await _paid(shop, 2 * HALF)
    for total, reason in (
        (2 * HALF, "stale"),
        (3 * HALF - 1, "too_low"),
        (100 * FEE + 1, "overdrawn"),
    ):
        assert (await _reason(shop, total, input=OTHER)).reason == reason
    shop.clock.seconds += 2
    shop.credits.of[PAYER.address] = Credit(100 * FEE, 0, 1)
    assert (await _reason(shop, 3 * HALF, input=OTHER)).reason == "withdrawing"
    for wrong in (Payment(3 * HALF, b""), replace(payment(3 * HALF), total=4 * HALF)):
        with pytest.raises(PaymentInvalid):
            await shop.answer(caller=PAYER.address, payment=wrong, input=OTHER)
    with pytest.raises(PaymentInvalid):
        await shop.answer(caller=STRANGER, payment=payment(3 * HALF), input=OTHER)
    assert shop.engine.runs == 1


async def test_what_is_collected_counts_where_the_voucher_is_lost(shop: Bench) -> None:
    shop.credits.of[PAYER.address] = Credit(10 * FEE, 3 * HALF, 0)
    asked = await _reason(shop, None)
    assert (asked.total, asked.signature) == (3 * HALF, b"")
    assert (await _reason(shop, HALF)).reason == "stale"
    assert await _paid(shop, 4 * HALF)


async def test_what_is_collected_counts_where_an_older_voucher_was_put_back(shop: Bench) -> None:
    await _paid(shop, HALF)
    shop.clock.seconds += 2
    shop.credits.of[PAYER.address] = Credit(10 * FEE, 4 * HALF, 0)
    for asked in (
        await _reason(shop, None, input=OTHER),
        await _reason(shop, 2 * HALF, input=OTHER),
    ):
        assert (asked.total, asked.signature) == (4 * HALF, b"")
    assert await _paid(shop, 5 * HALF, input=OTHER)


async def test_a_deposit_counts_at_once(shop: Bench) -> None:
    shop.credits.of[PAYER.address] = Credit(0, 0, 0)
    assert (await _reason(shop, HALF)).reason == "overdrawn"
    shop.credits.of[PAYER.address] = Credit(FEE, 0, 0)
    assert await _paid(shop, HALF)


async def test_of_two_vouchers_alike_one_pays(shop: Bench) -> None:
    given = await asyncio.gather(
        _paid(shop, HALF), _paid(shop, HALF, input=OTHER), return_exceptions=True
    )
    refused = [one for one in given if isinstance(one, PaymentRequired)]
    assert [(one.reason, one.total) for one in refused] == [("stale", HALF)]
    assert shop.engine.runs == 1


async def test_a_voucher_that_came_first_at_another_worker_is_not_charged_over(
    shop: Bench,
) -> None:
    run = shop.engine.behave

    def meanwhile(inputs: Tensors) -> Inference | OracleError:
        shop.store.paid[bytes(32)] = HeldVoucher(PAYER.address, HALF, b"\x01" * 65)
        return run(inputs)

    shop.engine.behave = meanwhile
    assert (await _reason(shop, HALF)).reason == "stale"
    (row,) = shop.store.rows.values()
    assert row.signer is None, "nothing was given, and nothing is owed"
    assert await _paid(shop, 2 * HALF)


async def test_the_chain_is_asked_once_a_second_about_a_payer(shop: Bench) -> None:
    for total in range(HALF // 2, HALF // 2 + 20):
        assert (await _reason(shop, total)).reason == "too_low"
    assert shop.credits.looks == 1


async def test_jobs_come_before_paid_views_too(
    shop: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "_PATIENCE_SECONDS", 0.1)
    shop.jobs.add(JobState.ACCEPTED)
    with pytest.raises(ViewRefused, match="busy with paid requests"):
        await _paid(shop, HALF)
    assert not shop.store.paid


# ---- how much is free


def test_a_bucket_empties_and_fills_evenly() -> None:
    clock = Clock()
    buckets = Buckets("caller", 6, clock.now)
    for _ in range(6):
        buckets.spend("a")
    with pytest.raises(RateLimited, match="6 views a minute are free for each caller") as limited:
        buckets.spend("a")
    assert limited.value.seconds == pytest.approx(10.0)
    buckets.spend("b")
    clock.seconds += 10.0
    buckets.spend("a")
    with pytest.raises(RateLimited):
        buckets.spend("a")
    clock.seconds += 1_000_000.0
    for _ in range(6):
        buckets.spend("a")
    with pytest.raises(RateLimited):
        buckets.spend("a")
    clock.seconds -= 500.0  # a clock that is set back gives nothing and takes nothing
    with pytest.raises(RateLimited):
        buckets.spend("a")


def test_buckets_are_so_many_and_no_more() -> None:
    buckets = Buckets("client", 1, Clock().now, most=3)
    for name in "abcd":
        buckets.spend(name)
    assert len(buckets) == 3
    with pytest.raises(RateLimited):
        buckets.spend("d")
    buckets.spend("a")


def test_a_subscriber_of_version_6_is_one_client() -> None:
    assert network_of("203.0.113.7") == "203.0.113.7"
    assert network_of("2001:db8:1:2::5") == network_of("2001:db8:1:2:ffff::1%eth0")
    assert network_of("2001:db8:1:3::5") != network_of("2001:db8:1:2::5")
    assert network_of("::ffff:203.0.113.7") == "203.0.113.7"
    assert network_of("unknown") == "unknown"
