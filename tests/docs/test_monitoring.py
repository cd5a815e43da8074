"""docs/monitoring.md lists exactly the metrics that there are, and every cause of a red light."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import oracle
from oracle.core.health import STALLS
from oracle.settings import Settings
from oracle.web.metrics import Kind, Metric
from oracle.web.metrics_node import NODE_METRICS
from oracle.web.metrics_watcher import WATCHER_METRICS

ROOT = Path(oracle.__file__).parent.parent
PAGE = (ROOT / "docs" / "monitoring.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def table(metrics: Sequence[Metric[Any]]) -> str:
    """The table as it should stand: what a failing test prints is what belongs in the page."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for one in metrics:
        labels = ", ".join(one.labels)
        rows.append(f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} |")
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("title", "metrics"),
    [("Metrics of a node", NODE_METRICS), ("Metrics of a watcher", WATCHER_METRICS)],
    ids=["node", "watcher"],
)
def test_the_table_is_the_code(title: str, metrics: Sequence[Metric[Any]]) -> None:
    assert section(title).strip() == table(metrics)


@pytest.mark.parametrize("metric", [*NODE_METRICS, *WATCHER_METRICS], ids=lambda one: one.name)
def test_a_metric_is_named_as_prometheus_wants_it(metric: Metric[Any]) -> None:
    assert re.fullmatch(r"oracle(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not metric.name.endswith(("_bucket", "_sum", "_count", "_ms", "_milliseconds"))
    assert ("_timestamp" in metric.name) <= metric.name.endswith("_timestamp_seconds")
    assert metric.meaning.endswith(".")
    assert not {"job", "instance", "le"} & set(metric.labels)


def test_no_two_metrics_have_one_name() -> None:
    names = [one.name for one in (*NODE_METRICS, *WATCHER_METRICS)]
    assert len(set(names)) == len(names)


def test_every_cause_has_a_row_and_every_setting_that_is_named_is_one() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+? \|(.*)\|$", section("The endpoints"), re.MULTILINE)
    assert [cause for cause, _ in rows] == [one.value for one in STALLS]
    named = {name for _, settings in rows for name in re.findall(r"`(\w+)`", settings)}
    assert named <= set(Settings.model_fields)
