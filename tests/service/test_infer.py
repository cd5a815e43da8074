"""From a bound job to a signed result: retries, inputs without output, what is never redone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle.core.economics import Estimate
from oracle.core.job import Job, JobState, Trigger
from oracle.core.model import Model
from oracle.core.receipt import Answer, recover
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.court.commitment import no_rows_root
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import (
    ChainUnreachable,
    InferenceError,
    ModelFileError,
    NotFound,
    OracleError,
    RunCrashed,
    RunCutShort,
    RunTimedOut,
    SignerUnreachable,
    UnusableOutput,
    WrongSigner,
)
from oracle.ports.inference import CommittedTrace, Inference, Tensors
from oracle.ports.jobs import JobMove
from oracle.ports.traces import LeftOut
from oracle.program.instruction import Trace
from oracle.service.breaker import Breaker
from oracle.service.estimate import Estimator
from oracle.service.infer import Infer
from oracle.service.policy import ANSWER_GAS, SETTLE_GAS, Policy
from oracle.service.retain import owed_until
from oracle.service.sign import SIGNATURE_KIND
from oracle.storage.storage import open_leases, open_storage
from tests.service.fakes import (
    DOMAIN,
    NOW,
    OPERATOR,
    OUTPUT,
    REQUESTER,
    SIGNER,
    Clock,
    Engine,
    Gateway,
    Jobs,
    Registry,
    Traces,
    block,
    good,
    model,
    request,
    seen,
)

STRANGER_KEY = signer_of(Person.WATCHER)


class Bench:
    """The verb with everything it needs, and a bound job."""

    def __init__(self, *numbers: int) -> None:
        self.jobs, self.engine, self.clock = Jobs(), Engine(), Clock()
        self.traces = Traces()
        self.registry = Registry(*(model(number) for number in numbers or (1,)))
        self.breaker = Breaker(self.clock)
        self.infer = Infer(
            self.jobs,  # type: ignore[arg-type]
            self.registry,
            self.engine,
            self.traces,
            SIGNER,
            self.clock,
            DOMAIN,
            OPERATOR,
            breaker=self.breaker,
            estimate=Estimator(Gateway(), self.registry, self.clock, Policy()).bound,
        )

    def bound(self, **changes: object) -> Job:
        return self.jobs.add(JobState.ACCEPTED, accepted=True, **changes)  # type: ignore[arg-type]

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            await self.infer.cycle()
            self.clock.seconds += 60


async def test_a_result_is_saved_with_a_signature_over_it() -> None:
    bench = Bench()
    job = bench.bound()
    assert await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert done.state is JobState.COMPUTED
    assert done.result == OUTPUT.tobytes()
    assert done.answer == Answer.of(job.request_id, job.request, OPERATOR, OUTPUT.tobytes())
    assert done.signature is not None
    digest = done.answer.digest(DOMAIN)
    assert recover(digest, done.signature) == SIGNER.address
    assert bench.jobs.signatures[SIGNATURE_KIND, job.request_id] == digest


async def test_nothing_bound_is_nothing_done() -> None:
    assert not await Bench().infer.cycle()


async def test_a_saved_signature_is_used_again_and_the_model_is_not_run() -> None:
    bench = Bench()
    job = bench.bound(signature=b"\x05" * 65, result=b"old")
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert (done.state, done.result, done.signature) == (JobState.COMPUTED, b"old", b"\x05" * 65)
    assert bench.engine.runs == 0


async def test_a_run_that_fails_is_tried_again_later() -> None:
    bench = Bench()
    bench.engine.behave = lambda _: InferenceError("out of memory")
    job = bench.bound()
    await bench.infer.cycle()
    waiting = bench.jobs.now(job)
    assert (waiting.state, waiting.attempts) == (JobState.ACCEPTED, 1)
    assert waiting.not_before > NOW
    assert waiting.reason == "out of memory"
    assert not await bench.infer.cycle(), "not before its time"
    bench.engine.behave = lambda _: good()
    bench.clock.seconds = waiting.not_before
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert (done.state, done.attempts, done.reason) == (JobState.COMPUTED, 0, None)


async def test_a_run_that_keeps_failing_is_tried_until_the_deadline() -> None:
    bench = Bench()
    bench.engine.behave = lambda _: InferenceError("out of memory")
    job = bench.bound()
    await bench.rounds(5)
    assert bench.jobs.now(job).state is JobState.ACCEPTED
    assert bench.engine.runs > 3
    bench.clock.seconds = job.request.deadline + 1.0
    await bench.infer.cycle()
    assert bench.jobs.now(job).state is JobState.FAILED
    assert bench.jobs.signatures == {}


async def test_a_result_too_large_to_post_is_answered_with_the_empty_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oracle.service.infer.MAX_RESULT_BYTES", 3)
    bench = Bench()
    job = bench.bound()
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert (done.state, done.result) == (JobState.COMPUTED, b"")
    assert "do not fit a transaction" in (done.reason or "")


async def test_an_input_without_an_output_is_answered_with_the_empty_result() -> None:
    bench = Bench()
    undecodable = bench.bound(request_input=b"\0" * 3)
    not_finite = bench.bound(request_input=np.array([[np.inf, 1]], np.float32).tobytes())
    await bench.infer.cycle()
    assert bench.engine.runs == 0
    bench.engine.behave = lambda _: UnusableOutput("NaN in y")
    unusable = bench.bound()
    await bench.infer.cycle()
    for job in (undecodable, not_finite, unusable):
        done = bench.jobs.now(job)
        assert (done.state, done.result) == (JobState.COMPUTED, b"")
        assert done.signature is not None
        assert (done.reason or "").startswith("unanswerable input")


async def test_one_failure_leaves_its_neighbours_alone() -> None:
    bench = Bench()
    poison = np.array([[-1.0, 0.0]], np.float32)

    def behave(inputs: Tensors) -> Inference | OracleError:
        return InferenceError("no") if inputs["x"][0, 0] < 0 else good()

    bench.engine.behave = behave
    bad = bench.bound(request_input=poison.tobytes())
    fine = bench.bound()
    await bench.infer.cycle()
    assert bench.jobs.now(bad).state is JobState.ACCEPTED
    assert bench.jobs.now(fine).state is JobState.COMPUTED


async def test_a_model_that_cannot_be_loaded_waits_until_the_deadline_and_holds_up_no_other() -> (
    None
):
    bench = Bench(1, 2)
    bench.engine.broken[model(2).terms.program_root] = ModelFileError("not stored here")
    missing = bench.bound(terms=request(model_id=model(2).id))
    unknown = bench.bound(terms=request(model_id=b"\x0f" * 32))
    fine = bench.bound()
    await bench.rounds(8)
    assert bench.jobs.now(fine).state is JobState.COMPUTED
    for job in (missing, unknown):
        waiting = bench.jobs.now(job)
        assert waiting.state is JobState.ACCEPTED
        assert waiting.not_before - bench.clock.seconds <= 30
    bench.clock.seconds = missing.request.deadline + 31
    await bench.infer.cycle()
    assert bench.jobs.now(missing).state is JobState.FAILED
    told = bench.jobs.now(missing).reason or ""
    assert "not stored here" in told
    assert "mend it: oracle model add FILE, with the file" in told, (
        "it is a model of the operator's own"
    )


async def test_a_second_result_for_one_request_is_not_signed_and_spoils_no_other() -> None:
    bench = Bench()
    spoilt, fine = bench.bound(), bench.bound()
    bench.jobs.signatures[SIGNATURE_KIND, spoilt.request_id] = b"\x01" * 32
    await bench.infer.cycle()
    failed = bench.jobs.now(spoilt)
    assert (failed.state, failed.signature) == (JobState.FAILED, None)
    assert "second time" in (failed.reason or "")
    assert bench.jobs.now(fine).state is JobState.COMPUTED


@pytest.mark.parametrize("posted", [OUTPUT.tobytes(), b"other"], ids=["the same", "another"])
async def test_beside_an_answer_that_was_posted_no_other_is_signed(posted: bytes) -> None:
    """Its log is gone after a reorg, and so is what this node had on record when it signed it."""
    bench = Bench()
    bare, fine = bench.bound(), bench.bound()
    answer = Answer.of(bare.request_id, bare.request, OPERATOR, posted)
    bench.jobs.table[bare.request_id] = replace(bare, answer=answer)
    await bench.infer.cycle()
    job = bench.jobs.now(bare)
    if posted == OUTPUT.tobytes():
        assert (job.state, job.answer) == (JobState.COMPUTED, answer)
        assert job.signature is not None
    else:
        assert (job.state, job.signature) == (JobState.FAILED, None)
        assert "another result" in (job.reason or "")
        assert (SIGNATURE_KIND, bare.request_id) not in bench.jobs.signatures
    assert bench.jobs.now(fine).state is JobState.COMPUTED


async def test_the_same_result_is_signed_again_after_a_crash_before_it_was_saved() -> None:
    bench = Bench()
    job = bench.bound()
    await bench.infer.cycle()
    first = bench.jobs.now(job)
    bench.jobs.table[job.request_id] = job
    await bench.infer.cycle()
    assert bench.jobs.now(job).signature == first.signature


async def test_of_a_program_the_empty_result_commits_to_what_was_run() -> None:
    bench = Bench()
    proven = model(2)
    proven = replace(proven, terms=replace(proven.terms, tier=Tier.ROUNDED))
    bench.registry.models[proven.id] = proven
    terms = request(model_id=proven.id)
    malformed = bench.bound(request_input=b"\0" * 3, terms=terms)
    await bench.infer.cycle()
    rejected = bench.bound(terms=replace(terms, nonce=terms.nonce + 2))
    bench.engine.behave = lambda _: UnusableOutput("the model rejects this input")
    await bench.infer.cycle()
    done = bench.jobs.now(malformed)
    assert (done.state, done.result) == (JobState.COMPUTED, b"")
    assert done.answer is not None
    assert done.answer.trace_root == no_rows_root(proven.terms.program_root)
    # Nothing shows that there is no output, so saying so would be convicted.
    assert bench.jobs.now(rejected).state is JobState.ACCEPTED


async def test_of_a_program_nan_is_a_result() -> None:
    bench = Bench()
    proven = model(2)
    proven = replace(proven, terms=replace(proven.terms, tier=Tier.ROUNDED))
    bench.registry.models[proven.id] = proven
    job = bench.bound(terms=request(model_id=proven.id))
    hollow = np.full_like(OUTPUT, np.nan)
    bench.engine.behave = lambda _: replace(traced(b"\x05" * 32), outputs={"y": hollow})
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert (done.state, done.result, done.reason) == (JobState.COMPUTED, hollow.tobytes(), None)
    assert done.answer is not None
    assert done.answer.trace_root == b"\x05" * 32
    assert b"\x05" * 32 in bench.traces.kept


async def test_a_result_that_is_too_large_is_empty_with_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oracle.service.infer.MAX_RESULT_BYTES", 3)
    bench = Bench()
    job = bench.bound()
    bench.engine.behave = lambda _: traced(b"\x05" * 32)
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert done.answer is not None
    assert (done.result, done.answer.trace_root) == (b"", b"\x05" * 32)


def traced(root: bytes) -> Inference:
    trace = CommittedTrace(root, b"\x07" * 32, Trace(((OUTPUT.reshape(-1),),)))
    return replace(good(), trace=trace)


async def test_a_trace_is_kept_before_its_root_is_signed() -> None:
    bench = Bench()
    job = bench.bound()
    bench.engine.behave = lambda _: traced(b"\x05" * 32)
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert done.answer is not None
    assert done.answer.trace_root == b"\x05" * 32
    assert bench.traces.kept[b"\x05" * 32].holder == job.request_id
    assert bench.traces.until[job.request_id] > job.request.deadline + job.request.window


def without_room(*, reveal_window: int = 600) -> tuple[Bench, Job]:
    """A bound job whose trace has no room."""
    bench = Bench()
    (known,) = bench.registry.models.values()
    assert isinstance(known, Model)
    terms = replace(known.terms, reveal_window=reveal_window)
    bench.registry.models[known.id] = replace(known, terms=terms)
    bench.traces.full = True
    bench.engine.behave = lambda _: traced(b"\x05" * 32)
    return bench, bench.bound()


async def test_what_cannot_be_kept_is_signed_where_a_second_run_comes_to_the_same() -> None:
    bench, job = without_room()
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert done.state is JobState.COMPUTED
    assert done.answer is not None
    assert done.answer.trace_root == b"\x05" * 32
    assert (bench.engine.runs, bench.traces.kept) == (2, {})
    (left_out,) = await bench.traces.left_out()
    assert (left_out.root, left_out.holder) == (b"\x05" * 32, job.request_id)
    assert (left_out.window, left_out.seconds) == (600, pytest.approx(1.0, abs=0.5))
    assert bench.traces.until[job.request_id] == owed_until(job.request)


async def test_what_can_neither_be_kept_nor_made_again_is_not_signed() -> None:
    bench, job = without_room()
    bench.engine.behave = lambda _: traced(bench.engine.runs.to_bytes(32, "big"))
    await bench.infer.cycle()
    waiting = bench.jobs.now(job)
    assert waiting.state is JobState.ACCEPTED
    assert waiting.signature is None
    assert waiting.reason is not None
    assert waiting.reason.startswith("no room; the trace 0x")
    bench.traces.full = False
    await bench.rounds(2)
    assert bench.jobs.now(job).state is JobState.COMPUTED


async def test_no_more_is_left_out_than_could_be_shown_in_time() -> None:
    """A second each, and half of ten: a fifth might be demanded with the others."""
    bench, first = without_room(reveal_window=10)
    jobs = [first, *(bench.bound() for _ in range(4))]
    for _ in jobs:
        await bench.infer.cycle()
    states = [bench.jobs.now(job).state for job in jobs]
    assert states.count(JobState.COMPUTED) == 4
    (left,) = [job for job in jobs if bench.jobs.now(job).state is JobState.ACCEPTED]
    assert "with 4 others that are not kept" in (bench.jobs.now(left).reason or "")


async def test_the_shortest_time_to_show_any_of_them_is_what_counts() -> None:
    bench, job = without_room(reveal_window=3_600)
    urgent = LeftOut(b"\x01" * 32, b"\x02" * 32, 20.0, 40)
    await bench.traces.leave_out(urgent, NOW + 1_000)
    await bench.infer.cycle()
    assert "half of the 40 s" in (bench.jobs.now(job).reason or "")


async def test_what_was_left_out_before_a_kill_counts_once() -> None:
    bench, job = without_room(reveal_window=4)
    await bench.traces.leave_out(LeftOut(b"\x05" * 32, job.request_id, 1.9, 4), NOW + 1_000)
    await bench.infer.cycle()
    assert bench.jobs.now(job).state is JobState.COMPUTED


async def test_a_second_run_that_ends_the_process_is_a_strike() -> None:
    bench, job = without_room()

    def dies_again(_: Tensors) -> Inference | OracleError:
        return traced(b"\x05" * 32) if bench.engine.runs % 2 else RunCrashed("out of memory")

    bench.engine.behave = dies_again
    await bench.rounds(2)
    assert bench.jobs.now(job).state is JobState.FAILED
    assert bench.engine.runs == 4


class Moody:
    """A signer that gives what it is told to: a signature, another's, or an error."""

    def __init__(self) -> None:
        self.address = SIGNER.address
        self.asked: list[bytes] = []
        self.away: set[int] = set()
        self.lies = False

    async def sign(self, preimage: bytes) -> bytes:
        self.asked.append(preimage)
        if len(self.asked) in self.away:
            raise SignerUnreachable("no signature from it")
        return await (STRANGER_KEY if self.lies else SIGNER).sign(preimage)


def moody(bench: Bench) -> Moody:
    signer = Moody()
    bench.infer._sign._signer = signer
    return signer


async def test_a_result_waits_for_its_signature_and_is_not_computed_again() -> None:
    bench = Bench()
    signer = moody(bench)
    signer.away = {1, 2}
    job = bench.bound()
    for _ in range(2):
        with pytest.raises(SignerUnreachable):
            await bench.infer.cycle()
        waiting = bench.jobs.now(job)
        assert (waiting.state, waiting.signature) == (JobState.ACCEPTED, None)
        assert waiting.result == OUTPUT.tobytes()
        assert waiting.reason == "no signature from it"
    assert bench.jobs.signatures[SIGNATURE_KIND, job.request_id]  # on record before it is asked
    bench.engine.behave = lambda _: InferenceError("must not run again")
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert (done.state, done.reason) == (JobState.COMPUTED, None)
    assert done.answer is not None
    assert done.signature is not None
    assert recover(done.answer.digest(DOMAIN), done.signature) == SIGNER.address
    assert len(set(signer.asked)) == 1  # one preimage, however often it is asked for


async def test_what_was_signed_is_saved_though_its_neighbour_was_not() -> None:
    bench = Bench()
    moody(bench).away = {2}
    first, second, third = bench.bound(), bench.bound(), bench.bound()
    with pytest.raises(SignerUnreachable):
        await bench.infer.cycle()
    states = [bench.jobs.now(job).state for job in (first, second, third)]
    assert sorted(states) == sorted([JobState.COMPUTED, JobState.ACCEPTED, JobState.COMPUTED])
    await bench.infer.cycle()
    assert {bench.jobs.now(job).state for job in (first, second, third)} == {JobState.COMPUTED}


async def test_another_keys_signature_is_not_saved() -> None:
    bench = Bench()
    signer = moody(bench)
    signer.lies = True
    job = bench.bound()
    with pytest.raises(WrongSigner, match="signed with the key of"):
        await bench.infer.cycle()
    assert bench.jobs.now(job).signature is None
    signer.lies = False
    await bench.infer.cycle()
    assert bench.jobs.now(job).state is JobState.COMPUTED


async def test_the_note_of_an_unanswerable_input_outlives_the_wait() -> None:
    bench = Bench()
    moody(bench).away = {1}
    job = bench.bound(request_input=b"\0" * 3)
    with pytest.raises(SignerUnreachable):
        await bench.infer.cycle()
    await bench.infer.cycle()
    done = bench.jobs.now(job)
    assert (done.state, done.result) == (JobState.COMPUTED, b"")
    assert (done.reason or "").startswith("unanswerable input")


# ---- runs that end the process


POISON = np.array([[-1.0, 0.0]], np.float32).tobytes()


def poisoned(kind: type[OracleError]) -> Callable[[Tensors], Inference | OracleError]:
    return lambda inputs: kind("it ended") if inputs["x"][0, 0] < 0 else good()


@pytest.mark.parametrize("kind", [RunCrashed, RunTimedOut])
async def test_poison_is_run_alone_the_second_time_and_given_up(kind: type[OracleError]) -> None:
    bench = Bench()
    bench.engine.behave = poisoned(kind)
    bad, fine = bench.bound(request_input=POISON), bench.bound()
    await bench.infer.cycle()
    struck = bench.jobs.now(bad)
    assert (struck.state, struck.strikes, struck.reason) == (JobState.ACCEPTED, 1, "it ended")
    assert bench.jobs.now(fine).state is JobState.COMPUTED
    bench.clock.seconds = struck.not_before
    late = bench.bound()
    await bench.infer.cycle()
    assert bench.engine.batches[-2:] == [1, 1], "the late one first, and the suspect by itself"
    failed = bench.jobs.now(bad)
    assert (failed.state, failed.strikes) == (JobState.FAILED, 2)
    assert "2 times): it is not run again" in (failed.reason or "")
    assert bench.jobs.now(late).state is JobState.COMPUTED
    runs = bench.engine.runs
    bench.clock.seconds += 100
    assert not await bench.infer.cycle()
    assert bench.engine.runs == runs


async def test_a_suspect_that_was_not_guilty_is_answered() -> None:
    bench = Bench()
    bench.engine.behave = lambda _: RunCrashed("a neighbour's fault")
    job = bench.bound()
    await bench.infer.cycle()
    bench.engine.behave = lambda _: good()
    await bench.rounds(2)
    done = bench.jobs.now(job)
    assert (done.state, done.strikes, done.reason) == (JobState.COMPUTED, 1, None)


async def test_what_was_cut_short_is_no_strike() -> None:
    bench = Bench()
    bench.engine.behave = lambda _: RunCutShort("another's fault")
    job = bench.bound()
    for _ in range(5):
        await bench.rounds(1)
    waiting = bench.jobs.now(job)
    assert (waiting.state, waiting.strikes) == (JobState.ACCEPTED, 0)
    bench.engine.behave = lambda _: good()
    await bench.rounds(2)
    assert bench.jobs.now(job).state is JobState.COMPUTED


async def test_many_suspects_take_turns_and_hold_up_nobody() -> None:
    bench = Bench()
    bench.engine.behave = poisoned(RunTimedOut)
    suspects = [bench.bound(request_input=POISON, strikes=1) for _ in range(4)]
    fine = bench.bound()
    await bench.infer.cycle()
    assert bench.jobs.now(fine).state is JobState.COMPUTED
    states = sorted(bench.jobs.now(one).state for one in suspects)
    assert states == [JobState.ACCEPTED] * 3 + [JobState.FAILED]
    await bench.rounds(4)
    assert {bench.jobs.now(one).state for one in suspects} == {JobState.FAILED}


async def test_an_engine_that_cannot_be_had_is_waited_for() -> None:
    bench = Bench()
    bench.engine.broken[model().terms.program_root] = InferenceError("no process can be started")
    job = bench.bound()
    await bench.rounds(2)
    assert bench.jobs.now(job).state is JobState.ACCEPTED
    bench.engine.broken.clear()
    await bench.rounds(2)
    assert bench.jobs.now(job).state is JobState.COMPUTED


async def test_different_requests_that_fail_in_a_row_stop_intake_and_one_that_runs_ends_it() -> (
    None
):
    bench = Bench()
    bench.engine.behave = lambda _: InferenceError("out of memory")
    for _ in range(4):
        bench.bound()
    await bench.rounds(3)
    assert not bench.breaker.stops, "four requests, however often they fail"
    bench.bound()
    await bench.rounds(1)
    assert "out of memory" in (bench.breaker.why or "")
    bench.engine.behave = lambda _: good()
    await bench.rounds(1)
    assert not bench.breaker.stops


# ---- outputs that are of no use


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": OUTPUT.astype(np.float64)},
        {"y": OUTPUT.reshape(1, 1, 1)},
        {"z": OUTPUT},
        {},
        {"y": np.zeros((2_000, 1), np.float32)},
    ],
    ids=["type", "shape", "name", "none", "rows"],
)
async def test_an_output_that_its_schema_forbids_spoils_its_own_answer_only(
    outputs: dict[str, np.ndarray],  # type: ignore[type-arg]
) -> None:
    bench = Bench(1)
    odd, fine = bench.bound(request_input=POISON), bench.bound()
    bench.engine.behave = lambda inputs: (
        replace(good(), outputs=outputs) if inputs["x"][0, 0] < 0 else good()
    )
    await bench.infer.cycle()
    assert bench.jobs.now(fine).result == OUTPUT.tobytes()
    done = bench.jobs.now(odd)
    assert (done.state, done.result) == (JobState.COMPUTED, b"")
    assert (done.reason or "").startswith("unanswerable input")


async def test_a_program_without_a_trace_is_not_answered() -> None:
    bench = Bench()
    proven = model(2)
    proven = replace(proven, terms=replace(proven.terms, tier=Tier.ROUNDED))
    bench.registry.models[proven.id] = proven
    job = bench.bound(terms=request(model_id=proven.id))
    await bench.infer.cycle()
    waiting = bench.jobs.now(job)
    assert waiting.state is JobState.ACCEPTED
    assert "without its trace" in (waiting.reason or "")


async def test_what_an_offer_took_on_has_its_sum_too() -> None:
    bench = Bench()
    job = bench.bound(terms=request(consumer=REQUESTER, callback_gas_limit=6_300))
    await bench.infer.cycle()
    sum_ = Estimate.from_json(bench.jobs.now(job).economics or "")
    assert (sum_.decision, sum_.objection, sum_.gas.accept) == ("bound", None, 0)
    assert (sum_.gas.callback, sum_.gas.result) == (6_400 + 10_000, OUTPUT.nbytes * (25 + 17))
    assert sum_.cost_wei == (ANSWER_GAS + SETTLE_GAS + 16_400 + 42 * OUTPUT.nbytes) * 100


async def test_without_a_model_or_a_price_at_once_there_is_no_sum() -> None:
    bench, gateway = Bench(), Gateway()
    job = bench.bound()
    told = Estimator(gateway, bench.registry, bench.clock, Policy()).bound
    assert await told(job) is not None
    computed = replace(job, result=bytes(1_000))
    assert Estimate.from_json(await told(computed) or "").gas.result == 25_000
    bench.registry.models[job.request.model_id] = NotFound("no model has this id")
    assert Estimate.from_json(await told(job) or "").gas.result == 0
    bench.registry.models[job.request.model_id] = ChainUnreachable("down")
    assert await told(job) is None


# ---- how many at once


def limited(bench: Bench, fails: Callable[[Sequence[Tensors]], bool]) -> None:
    """An engine whose whole call fails for some groups, as one that runs out of memory does."""
    run = bench.engine.run_each

    async def run_each(
        root: bytes, schema: ModelSchema, inputs: Sequence[Tensors], tier: Tier = Tier.UNPROVEN
    ) -> Sequence[Inference | OracleError]:
        if fails(inputs):
            bench.engine.batches.append(-len(inputs))
            raise InferenceError("the inference process failed: MemoryError: ")
        return await run(root, schema, inputs, tier)

    bench.engine.run_each = run_each  # type: ignore[method-assign]


def proven(bench: Bench) -> bytes:
    """Registers a program; its model's id."""
    made = model(2)
    made = replace(made, terms=replace(made.terms, tier=Tier.ROUNDED))
    bench.registry.models[made.id] = made
    return made.id


async def test_a_group_that_fails_as_a_whole_is_run_in_parts_and_made_smaller() -> None:
    bench = Bench()
    limited(bench, lambda inputs: len(inputs) > 2)
    jobs = [bench.bound() for _ in range(8)]
    await bench.infer.cycle()
    assert {bench.jobs.now(job).state for job in jobs} == {JobState.COMPUTED}
    assert bench.engine.batches == [-8, -4, 2, 2, 2, 2]
    assert not bench.breaker.stops
    more = [bench.bound() for _ in range(3)]
    await bench.infer.cycle()
    await bench.infer.cycle()
    assert bench.engine.batches[6:] == [2, 1]
    assert {bench.jobs.now(job).state for job in more} == {JobState.COMPUTED}
    bench.clock.seconds += 600
    more = [bench.bound(terms=request(deadline=int(NOW) + 2_000)) for _ in range(4)]
    await bench.infer.cycle()
    assert bench.engine.batches[8:] == [-4, 2, 2], "memory may be had again: it is tried anew"


async def test_one_that_fails_every_group_is_put_off_alone_and_makes_no_group_smaller() -> None:
    bench = Bench()
    limited(bench, lambda inputs: any(one["x"][0, 0] < 0 for one in inputs))
    bad = bench.bound(request_input=POISON)
    fine = [bench.bound() for _ in range(7)]
    await bench.infer.cycle()
    waiting = bench.jobs.now(bad)
    assert (waiting.state, waiting.attempts) == (JobState.ACCEPTED, 1)
    assert "MemoryError" in (waiting.reason or "")
    assert {bench.jobs.now(job).state for job in fine} == {JobState.COMPUTED}
    for _ in range(4):
        bench.bound()
    await bench.infer.cycle()
    assert bench.engine.batches[-1] == 4


async def test_without_an_engine_nothing_is_tried_in_parts() -> None:
    bench = Bench()
    bench.engine.broken[model().terms.program_root] = InferenceError("no process can be started")
    jobs = [bench.bound() for _ in range(4)]
    asked: list[int] = []
    load = bench.engine.load

    async def counted(root: bytes, schema: ModelSchema, tier: Tier = Tier.UNPROVEN) -> None:
        asked.append(1)
        await load(root, schema, tier)

    bench.engine.load = counted  # type: ignore[method-assign]
    await bench.infer.cycle()
    assert len(asked) == 1
    assert {bench.jobs.now(job).attempts for job in jobs} == {1}


async def test_the_traces_of_a_group_stay_within_their_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oracle.service.group_size.TRACE_BYTES", 3 * OUTPUT.nbytes)
    bench = Bench()
    terms = {"model_id": proven(bench)}
    two_rows = np.ones((2, 2), np.float32).tobytes()
    bench.engine.behave = lambda inputs: replace(
        good(),
        outputs={"y": np.repeat(OUTPUT, len(inputs["x"]), axis=0)},
        seconds=0.0,
        trace=CommittedTrace(
            b"\x05" * 32, b"\x07" * 32, Trace(((OUTPUT.reshape(-1),),) * len(inputs["x"]))
        ),
    )
    jobs = [
        bench.bound(
            request_input=two_rows,
            terms=request(two_rows, deadline=int(NOW) + 100 + at, **terms),
        )
        for at in range(3)
    ]
    jobs += [bench.bound(terms=request(deadline=int(NOW) + 200 + at, **terms)) for at in range(5)]
    assert await bench.infer.cycle()
    assert bench.engine.batches == [1], "how much it leaves behind is found with one"
    assert bench.jobs.now(jobs[0]).state is JobState.COMPUTED
    while await bench.infer.cycle():
        pass
    assert bench.engine.batches == [1, 1, 2, 3, 1]
    assert {bench.jobs.now(job).state for job in jobs} == {JobState.COMPUTED}


async def test_the_first_answers_do_not_wait_for_a_long_queue() -> None:
    bench = Bench()
    jobs = [bench.bound() for _ in range(40)]
    bench.engine.behave = lambda _: replace(good(), seconds=0.2)
    await bench.infer.cycle()
    assert sum(bench.jobs.now(job).state is JobState.COMPUTED for job in jobs) == 8
    await bench.infer.cycle()
    assert bench.engine.batches == [8, 10], "two seconds' worth"
    bench.engine.behave = lambda _: replace(good(), seconds=1e-6)
    await bench.rounds(2)
    assert bench.engine.batches == [8, 10, 10, 12], "a fast model runs all at once"


# ---- what news from the chain overtakes


async def test_what_is_past_its_deadline_is_given_up_before_anything_is_run() -> None:
    bench = Bench()
    bench.infer._batch = 2
    bench.jobs.blocks.append(replace(block(5), timestamp=int(NOW)))
    dead = [bench.bound(terms=request(deadline=int(NOW) - 1 - at)) for at in range(3)]
    last = bench.bound(terms=request(deadline=int(NOW)))
    live = bench.bound(terms=request(deadline=int(NOW) + 5))
    assert await bench.infer.cycle()
    assert bench.engine.runs == 0
    assert await bench.infer.cycle()
    assert await bench.infer.cycle()
    for job in dead:
        failed = bench.jobs.now(job)
        assert (failed.state, failed.signature) == (JobState.FAILED, None)
        assert failed.reason == "the deadline passed before it was run"
    assert bench.jobs.now(last).state is bench.jobs.now(live).state is JobState.COMPUTED
    assert bench.engine.runs == 2


async def test_one_that_is_overtaken_costs_its_neighbours_nothing() -> None:
    bench = Bench()
    jobs = [bench.bound() for _ in range(5)]

    def behave(_: Tensors) -> Inference | OracleError:
        gone = bench.jobs.now(jobs[0])
        bench.jobs.table[gone.request_id] = replace(gone, state=JobState.DEFAULTED)
        return good()

    bench.engine.behave = behave
    await bench.infer.cycle()
    states = [bench.jobs.now(job).state for job in jobs]
    assert states == [JobState.DEFAULTED] + [JobState.COMPUTED] * 4
    assert bench.engine.runs == 5


# ---- several workers


class Away(Registry):
    """A registry behind an endpoint that does not answer, but for one model."""

    async def model(self, model_id: bytes) -> Model:
        if model_id != model(2).id:
            raise ChainUnreachable("no reply within 10 s")
        return await super().model(model_id)


async def test_what_needs_no_chain_is_run_without_one() -> None:
    bench = Bench()
    bench.infer._registry = Away(model(2))
    waits, known = bench.bound(), bench.bound(terms=request(model_id=model(2).id))
    assert await bench.infer.cycle()
    assert bench.jobs.now(known).state is JobState.COMPUTED
    waiting = bench.jobs.now(waits)
    assert (waiting.state, waiting.attempts) == (JobState.ACCEPTED, 0)
    assert not await bench.infer.cycle(), "it leaves its place to others for a while"
    bench.clock.seconds += 5
    with pytest.raises(ChainUnreachable):
        await bench.infer.cycle()


async def test_a_model_that_cannot_be_looked_up_takes_no_places_of_others() -> None:
    bench = Bench()
    bench.infer._registry = Away(model(2))
    for _ in range(300):
        bench.bound()
    terms = request(model_id=model(2).id)
    known = [bench.bound(terms=replace(terms, deadline=terms.deadline + 1)) for _ in range(20)]
    rounds = 0
    while any(bench.jobs.now(one).state is not JobState.COMPUTED for one in known):
        rounds += 1
        try:
            await bench.infer.cycle()
        except ChainUnreachable:
            assert rounds < 10


async def test_a_worker_that_cannot_reach_the_chain_lets_others_have_its_queue(
    tmp_path: Path,
) -> None:
    clock, database = Clock(), tmp_path / "node.sqlite"
    storages = [open_storage(database, clock, holder=name) for name in ("one", "two")]
    leases = [open_leases(database, name) for name in ("one", "two")]
    for name, (held, _) in zip(("one", "two"), leases, strict=True):
        await held.hold([f"key:31337:{name}"], 60)
    events = [
        replace(one, position=replace(one.position, log_index=at))
        for at, one in enumerate(seen() for _ in range(10))
    ]
    bound = [JobMove(one.request_id, Trigger.ACCEPTED_BY_US, {"accepted": True}) for one in events]
    reader = open_storage(database, clock)
    await reader.jobs.ingest(block(1), events, bound)
    await reader.close()
    away, well = (
        Infer(storage.jobs, registry, Engine(), Traces(), SIGNER, clock, DOMAIN, OPERATOR)
        for storage, registry in zip(storages, (Away(), Registry()), strict=True)
    )
    with pytest.raises(ChainUnreachable):
        await away.cycle()
    clock.seconds += 5
    while await well.cycle():
        pass
    assert len(await storages[0].jobs.jobs([JobState.COMPUTED], limit=99)) == 10
    for storage, (_, connection) in zip(storages, leases, strict=True):
        await connection.close()
        await storage.close()
