"""The explorer in a real browser, over a real node on a real chain, as somebody looks around."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from oracle.bootstrap.explorer import OpenExplorer
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund
from tests.browser.support import PHONE, Browser, sideways, tab_stops, violations
from tests.explorer.scene import convicted, exploring, indexed
from tests.support.failures import thorough
from tests.support.watching import announce_endpoint, asked, free_port
from tests.support.world import OPG, World

STEPS = ("Request", "Receipt", "Binding", "Model", "Trace", "Run", "Settlement")

pytestmark = pytest.mark.anvil


@pytest.fixture
async def court(world: World) -> AsyncIterator[World]:
    """A world whose clock runs, and a watcher with money for deposits."""
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, signer_of(Person.WATCHER).address, opg=1_000 * OPG)
    await world.chain.rpc.request("evm_setIntervalMining", [1])
    yield world
    await world.chain.rpc.request("evm_setIntervalMining", [0])


@asynccontextmanager
async def shown(world: World, browser: Browser) -> AsyncIterator[OpenExplorer]:
    """An explorer that does not end before the pages that show it."""
    async with exploring(world) as opened:
        yield opened
        await browser.leave()


async def test_from_home_to_a_verified_answer(
    court: World, browser: Browser, tmp_path: Path
) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    async with shown(court, browser) as opened, court.node(serve_port=port):
        page = await browser.visit(opened.address)
        await expect(page.locator("#connection")).to_have_text("live")
        await expect(page.locator("#recent")).to_contain_text("There are none yet")
        assert await violations(page) == []
        await page.evaluate("window.sameDocument = true")
        made = await asked(court, window=600)
        row = page.locator("#recent tbody tr")
        await expect(row).to_contain_text("0x" + made.id.hex()[:6])
        await expect(row).to_contain_text("answered")
        assert await page.evaluate("window.sameDocument") is True
        assert await tab_stops(page) != []
        await _shown(page, tmp_path, "home")

        await row.get_by_role("link").first.click()
        await expect(page.get_by_role("heading", level=2).first).to_contain_text(made.id.hex())
        picture = page.locator(".pictures img")
        await expect(picture).to_have_count(1)
        assert await picture.evaluate("one => one.decode().then(() => one.naturalWidth)") == 8
        await expect(page.locator("#answer")).to_contain_text("the decision is clear")
        assert await violations(page) == []

        await page.get_by_role("button", name="Run the checks").click()
        await expect(page.locator("#checks h3")).to_have_count(len(STEPS))
        await expect(page.locator("#checks .notice")).to_contain_text(
            "everything that there is to check holds"
        )
        ticks = await page.locator("#checks > ol > li.good h3").all_inner_texts()
        assert [one.split()[0] for one in ticks] == list(STEPS)
        assert await violations(page) == []
        await _shown(page, tmp_path, "verified")

        # What is found once more, by its beginning.
        await page.get_by_role("searchbox").fill("0x" + made.id.hex()[:10])
        await page.keyboard.press("Enter")
        await expect(page.locator("#checks .notice")).to_contain_text("everything")


@thorough
async def test_a_conviction_is_drawn(court: World, browser: Browser, tmp_path: Path) -> None:
    request_id = await convicted(court)
    async with shown(court, browser) as opened:
        await indexed(opened, request_id, "slashed")
        page = await browser.visit(f"{opened.address}/disputes")
        await expect(page.locator("tbody tr")).to_contain_text("convicted by proof")
        assert await violations(page) == []
        await page.locator("tbody tr").get_by_role("link").first.click()
        drawn = page.locator(".number-line svg")
        await expect(drawn).to_be_visible()
        box = {name: await drawn.locator(name).bounding_box() for name in (".exact", ".claimed")}
        exact, claimed = box[".exact"], box[".claimed"]
        assert exact is not None
        assert claimed is not None
        assert abs(exact["x"] - claimed["x"]) > 200, "far outside"
        band = await drawn.locator(".band").bounding_box()
        assert band is not None
        assert band["x"] <= exact["x"] + 1 <= band["x"] + band["width"] + 2
        bars = page.locator(".terms tbody tr")
        assert await bars.count() > 5
        await expect(page.locator("#conviction")).to_contain_text("violated")
        await expect(page.locator("#answer")).to_contain_text("Void")
        assert await violations(page) == []
        await _shown(page, tmp_path, "conviction")
        for number, scheme in enumerate(("light", "dark")):
            path = f"{opened.address}/requests/0x{request_id.hex()}"
            small = await browser.visit(path, size=PHONE, scheme=scheme)  # type: ignore[arg-type]
            assert await sideways(small) <= 0
            assert await violations(small) == []
            await _shown(small, tmp_path, f"phone-{number}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@thorough
async def test_lists_are_read_on_a_phone(court: World, browser: Browser, scheme: str) -> None:
    made = await court.ask()
    async with shown(court, browser) as opened:
        await indexed(opened, made.id, "accepted")
        for path in (
            "/",
            "/requests",
            "/models",
            f"/models/0x{made.request.model_id.hex()}",
            "/operators",
            f"/operators/{court.operator}",
            "/search?q=digits",
        ):
            page = await browser.visit(
                opened.address + path,
                size=PHONE,
                scheme=scheme,  # type: ignore[arg-type]
            )
            assert await sideways(page) <= 0, path
            assert await violations(page) == [], path
            await page.close()


async def test_it_is_read_without_its_script(court: World, browser: Browser) -> None:
    made = await court.ask()
    async with shown(court, browser) as opened:
        await indexed(opened, made.id, "accepted")
        page = await browser.visit(opened.address, script=False)
        await page.locator("#recent tbody a").first.click()
        await expect(page.locator("#story")).to_contain_text("Accepted by")
        await page.get_by_role("searchbox").fill("digits-mlp")
        await page.keyboard.press("Enter")
        await expect(page.locator("h2.name")).to_have_text("digits-mlp")


async def _shown(page: Page, folder: Path, name: str) -> None:
    """Kept where pytest keeps a test's files, to be looked at."""
    await page.screenshot(path=folder / f"{name}.png", full_page=True)
