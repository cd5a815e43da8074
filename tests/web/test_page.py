"""The operator's page over HTTP: what is escaped, streamed, bounded, and asked a token for."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from oracle.core.health import Cause, Health, Reason
from oracle.core.job import JobState
from oracle.errors import ConfigurationError
from oracle.ports.views import CreditTotals
from oracle.web.page import Token, actions, page_part, read_token, routes
from oracle.web.page.routes import PIECES
from oracle.web.page.shown import matters, story
from oracle.web.private import allowed_hosts, private_application
from tests.support.world import until
from tests.web.overviews import NOW, REQUEST, SCRIPT, Source, job, line, overview

Client = TestClient[web.Request, web.Application]
JOB = f"/jobs/0x{REQUEST.hex()}"
TOKEN = "correct horse battery staple"


@asynccontextmanager
async def served(source: Source, token: str | None = None) -> AsyncIterator[Client]:
    part = page_part(source, actions=source, token=Token(token) if token else None)
    site = private_application([part], hosts=allowed_hosts("127.0.0.1"))
    async with TestClient(TestServer(site)) as client:
        yield client


async def pieces(stream: ClientResponse) -> dict[str, str]:
    """The next pieces that a stream sends."""
    async for raw in stream.content:
        if raw.startswith(b"data: "):
            found: dict[str, str] = json.loads(raw[6:])
            return found
    raise AssertionError("the stream ended")


async def test_nothing_that_a_stranger_chose_is_more_than_text() -> None:
    async with served(Source(), TOKEN) as http:
        for path in ("/", "/?window=day", "/?window=week", JOB):
            page = await http.get(path)
            assert page.status == 200
            body = await page.text()
            assert "alert(" in body, "it is shown"
            assert SCRIPT not in body
            assert "<script>" not in body
            assert "style=" not in body, "the policy refuses inline styles"
        stream = await http.get("/events")
        for name, html in (await pieces(stream)).items():
            assert f'id="{name}"' in html
            assert SCRIPT not in html
        stream.close()


async def test_the_first_event_has_every_piece_and_the_next_only_what_changed() -> None:
    source = Source()
    async with served(source) as http:
        stream = await http.get("/events?window=hour")
        assert stream.content_type == "text/event-stream"
        assert set(await pieces(stream)) == set(PIECES)
        source.shown = replace(source.shown, counts={JobState.SETTLED: 2})
        assert set(await pieces(stream)) == {"queue"}
        stream.close()


async def test_all_watchers_share_one_look_and_nobody_looks_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "_SECONDS", 3_600.0)  # no second look, however long ten take
    source = Source()
    async with served(source) as http:
        await asyncio.sleep(0)
        assert source.asked == 0
        streams = [await http.get("/events") for _ in range(10)]
        for stream in streams:
            assert set(await pieces(stream)) == set(PIECES)
        assert source.asked == 1
        for stream in streams:
            stream.close()


async def test_so_many_may_watch_and_no_more() -> None:
    source = Source()
    async with served(source) as http:
        streams = [await http.get(f"{JOB}/events") for _ in range(8)]
        refused = await http.get(f"{JOB}/events")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        streams[0].close()

        async def there_is_room() -> bool:
            response = await http.get(f"{JOB}/events")
            response.close()
            return response.status == 200

        assert await until(there_is_room)
        for stream in streams:
            stream.close()


async def test_what_cannot_be_read_is_said_without_its_inside() -> None:
    source = Source()
    source.failing = True
    async with served(source) as http:
        for headers in ({}, {"Accept": "text/html"}):
            response = await http.get("/", headers=headers)
            assert response.status == 503
            assert "secret" not in await response.text()


@pytest.mark.parametrize("path", ["/?window=year", "/events?window=", "/jobs/0x12"])
async def test_what_is_not_written_as_it_should_be_is_refused(path: str) -> None:
    async with served(Source()) as http:
        assert (await http.get(path)).status == 400


async def test_an_unknown_job_is_not_found() -> None:
    async with served(Source()) as http:
        for path in (f"/jobs/0x{'00' * 32}", f"/jobs/0x{'00' * 32}/events"):
            assert (await http.get(path)).status == 404


# ---- acting


async def test_without_a_token_nothing_can_be_done() -> None:
    source = Source()
    async with served(source) as http:
        for path, status in (("/drain", 404), (f"{JOB}/retry", 404), ("/", 405), (JOB, 405)):
            response = await http.post(path, data={"token": ""})
            assert response.status == status, path
        page = await (await http.get("/")).text()
        assert "<form" not in page
        assert "<form" not in await (await http.get(JOB)).text()
    assert source.done == []


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": TOKEN[:-1]}, {"token": TOKEN + "x"}])
async def test_a_wrong_token_does_nothing(form: dict[str, str]) -> None:
    source = Source()
    async with served(source, TOKEN) as http:
        assert (await http.post("/drain", data=form)).status == 403
        assert (await http.get("/drain", params=form)).status in (404, 405)
        assert (await http.post("/drain", params={"token": TOKEN})).status == 403, (
            "no secret in URLs"
        )
    assert source.done == []


async def test_tokens_are_not_guessed_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one takes a while: here, until the others have been told to come again."""
    others_are_told = asyncio.Event()

    async def pause(seconds: float) -> None:
        assert seconds >= 0.5
        await others_are_told.wait()

    monkeypatch.setattr(actions, "asyncio", SimpleNamespace(Lock=asyncio.Lock, sleep=pause))
    source = Source()
    async with served(source, TOKEN) as http:

        async def guess() -> int:
            return (await http.post("/drain", data={"token": "x"})).status

        guesses = asyncio.as_completed([guess() for _ in range(5)])
        told = [await next(guesses) for _ in range(4)]
        others_are_told.set()
        assert (told, await next(guesses)) == ([503] * 4, 403)
    assert source.done == []


async def test_with_the_token_jobs_are_tried_again_and_the_node_is_drained() -> None:
    source = Source()
    async with served(source, TOKEN) as http:
        assert 'action="/drain"' in await (await http.get("/")).text()
        assert "Try its present step" in await (await http.get(JOB)).text()
        retried = await http.post(f"{JOB}/retry", data={"token": f" {TOKEN}\n"})
        assert "it was failed, and is accepted" in await retried.text()
        assert "it drains" in await (await http.post("/drain", data={"token": TOKEN})).text()
        another = await http.post(
            "/drain", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}
        )
        assert another.status == 403
    assert source.done == ["retry 0b0b", "drain"]


async def test_a_job_that_cannot_be_tried_again_offers_no_button() -> None:
    source = Source(kept=job(state=JobState.SETTLED))
    async with served(source, TOKEN) as http:
        page = await (await http.get(JOB)).text()
    assert "nothing left to try" in page
    assert "<form" not in page


def test_a_token_is_read_from_a_file_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_token(file)
    file.write_text(TOKEN)
    os.chmod(file, 0o644)
    with pytest.raises(ConfigurationError, match="read by others"):
        read_token(file)
    os.chmod(file, 0o600)
    assert TOKEN not in repr(read_token(file))
    file.write_text("short\n")
    with pytest.raises(ConfigurationError, match="shorter than 16"):
        read_token(file)


# ---- what is said


def test_the_worst_is_said_first_and_once() -> None:
    stalled = Reason(Cause.CHAIN, "watch: no endpoint answers", "name another")
    shown = overview(health=Health((stalled,), (Reason(Cause.DRAINING, "it drains", "wait"),)))
    found = matters(shown)
    assert [one.tone for one in found] == ["bad", "warn", "warn"]
    beat = replace(shown.heartbeat, trouble={"watch": "no endpoint answers"})
    assert len(matters(replace(shown, heartbeat=beat))) == 2


def test_what_is_wanting_is_said_once_with_its_own_next_step() -> None:
    lacks = tuple(Reason(Cause.MODELS, f"no file of {one}", f"fetch {one}") for one in "ab")
    shown = overview(health=Health(wanting=lacks))
    told = "; ".join(f"{one.what}: {one.next_step}" for one in lacks)
    beat = replace(shown.heartbeat, trouble={"models": told})
    found = matters(replace(shown, heartbeat=beat))
    assert [(one.tone, one.what, one.mend) for one in found] == [
        ("warn", "no file of a", "fetch a"),
        ("warn", "no file of b", "fetch b"),
    ]


async def test_a_story_has_its_steps_in_order() -> None:
    told = await Source().story(REQUEST)
    steps = story(told)
    assert [one.name for one in steps] == [
        *("seen", "accepted", "computed", "answer sent", "answered", "failed"),
    ]
    assert [one.after for one in steps] == [None, None, 0.5, 1.0, None, 59.0]
    waiting = replace(told, line=line(state=JobState.ANSWERED, ended_at=None))
    assert (story(waiting)[-1].name, story(waiting)[-1].done) == ("final", False)
    due = replace(told, line=line(state=JobState.ACCEPTED, ended_at=None, settle_at=None))
    assert story(due)[-1].name == "answer due"


async def test_what_was_signed_before_it_was_seen_took_no_time() -> None:
    """As an answer in a view that was posted afterwards."""
    source = Source()
    source.shown = replace(source.shown, jobs=[line(seen_at=NOW - 60, computed_at=NOW - 90)])
    async with served(source) as http:
        stream = await http.get("/events")
        (row,) = re.findall(r'data-name="computed">([^<]*)<', (await pieces(stream))["jobs"])
        assert row == "0 s"
        stream.close()


async def test_the_coin_that_is_left_is_that_of_the_key_that_pays() -> None:
    source = Source()
    assert source.shown.chain is not None
    assert len(source.shown.chain.coin_wei) == 2
    async with served(source) as http:
        stream = await http.get("/events")
        assert "for some 1,000 answers" in (await pieces(stream))["figures"]
        stream.close()


async def test_what_views_brought_stands_by_the_money_once_there_is_some() -> None:
    async def money(source: Source) -> str:
        async with served(source) as http:
            stream = await http.get("/events")
            told = (await pieces(stream))["money"]
            stream.close()
            return told

    source = Source()
    assert "answers in views" not in await money(source)
    source.shown = replace(
        source.shown, sums=replace(source.shown.sums, views=CreditTotals(3 * 10**18, 2 * 10**17))
    )
    told = await money(source)
    assert re.search(r"answers in views, collected, OPG.*\+?0\.2<", told)
    assert re.search(r"answers in views, owed, OPG.*>3<", told)
