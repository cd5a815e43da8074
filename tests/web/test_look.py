"""How values are written, and where the places of a plot lie."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from markupsafe import Markup

from oracle.errors import NotFound, StorageError
from oracle.web.look import Look, Series, plot, secure
from oracle.web.look.filters import age, count, duration, gwei, opg, share, short, wei

ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.mark.parametrize(
    ("base_units", "text"),
    [
        (0, ">0<"),
        (10**18, ">1<"),
        (1_234_567 * 10**18, ">1,234,567<"),
        (123_456_789 * 10**10, ">1.2346<"),
        (1, ">0.000000000000000001<"),
        (-5 * 10**17, ">-0.5<"),
    ],
)
def test_amounts_are_short_and_their_titles_exact(base_units: int, text: str) -> None:
    written = opg(base_units)
    assert text in written
    assert " OPG" in written


def test_amounts_keep_what_was_left_out_in_the_title() -> None:
    assert 'title="1.000000000000000001 OPG"' in opg(10**18 + 1)
    assert ">+1<" in opg(10**18, signed=True)
    assert "81,704" in wei(81_704 * 10**9)
    assert "gwei" in wei(81_704 * 10**9)
    assert ">0.0046356<" in wei(4_635_600 * 10**9)
    assert ">81,704<" in gwei(81_703_600_000_000)
    assert opg(None) == wei(None) == gwei(None) == short(None) == "–"


def test_hashes_copy_or_lead_somewhere_and_are_escaped() -> None:
    assert short(ADDRESS).count(ADDRESS) == 2  # to copy, and in the title
    assert "0x709979…dc79C8" in short(ADDRESS)
    assert '<a class="hex" href="/jobs/0x01"' in short(b"\x01" * 32, "/jobs/0x01")
    assert "<script>" not in short('"><script>alert(1)</script>')
    assert isinstance(short(ADDRESS), Markup)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.00034, "0.3 ms"),
        (0.0123, "12 ms"),
        (0.34, "340 ms"),
        (2.44, "2.4 s"),
        (75, "75 s"),
        (600, "10 min"),
        (7_200, "2 h"),
        (864_000, "10 days"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_shares_never_round_a_default_away() -> None:
    assert share(0, 0) == "–"
    assert share(7, 7) == "100 %"
    assert share(99_999, 100_000) == "99.9 %"
    assert share(1, 3) == "33.3 %"
    assert count(1_234_567) == "1,234,567"


def test_a_time_is_whole_without_a_script() -> None:
    written = age(1_700_000_000.5)
    assert 'datetime="2023-11-14T22:13:20.500+00:00"' in written
    assert ">22:13:20<" in written
    assert 'title="2023-11-14 22:13:20 UTC"' in written


def test_a_plot_of_bars_says_what_it_shows() -> None:
    made = plot(
        "p",
        "Answers",
        [Series("answers", [0.0, 3.0, 1.0], "bars")],
        start=0,
        bucket_seconds=60,
        write=lambda value: f"{value:g}",
        whole=True,
    )
    assert [tick.text for tick in made.rules] == ["0", "1", "2", "3"]
    (shape,) = made.shapes
    assert [bar.height for bar in shape.bars] == [120.0, 40.0]
    assert made.description == "From 00:00 to 00:03 UTC. answers: least 0, most 3, last 1."


def test_lines_do_not_bridge_what_is_not_known() -> None:
    made = plot(
        "p",
        "Times",
        [Series("median", [1.0, 2.0, None, 4.0]), Series("slow", [None, None, None, None])],
        start=0,
        bucket_seconds=60,
        write=duration,
    )
    median, slow = made.shapes
    assert len(median.lines) == len(median.dots) == 1
    assert median.lines[0].count(",") == 2
    assert (slow.lines, slow.dots) == ([], [])
    assert "slow: nothing." in made.description


def test_an_empty_plot_has_rules_all_the_same() -> None:
    made = plot("p", "t", [Series("a", [])], start=0, bucket_seconds=60, write=duration)
    assert [tick.text for tick in made.rules] == ["0 s", "1.0 s"]


async def _refused(_request: web.Request) -> web.Response:
    raise NotFound("there is no <b>such</b> thing")


async def _broken(_request: web.Request) -> web.Response:
    raise StorageError("the disk at /secret/place is full")


async def test_refusals_are_pages_for_browsers_and_json_for_programs() -> None:
    look = Look("oracle.web.look")
    site = web.Application(middlewares=[look.explain])
    secure(site)
    site.add_routes([*look.assets, web.get("/gone", _refused), web.get("/broken", _broken)])
    async with TestClient(TestServer(site)) as http:
        page = await http.get("/gone", headers={"Accept": "text/html"})
        assert page.status == 404
        assert "there is no &lt;b&gt;such&lt;/b&gt; thing" in await page.text()
        plain = await http.get("/gone")
        assert await plain.json() == {"error": "there is no <b>such</b> thing"}
        broken = await http.get("/broken", headers={"Accept": "text/html"})
        assert broken.status == 503
        assert "secret" not in await broken.text()
        for path, kind in (
            ("style.css", "text/css"),
            ("live.js", "text/javascript"),
            ("icon.svg", "image/svg+xml"),
        ):
            asset = await http.get(f"/look/{path}")
            assert (asset.status, asset.content_type) == (200, kind)
            assert "immutable" in asset.headers["Cache-Control"]
            assert asset.headers["X-Content-Type-Options"] == "nosniff"
