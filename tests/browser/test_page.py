"""The operator's page in a real browser, over a real node on a real chain."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from oracle.core.job import JobState
from oracle.service.node import Node
from tests.browser.support import GONE, PHONE, Browser, sideways, tab_stops, violations
from tests.support.world import World

WINDOW_SECONDS = 600
"""Longer than it takes to look at an answer that is not settled; tests move the chain's clock."""


@asynccontextmanager
async def watched(world: World, browser: Browser, **changes: Any) -> AsyncIterator[Node]:
    """A node that does not end before the pages that show it."""
    async with world.node(**changes) as node:
        yield node
        await browser.leave()


def url(node: Node) -> str:
    assert node.private is not None
    return node.private


async def test_a_job_settles_before_the_reader_s_eyes(world: World, browser: Browser) -> None:
    async with watched(world, browser) as node:
        page = await browser.visit(url(node))
        await expect(page.locator("#connection")).to_have_text("live")
        await expect(page.locator("#jobs")).to_contain_text("None yet")
        await page.evaluate("window.sameDocument = true")
        asked = await world.ask(window=WINDOW_SECONDS)
        row = page.locator("#jobs tbody tr")
        await expect(row).to_contain_text("0x" + asked.id.hex()[:6])
        await expect(row).to_contain_text("digits-mlp")
        await expect(row).to_contain_text("answered")
        await world.until_settled(asked.id)
        await expect(row).to_contain_text("settled")
        await expect(page.locator("#money")).to_contain_text("+1")
        await expect(page.locator("#bond")).to_contain_text("earned, not withdrawn")
        await expect(page.locator("#models")).to_contain_text("100 %")
        await expect(page.locator("#health")).to_contain_text("All is well")
        assert await page.evaluate("window.sameDocument") is True
        assert await violations(page) == []

        await row.get_by_role("link").click()
        await expect(page.locator("#story")).to_contain_text("by the standing offer")
        steps = await page.locator(".story li > span:first-child").all_inner_texts()
        assert steps == [
            *("seen", "judged", "accepted", "computed", "answer sent", "answered", "settled")
        ]
        assert await violations(page) == []


async def test_it_is_read_on_a_phone_in_the_dark_and_without_scripts(
    world: World, browser: Browser
) -> None:
    async with watched(world, browser) as node:
        asked = [(await world.ask()).id for _ in range(2)]
        await world.until_settled(*asked)
        papers: set[str] = set()
        for scheme in ("light", "dark"):
            page = await browser.visit(url(node), size=PHONE, scheme=scheme)
            await expect(page.locator("#jobs tbody tr")).to_have_count(2)
            papers.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert await sideways(page) == 0
            assert await violations(page) == []
            await page.goto(f"{url(node)}/jobs/0x{asked[0].hex()}")
            await expect(page.locator("#story")).to_contain_text("settled")
            assert await sideways(page) == 0
            assert await violations(page) == []
        assert papers == {"rgb(251, 251, 249)", "rgb(19, 20, 22)"}

        page = await browser.visit(url(node), script=False)
        await expect(page.locator("#connection")).to_have_text("reload for the present")
        await expect(page.locator("#jobs tbody tr")).to_contain_text(["settled", "settled"])


async def test_the_keyboard_reaches_everything_and_stays_where_it_is(
    world: World, browser: Browser
) -> None:
    async with watched(world, browser) as node:
        asked = await world.ask(window=WINDOW_SECONDS)
        await world.until_job(asked.id, JobState.ANSWERED)
        page = await browser.visit(url(node))
        await expect(page.locator("#jobs tbody tr")).to_have_count(1)
        stops = await tab_stops(page)
        assert stops[0] == "Skip to the content"
        assert f"{world.operator[:8]}…{world.operator[-6:]}" in stops
        assert not [one for one in stops if one.startswith("UNSEEN")]
        links = await page.locator("a, button").count()
        assert len(stops) >= links

        # A piece is exchanged under the reader; the focus stays on the same link.
        link = page.locator("#jobs tbody a")
        await link.focus()
        await page.evaluate("window.before = document.activeElement")
        await world.until_settled(asked.id)
        await expect(page.locator("#jobs tbody tr")).to_contain_text("settled")
        assert await page.evaluate("document.activeElement !== window.before")
        assert await page.evaluate("document.activeElement.getAttribute('href')") == (
            f"/jobs/0x{asked.id.hex()}"
        )
        await page.keyboard.press("Enter")
        await expect(page.locator("#story")).to_be_visible()


async def test_a_node_that_is_gone_is_said_to_be_gone(world: World, browser: Browser) -> None:
    browser.expected = [*GONE]
    async with world.node() as node:
        page = await browser.visit(url(node))
        await expect(page.locator("#connection")).to_have_text("live")
    await expect(page.locator("#connection")).to_contain_text("lost")


async def test_with_the_token_a_node_is_drained(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    browser.expected = ["403", *GONE]
    token = tmp_path / "token"
    token.write_text("correct horse battery staple\n")
    os.chmod(token, 0o600)
    async with watched(world, browser, private_token_file=token) as node:
        page = await browser.visit(url(node))
        await page.get_by_label("Token").fill("incorrect horse battery")
        await page.get_by_role("button", name="Drain").click()
        await expect(page.locator("main")).to_contain_text("that is not the token")
        assert not node.draining
        await page.goto(url(node))
        assert await violations(page) == []
        await page.get_by_label("Token").fill("correct horse battery staple")
        await page.get_by_role("button", name="Drain").click()
        await expect(page.locator("main")).to_contain_text("takes on no more")
        assert node.draining
