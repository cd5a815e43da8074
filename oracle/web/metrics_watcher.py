"""The metrics of a watcher, each with what it is read from: its table in docs/monitoring.md.

Amounts are in whole OPG and whole coins, times in seconds. Knows no store and no chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from oracle.core.case import CaseState
from oracle.core.health import STALLS, Health, Vitals
from oracle.ports.health import EndpointReport
from oracle.ports.jobs import Totals
from oracle.web.metrics import Kind, Metric, Sample, one

_BASE_UNITS = 10**18
_USABLE = ("in use", "ready")


@dataclass(frozen=True, slots=True)
class WatcherFigures:
    """Everything that a scrape of a watcher shows.

    Attributes:
        failed: whether its last round failed.
        cases, totals: None where its database cannot be read.
        purse: what its key holds and what it needs, in base units, by what it is; what was not
            looked at yet is left out.
    """

    version: str
    vitals: Vitals
    health: Health
    failed: bool
    endpoints: Sequence[EndpointReport]
    cases: Mapping[CaseState, int] | None
    totals: Totals | None
    purse: Mapping[str, tuple[int, int]]


Read = Callable[[WatcherFigures], Iterator[Sample]]


def _gauge(name: str, meaning: str, read: Read, *labels: str) -> Metric[WatcherFigures]:
    return Metric(name, Kind.GAUGE, meaning, read, labels)


def _of_totals(value: Callable[[Totals], float]) -> Read:
    return lambda found: one(None if found.totals is None else value(found.totals))


def _stalls(found: WatcherFigures) -> Iterator[Sample]:
    present = {reason.cause for reason in found.health.stalled}
    for cause in STALLS:
        yield (cause.value,), float(cause in present)


def _cases(found: WatcherFigures) -> Iterator[Sample]:
    if found.cases is not None:
        for state in CaseState:
            yield (state.value,), float(found.cases.get(state, 0))


def _purse(which: int) -> Read:
    def read(found: WatcherFigures) -> Iterator[Sample]:
        for what, amounts in found.purse.items():
            yield (what,), amounts[which] / _BASE_UNITS

    return read


def _endpoints(found: WatcherFigures) -> Iterator[Sample]:
    for place, report in enumerate(found.endpoints, start=1):
        yield (str(place), report["address"]), float(report["state"] in _USABLE)


WATCHER_METRICS: Final[Sequence[Metric[WatcherFigures]]] = (
    _gauge(
        "oracle_watcher_build_info",
        "1, of the version that runs.",
        lambda found: iter([((found.version,), 1.0)]),
        "version",
    ),
    _gauge(
        "oracle_watcher_start_time_seconds",
        "When the watcher was started, in Unix seconds.",
        lambda found: one(found.vitals.started_at),
    ),
    _gauge(
        "oracle_watcher_healthy",
        "1 where /health says 200.",
        lambda found: one(float(found.health.does_its_job)),
    ),
    _gauge("oracle_watcher_stalled", "1 for each cause that makes /health red.", _stalls, "cause"),
    _gauge(
        "oracle_watcher_trouble",
        "1 where its last round failed; the log says of what.",
        lambda found: one(float(found.failed)),
    ),
    _gauge(
        "oracle_watcher_database_up",
        "1 where its database could be read for this scrape.",
        lambda found: one(float(found.totals is not None)),
    ),
    _gauge(
        "oracle_watcher_head_block",
        "The newest block whose answers are all known.",
        lambda found: one(found.vitals.following.head_block),
    ),
    _gauge(
        "oracle_watcher_chain_read_timestamp_seconds",
        "When all up to the head was last read, in Unix seconds.",
        lambda found: one(found.vitals.following.reached_at),
    ),
    _gauge(
        "oracle_watcher_endpoint_up",
        "1 where the endpoint is in use or could be.",
        _endpoints,
        "position",
        "endpoint",
    ),
    _gauge(
        "oracle_watcher_cases",
        "Answers, by where the matter stands (docs/watching.md); `missed` became final though they "
        "are wrong.",
        _cases,
        "state",
    ),
    _gauge(
        "oracle_watcher_purse_held",
        "What its key holds, in whole coins and whole OPG, as of the last look (every minute).",
        _purse(0),
        "what",
    ),
    _gauge(
        "oracle_watcher_purse_needed",
        "What the dearest conviction takes of coin now, and the smallest demand of OPG.",
        _purse(1),
        "what",
    ),
    _gauge(
        "oracle_watcher_gas_spent_coins",
        "Gas of its mined transactions, in the chain's coin. No counter: a reorg can take some "
        "back.",
        _of_totals(lambda totals: totals.gas_spent_wei / _BASE_UNITS),
    ),
    Metric(
        "oracle_watcher_transactions_total",
        Kind.COUNTER,
        "Its transactions, ever.",
        _of_totals(lambda totals: totals.transactions),
    ),
    _gauge(
        "oracle_watcher_transactions_reverted",
        "Those that were mined and refused.",
        _of_totals(lambda totals: totals.reverted),
    ),
)
