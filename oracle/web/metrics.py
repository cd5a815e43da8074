"""Figures for Prometheus: what a metric is, and how a scrape of some of them is answered.

Nothing is counted here. A metric reads its samples from figures that are gathered when somebody
scrapes, so that there is one truth of each number. Knows no figure by name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from oracle.core.histogram import Histogram

Figures = TypeVar("Figures")

Sample = tuple[tuple[str, ...], float | Histogram]
"""Values of the labels, and the figure."""

_Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Kind(StrEnum):
    """As Prometheus has them. What a reorg can take back is no counter, for those only grow."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric(Generic[Figures]):
    """One metric, as documented in docs/monitoring.md.

    Attributes:
        name: as it is scraped, a counter's with `_total`, a histogram's without `_bucket`.
        meaning: one line.
        read: its samples; none where the figure is not known now.
        labels: their names.
    """

    name: str
    kind: Kind
    meaning: str
    read: Callable[[Figures], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def metrics_route(
    metrics: Sequence[Metric[Figures]], gather: Callable[[], Awaitable[Figures]]
) -> web.RouteDef:
    """`GET /metrics`: all of these metrics over figures that are gathered for this scrape."""

    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Scrape(metrics, await gather()))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return web.get("/metrics", answer)


class _Scrape(Collector, Generic[Figures]):
    """The figures of one scrape, as the library wants them."""

    def __init__(self, metrics: Sequence[Metric[Figures]], figures: Figures) -> None:
        self._metrics = metrics
        self._figures = figures

    def collect(self) -> Iterator[_Family]:
        for metric in self._metrics:
            family = _family(metric)
            for labels, value in metric.read(self._figures):
                if isinstance(value, Histogram):
                    assert isinstance(family, HistogramMetricFamily)
                    family.add_metric(labels, value.cumulative(), value.total)
                else:
                    assert not isinstance(family, HistogramMetricFamily)
                    family.add_metric(labels, value)
            yield family


def _family(metric: Metric[Figures]) -> _Family:
    match metric.kind:
        case Kind.GAUGE:
            return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        case Kind.COUNTER:
            return CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        case Kind.HISTOGRAM:
            return HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)


def one(value: float | Histogram | None) -> Iterator[Sample]:
    """The sample of a metric without labels; none where the figure is not known."""
    if value is not None:
        yield (), value
