"""A full request of a model, timed on this machine: in an inference process, and not for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oracle.bootstrap.full_request import advice_on, full_requests, full_rows
from oracle.bootstrap.models import prepare_model
from oracle.bootstrap.offer_advice import FullRequest
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
    assert (found.rows, found.at_least) == (384, False)
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


class _Slow:
    """A library whose files are never found, or not."""

    def __init__(self, library: ModelLibrary, error: Exception | None = None) -> None:
        self._library = library
        self._error = error

    def read(self, sha256: bytes) -> bytes:
        return self._library.read(sha256)

    def read_program(self, root: bytes) -> bytes:
        if self._error is not None:
            raise self._error
        return self._library.read_program(root)


async def test_what_cannot_be_timed_is_a_note(library: ModelLibrary) -> None:
    subject = stored(library, "digits-mlp")
    unread = _Slow(library, OSError("the disk is on fire"))
    async with full_requests(Settings(), unread) as timed:
        found = await timed.of(subject)
    assert found == "the disk is on fire"
    absent = replace(subject, terms=replace(subject.terms, program_root=b"\x07" * 32))
    async with full_requests(Settings(), library) as timed:
        assert isinstance(await timed.of(absent), str)
        assert isinstance(await timed.of(subject), FullRequest), "the next one is timed"
    async with full_requests(Settings(), library, all_seconds=0) as timed:
        assert await timed.of(subject) == "timing the others took too long"
    async with full_requests(Settings(), library, each_seconds=0.001) as timed:
        found = await timed.of(subject)
    assert found == "loading it took longer than 0.001 s"
    (note,) = advice_on(subject, OFFER, 1_000 * OPG, found, Settings())
    assert note.note
    assert "oracle node doctor" in note.next_step


async def test_what_does_not_come_back_is_ended_and_takes_at_least_so_long(
    library: ModelLibrary,
) -> None:
    file = graphs.hanging()
    plain = library.add(file.SerializeToString())
    schema = read_schema(file)
    hanging = replace(
        model(), schema=schema, terms=replace(model().terms, program_root=plain, tier=Tier.UNPROVEN)
    )
    async with full_requests(Settings(), library, each_seconds=6) as timed:
        found = await timed.of(hanging)
        assert isinstance(await timed.of(stored(library, "digits-mlp")), FullRequest)
    assert isinstance(found, FullRequest)
    assert found.at_least
    (warning,) = advice_on(
        hanging, OFFER, 0, replace(found, seconds=61.0), Settings(answer_margin_seconds=0)
    )[:1]
    assert "takes more than 61 s here" in warning.what
