"""A full request of a model, timed on this machine: in an inference process, and not for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from oracle.bootstrap.full_request import advice_on, full_requests, full_rows
from oracle.bootstrap.models import prepare_model
from oracle.bootstrap.offer_advice import Advice, FullRequest, NotDone, NotTimed
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.types import Tier
from oracle.devnet.samples import sample
from oracle.inference.model_library import ModelLibrary
from oracle.program.source.model_schema import read_schema
from oracle.settings import Settings
from tests.inference import graphs
from tests.service.fakes import model

OPG = 10**18
OFFER = Offer(OPG, 40 * OPG, 16, 120, 60, 0)
FLOAT = ElementType.FLOAT32


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models")


def stored(library: ModelLibrary, name: str, *, plain: bool = False) -> Model:
    """A sample model that is here, as it would be registered."""
    prepared = prepare_model(sample(name).file, tier=Tier.UNPROVEN if plain else None)
    if prepared.compiled is None:
        library.add(prepared.file.path.read_bytes())
    else:
        library.add_program(prepared.compiled.file)
    terms = replace(model().terms, program_root=prepared.root, tier=prepared.tier)
    return replace(model(), name=name, schema=prepared.schema, terms=terms)


def test_a_full_request_has_as_many_rows_as_schema_and_input_allow() -> None:
    def rows(*shapes: tuple[int | None, ...], most: int = 1_024) -> int:
        given = [TensorSpec(f"x{number}", FLOAT, shape) for number, shape in enumerate(shapes)]
        answer = (None, 1) if any(None in shape for shape in shapes) else (1,)
        return full_rows(ModelSchema(tuple(given), (TensorSpec("y", FLOAT, answer),), most))

    assert rows((None, 4)) == 1_024
    assert rows((None, 4), most=7) == 7
    assert rows((None, 64)) == 384, "98,304 bytes are the most that an input may have"
    assert rows((None, 64), (64,)) == 383
    assert rows((64,)) == 1
    assert rows((None, 100_000)) == 1, "nobody can ask it, and that is not said here"


@pytest.mark.parametrize("plain", [False, True])
async def test_a_small_model_is_timed_and_nothing_is_said_of_it(
    library: ModelLibrary, plain: bool
) -> None:
    subject = stored(library, "digits-mlp", plain=plain)
    async with full_requests(Settings(), library) as timed:
        found = await timed.of(subject)
        assert await timed.of(subject) is found, "each is timed once"
    assert isinstance(found, FullRequest)
    assert found.rows == 384
    assert found.trace_bytes == (0 if plain else 384 * 3_348)
    assert 0 < found.seconds < 20
    assert advice_on(subject, OFFER, 1_000 * OPG, replace(found, seconds=0.1), Settings()) == []


async def test_a_slow_model_with_tight_settings_is_warned_of(library: ModelLibrary) -> None:
    subject = stored(library, "digits-encoder")
    tight = Settings(inference_timeout_seconds=0.01, trace_budget_bytes=1 << 20)
    async with full_requests(tight, library) as timed:
        found = await timed.of(subject)
    assert isinstance(found, FullRequest), "it is not ended by the limit that it is judged by"
    assert found.seconds > 0.01
    given_up, places, traces = advice_on(
        subject, replace(OFFER, capacity=10_000, min_time=2), 1_000 * OPG, found, tight
    )
    assert "a run may take 0.01 s" in given_up.what
    assert "set inference_timeout_seconds to " in given_up.next_step
    assert "10,000 at once" in places.what
    assert traces.note
    quiet = advice_on(subject, replace(OFFER, min_time=2), 0, found, tight, short_on_purpose=True)
    assert [one.what for one in quiet] == [given_up.what]


class _Library:
    """A library whose files are read late, or not."""

    def __init__(
        self, library: ModelLibrary, *, seconds: float = 0.0, error: Exception | None = None
    ) -> None:
        self._library = library
        self._seconds = seconds
        self._error = error

    def read(self, sha256: bytes) -> bytes:
        return self._library.read(sha256)

    def read_program(self, root: bytes) -> bytes:
        time.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        return self._library.read_program(root)


def hanging(library: ModelLibrary) -> Model:
    """A model whose every run takes half a minute or more."""
    file = graphs.hanging()
    plain = library.add(file.SerializeToString())
    terms = replace(model().terms, program_root=plain, tier=Tier.UNPROVEN)
    return replace(model(), schema=read_schema(file), terms=terms)


async def test_what_there_is_no_time_or_no_provider_for_is_a_note(library: ModelLibrary) -> None:
    subject = stored(library, "digits-mlp")
    async with full_requests(Settings(), library, all_seconds=0) as timed:
        found = await timed.of(subject)
    assert found == NotTimed("timing the others took too long")
    (note,) = advice_on(subject, OFFER, 1_000 * OPG, found, Settings())
    assert note.note
    assert "oracle node doctor" in note.next_step
    wanted = Settings(provider="cuda")
    async with full_requests(wanted, library) as timed:
        found = await timed.of(subject)
    if isinstance(found, FullRequest):
        return  # on a machine that has one
    (note,) = advice_on(subject, OFFER, 1_000 * OPG, found, wanted)
    assert note.note


async def test_what_cannot_be_run_is_a_warning(library: ModelLibrary) -> None:
    subject = stored(library, "digits-mlp")
    unread = _Library(library, error=OSError("the disk is on fire"))
    async with full_requests(Settings(), unread) as timed:
        found = await timed.of(subject)
    assert found == NotTimed("the disk is on fire", broken=True)
    (warning,) = advice_on(subject, OFFER, 1_000 * OPG, found, Settings())
    assert not warning.note
    assert "cannot be run here: the disk is on fire; unanswered requests cost" in warning.what
    assert "--capacity 0" in warning.next_step
    absent = replace(subject, terms=replace(subject.terms, program_root=b"\x07" * 32))
    async with full_requests(Settings(), library) as timed:
        found = await timed.of(absent)
        assert isinstance(found, NotTimed)
        assert found.broken
        assert isinstance(await timed.of(subject), FullRequest), "the next one is timed"


async def test_a_run_that_ends_the_process_is_a_warning(library: ModelLibrary) -> None:
    subject = hanging(library)
    async with full_requests(Settings(), library) as timed:
        task = asyncio.create_task(timed.of(subject))
        for _ in range(6_000):
            await asyncio.sleep(0.01)
            if timed._engine is not None and timed._engine.last_progress:
                break
        assert timed._engine is not None
        process = timed._engine.process_id
        assert process is not None
        os.kill(process, signal.SIGKILL)
        found = await task
        assert isinstance(await timed.of(stored(library, "digits-mlp")), FullRequest)
    assert isinstance(found, NotTimed)
    (warning,) = advice_on(subject, OFFER, 1_000 * OPG, found, Settings())
    assert not warning.note
    assert "ends the inference process here: " in warning.what
    assert "unanswered requests cost twice their fee" in warning.what
    assert "inference_memory_mib" in warning.next_step


async def test_loading_does_not_count_and_has_the_time_that_a_node_gives_it(
    library: ModelLibrary,
) -> None:
    subject = stored(library, "digits-mlp")
    late = _Library(library, seconds=4.0)
    async with full_requests(Settings(), late, each_seconds=3) as timed:
        assert isinstance(await timed.of(subject), FullRequest)
    hasty = Settings(model_load_seconds=0.5)
    async with full_requests(hasty, late, each_seconds=60) as timed:
        found = await timed.of(subject)
    assert isinstance(found, NotTimed)
    assert "loading took longer than 0.5 s" in found.why
    assert found.broken


async def test_what_does_not_come_back_is_ended_and_always_warned_of(
    library: ModelLibrary,
) -> None:
    subject = hanging(library)
    async with full_requests(Settings(), library, each_seconds=2) as timed:
        found = await timed.of(subject)
        assert isinstance(await timed.of(stored(library, "digits-mlp")), FullRequest)
    assert isinstance(found, NotDone)
    assert 1.5 < found.seconds < 10, "only what was waited for"

    def said(offer: Offer = OFFER, quiet: bool = False, **changes: float) -> Advice:
        settings = Settings(**changes)  # type: ignore[arg-type]
        (warning,) = advice_on(subject, offer, 0, found, settings, short_on_purpose=quiet)
        assert not warning.note
        assert "was not done within 2" in warning.what
        for number in ("--min-time", "inference_timeout_seconds to", "--capacity 1"):
            assert number not in warning.next_step, "none is known that would do"
        return warning

    assert "is not answered by its deadline costs twice its fee" in said().what
    assert (
        "a run may take 1 s: such a request is given up" in said(inference_timeout_seconds=1).what
    )
    many = replace(OFFER, capacity=100)
    assert "the 100 at once that the offer has places for may have 120 s" in said(many).what
    assert "at once" not in said(many, quiet=True).what
    assert "at once" in said(replace(OFFER, capacity=25), confirmations=2).what
    assert "at once" not in said(replace(OFFER, capacity=25)).what


async def test_a_row_that_was_not_waited_for_is_not_multiplied_by_all_rows(
    library: ModelLibrary,
) -> None:
    subject = stored(library, "digits-mlp", plain=True)
    async with full_requests(Settings(), library, each_seconds=1e-6) as timed:
        found = await timed.of(subject)
    assert isinstance(found, NotDone)
    assert (found.rows, found.tried) == (384, 1)
    assert found.seconds < 10
    (warning,) = advice_on(subject, OFFER, 0, found, Settings())
    assert "of 384 rows, tried with one row, was not done within" in warning.what
    assert "--max-rows" in warning.next_step
