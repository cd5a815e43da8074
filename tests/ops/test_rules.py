"""Alerts and dashboard ask for what there is; each alert says what it costs and what mends it."""

from __future__ import annotations

import re
from typing import Any

import promql_parser as promql
import pytest
import typer
import yaml

from oracle.cli.verbs import VERBS, load
from oracle.core.case import CaseState
from oracle.core.health import STALLS
from oracle.core.job import JobState
from oracle.web.metrics import Kind, Metric
from oracle.web.metrics_node import NODE_METRICS
from oracle.web.metrics_watcher import WATCHER_METRICS
from tests.ops.rules import (
    ALERTS,
    OPERATIONS,
    PROMETHEUS,
    Rule,
    dashboard,
    panel_expressions,
    rules,
    selectors,
)

METRICS: dict[str, Metric[Any]] = {one.name: one for one in (*NODE_METRICS, *WATCHER_METRICS)}
OF_HISTOGRAMS = {
    f"{one.name}_{part}": one
    for one in METRICS.values()
    if one.kind is Kind.HISTOGRAM
    for part in ("bucket", "sum", "count")
}
OF_PROMETHEUS = {"job", "instance"}
VALUES = {
    ("oracle_stalled", "cause"): {one.value for one in STALLS},
    ("oracle_watcher_stalled", "cause"): {one.value for one in STALLS},
    ("oracle_jobs", "state"): {one.value for one in JobState},
    ("oracle_watcher_cases", "state"): {one.value for one in CaseState},
    ("oracle_leads", "what"): {"key", "chain"},
}

EXPRESSIONS = [(one.name, one.expression) for one in rules()] + panel_expressions()


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_an_expression_asks_for_metrics_and_labels_that_there_are(
    where: str, expression: str
) -> None:
    found = list(selectors(expression))
    assert found
    for selector in found:
        if selector.name == "up":
            continue
        metric = METRICS.get(selector.name) or OF_HISTOGRAMS.get(selector.name)
        assert metric is not None, f"{where}: there is no metric {selector.name}"
        for matcher in selector.matchers.matchers:
            assert matcher.name in {*metric.labels, *OF_PROMETHEUS}, (where, matcher.name)
            known = VALUES.get((metric.name, matcher.name))
            if known is not None:
                assert set(matcher.value.split("|")) <= known, (where, matcher.value)


def test_each_label_value_that_is_checked_is_of_a_metric() -> None:
    assert {name for name, _ in VALUES} <= set(METRICS)


def test_a_broken_expression_is_noticed() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        list(selectors("sum by (job) (oracle_jobs"))
    assert [one.name for one in selectors("delta(a[1h]) > 2 * -b")] == ["a", "b"]
    assert promql.parse("up == 0")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_an_alert_says_what_it_costs_and_where_to_read_on(rule: Rule) -> None:
    assert rule.severity in ("page", "ticket")
    assert set(rule.annotations) == {"summary", "cost", "mend", "runbook"}
    page, _, anchor = rule.annotations["runbook"].partition("#")
    assert page == "docs/operations.md"
    assert anchor in anchors()


def test_alerts_have_names_of_their_own_and_rows_in_the_operations() -> None:
    found = rules()
    assert len({one.name for one in found}) == len(found)
    section = OPERATIONS.read_text().partition("## Alerts from figures\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    assert rows == [(one.name, one.annotations["cost"], one.annotations["mend"]) for one in found]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_the_verbs_that_mend_are_verbs(rule: Rule) -> None:
    for line in re.findall(r"`(oracle [^`]+)`", rule.annotations["mend"]):
        words = line.split()[1:]
        name = words.pop(0)
        assert name in VERBS, line
        command: Any = load(name)
        if not isinstance(command, typer.core.TyperCommand):
            command = command if hasattr(command, "commands") else typer.main.get_command(command)
            command = command.commands[words.pop(0)] if command.commands else command
        options = {one for parameter in command.params for one in parameter.opts}
        assert {one for one in words if one.startswith("--")} <= options, line


def test_the_example_scrapes_the_jobs_that_the_alerts_ask_for() -> None:
    example = yaml.safe_load(PROMETHEUS.read_text())
    assert example["rule_files"] == [ALERTS.name]
    jobs = {one["job_name"] for one in example["scrape_configs"]}
    asked = {
        matcher.value
        for rule in rules()
        for selector in selectors(rule.expression)
        for matcher in selector.matchers.matchers
        if matcher.name == "job"
    }
    assert asked == jobs


def test_the_dashboard_can_be_imported() -> None:
    found = dashboard()
    variables = {one["name"] for one in found["templating"]["list"]}
    assert variables == {"source", "instance"}
    panels = found["panels"]
    assert len({one["id"] for one in panels}) == len(panels) > 10
    for panel in panels:
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert [one["refId"] for one in panel["targets"]] == ["A", "B", "C"][
            : len(panel["targets"])
        ]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places), "two panels lie on each other"


def anchors() -> set[str]:
    """Headings of the operations, as links have them."""
    titles = re.findall(r"^#+ (.+)$", OPERATIONS.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
