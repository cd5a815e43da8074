"""A browser as a reader uses it, and what must hold of every page it shows.

Whatever a page writes to the console as an error, throws, or fetches from elsewhere is kept, and
the `browser` fixture fails the test for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

from playwright.async_api import Browser as PlaywrightBrowser
from playwright.async_api import Page, Request, async_playwright, expect
from yarl import URL

from tests.browser.chromium import FLAGS, MODULES, find

LAPTOP = (1280, 800)
PHONE = (390, 844)
PATIENCE_MILLISECONDS = 120_000

GONE = (
    *("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_CONNECTION_CLOSED"),
    *("ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED_ENCODING"),
)
"""What a browser says of a server that is gone, by how far its last request came."""

expect.set_options(timeout=PATIENCE_MILLISECONDS)

_AXE = MODULES / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Browser:
    """One running browser.

    Attributes:
        faults: what the pages did that none should; `expected` are parts of those that a test
            brings about.
    """

    def __init__(self, running: PlaywrightBrowser) -> None:
        self._running = running
        self.faults: list[str] = []
        self.expected: list[str] = []

    async def visit(
        self,
        url: str | URL,
        *,
        size: tuple[int, int] = LAPTOP,
        scheme: str = "light",
        script: bool = True,
    ) -> Page:
        """A page in a window and a profile of its own."""
        width, height = size
        context = await self._running.new_context(
            viewport={"width": width, "height": height},
            color_scheme=cast("Literal['light', 'dark']", scheme),
            reduced_motion="reduce",
            java_script_enabled=script,
            has_touch=size == PHONE,
            device_scale_factor=2 if size == PHONE else 1,
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        own = URL(url).origin()
        page.on("console", lambda said: self._fault(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self._fault(str(error)))
        page.on("request", lambda request: self._watch(own, request))
        await page.goto(str(url))
        return page

    async def leave(self) -> None:
        """Closes all pages: before their server ends, as they would say that it is lost."""
        for context in self._running.contexts:
            await context.close()

    def unexpected(self) -> list[str]:
        return [one for one in self.faults if not any(part in one for part in self.expected)]

    def _fault(self, text: str) -> None:
        self.faults.append(text)

    def _watch(self, own: URL, request: Request) -> None:
        asked = URL(request.url)
        if asked.scheme in ("http", "https", "ws", "wss") and asked.origin() != own:
            self._fault(f"fetched from elsewhere: {request.url}")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A browser of its own, closed again."""
    chromium = find()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=chromium.path,
            args=FLAGS,
            env={**_environment(), **chromium.environment},
        )
        try:
            yield Browser(running)
        finally:
            await running.close()


async def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page, as the browser shows it now."""
    await page.evaluate(_AXE.read_text())
    found: dict[str, Any] = await page.evaluate(
        "rules => axe.run(document, { runOnly: rules, resultTypes: ['violations'] })", _RULES
    )
    return [
        f"{one['id']}: {node['html'][:160]}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def sideways(page: Page) -> int:
    """By how many pixels a page is wider than its window."""
    wider: int = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider


async def tab_stops(page: Page, most: int = 200) -> list[str]:
    """What the Tab key leads to, from the start of a page until it comes round, in words."""
    await page.evaluate("document.activeElement?.blur()")
    stops: list[str] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        stop: str | None = await page.evaluate(
            """() => {
                const one = document.activeElement;
                if (one === null || one === document.body) return null;
                const outline = getComputedStyle(one);
                const seen = outline.outlineStyle !== "none" && outline.outlineWidth !== "0px";
                return (seen ? "" : "UNSEEN ") + (one.getAttribute("aria-label") || one.textContent
                    || one.id).trim();
            }"""
        )
        if stop is None:
            break
        stops.append(stop)
    return stops


def _environment() -> dict[str, str | float | bool]:
    """What a browser needs of ours: no display, no bus, no proxy, no home to write to."""
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
