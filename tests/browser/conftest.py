"""A real headless Chromium for each test; whatever went wrong inside its pages fails the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.browser.support import Browser, open_browser


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened
        assert opened.unexpected() == []
