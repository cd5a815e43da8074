"""The alert rules and the dashboard of the repository, as their files have them. Judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

import oracle

ROOT = Path(oracle.__file__).parent.parent
ALERTS = ROOT / "ops" / "prometheus" / "alerts.yml"
PROMETHEUS = ROOT / "ops" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "ops" / "grafana" / "dashboard.json"
OPERATIONS = ROOT / "docs" / "operations.md"


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert."""

    name: str
    expression: str
    severity: str
    annotations: dict[str, str]


def rules() -> list[Rule]:
    """All alerts, in the order of the file."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [
        Rule(one["alert"], one["expr"], one["labels"]["severity"], one["annotations"])
        for group in groups
        for one in group["rules"]
    ]


def dashboard() -> dict[str, Any]:
    document = json.loads(DASHBOARD.read_text())
    assert isinstance(document, dict)
    return document


def panel_expressions() -> list[tuple[str, str]]:
    """What the dashboard asks for, by the panel's title. Its variables stand as they are."""
    return [
        (panel["title"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel["targets"]
    ]


def selectors(expression: str) -> Iterator[Any]:
    """Every selector of an expression. Raises ValueError where it is none."""
    yield from _selectors(promql.parse(expression))


def _selectors(node: Any) -> Iterator[Any]:
    if isinstance(node, promql.VectorSelector):
        yield node
    elif isinstance(node, promql.MatrixSelector):
        yield node.vector_selector
    elif isinstance(node, promql.BinaryExpr):
        yield from _selectors(node.lhs)
        yield from _selectors(node.rhs)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from _selectors(argument)
    elif isinstance(node, promql.AggregateExpr | promql.ParenExpr | promql.UnaryExpr):
        yield from _selectors(node.expr)
    elif not isinstance(node, promql.NumberLiteral):
        raise AssertionError(f"this test does not know {type(node).__name__}")
