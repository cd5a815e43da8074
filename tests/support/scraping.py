"""Scrapes of a real node's server: what a monitor sees. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Scraped:
    """One scrape, by metric name."""

    text: str
    families: dict[str, Metric]

    def value(self, name: str, **labels: str) -> float:
        """The one sample with these labels among its own."""
        found = self.values(name, **labels)
        assert len(found) == 1, (name, labels, found)
        return found[0]

    def values(self, name: str, **labels: str) -> list[float]:
        return [
            one.value
            for family in self.families.values()
            for one in family.samples
            if one.name == name and labels.items() <= one.labels.items()
        ]


def families(text: str) -> dict[str, Metric]:
    """By the names that are documented: counters' with `_total`."""
    found: Iterable[Metric] = text_string_to_metric_families(text)
    return {one.name + ("_total" if one.type == "counter" else ""): one for one in found}


async def scrape(url: str | None) -> Scraped:
    """What `/metrics` says now."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        assert response.status == 200, await response.text()
        text = await response.text()
    return Scraped(text, families(text))


async def asked(url: str | None, path: str) -> tuple[int, dict[str, Any]]:
    """The status of `/health` or `/ready`, and what they say."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}{path}") as response:
        return response.status, await response.json()
