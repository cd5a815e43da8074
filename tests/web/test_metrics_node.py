"""What a scrape of a node says of its traces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from oracle.ports.traces import TraceUsage
from oracle.web.metrics_node import NODE_METRICS


def test_each_figure_of_the_traces_is_its_own() -> None:
    usage = TraceUsage(7, 3, 2, 9, None, 4)
    found: Any = SimpleNamespace(stored=SimpleNamespace(traces=usage))
    told = {
        metric.name: [sample[-1] for sample in metric.read(found)]
        for metric in NODE_METRICS
        if metric.name.startswith("oracle_trace")
    }
    assert told == {
        "oracle_trace_used_bytes": [3],
        "oracle_trace_held_bytes": [2],
        "oracle_trace_budget_bytes": [9],
        "oracle_traces_unkept": [4],
    }
