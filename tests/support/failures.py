"""The fifteen ways in which a node can fail, the mark of a test that provokes one, and a report.

`@failure(9, "lost reply")` names the failure and the variant; `pytest --failure-report=FILE` writes
what came of each marked test as JSON, and scripts/failure-table makes docs/failures.md of it. Tests
that are marked `@thorough` run with `--all` only. Knows nothing of how a failure is provoked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_PROPERTY = "failure"
_DOCUMENT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """What goes wrong, and what a node does then."""

    what: str
    expected: str


FIFTEEN: Mapping[int, Failure] = {
    1: Failure(
        "a short reorg removes or moves the request",
        "the job waits as orphaned and nothing is sent; or it has one answer at its new place",
    ),
    2: Failure(
        "a reorg un-mines our answer",
        "the same bytes are sent again; where the nonce is gone, the saved answer in a new one",
    ),
    3: Failure(
        "a reorg below finality, or a local chain that began anew under its old id",
        "the node stops with exit code 4 and names the command to run",
    ),
    4: Failure(
        "the worker was down for thousands of blocks, and the endpoint limits ranges",
        "all is found; ranges halve and grow; what was read is not read again",
    ),
    5: Failure(
        "the endpoint leaves logs out without an error",
        "the contract's own count shows it; the logs are read again; red until they are found",
    ),
    6: Failure("logs come twice, reversed, again", "one job, events in the order of the chain"),
    7: Failure(
        "the endpoint is dead, slow, behind, limits the rate, or serves another chain",
        "another one is used, by health and by lag; one of another chain never is",
    ),
    8: Failure(
        "the websocket is deaf or dropped, or there is none",
        "a request waits no longer than the poll interval and a block",
    ),
    9: Failure(
        "kill -9 between sign, save, send and mark; a lost reply",
        "the same bytes are sent again, and the model is not run again for a saved result",
    ),
    10: Failure("a transaction is dropped from the pool", "it is sent again, with the same nonce"),
    11: Failure(
        "fees spike; a transaction is stuck; its replacement is underpriced",
        "both fees rise by 10% at least, up to the cap; any attempt that is mined closes the job",
    ),
    12: Failure(
        "a gap in the nonces, a drift of them, somebody else who uses the key",
        "mended within two cycles, with one alert",
    ),
    13: Failure(
        "two workers on one key, or on one database",
        "one leads by lease, the other takes over within its life; nothing is signed twice",
    ),
    14: Failure(
        "the simulation passes and the chain reverts; others are first; cancelled, late, drained",
        "the reason is decoded, what cannot succeed is not repeated, the queue goes on",
    ),
    15: Failure(
        "own faults: low balance, dear gas, a model that hangs or gives NaN, a full disk, SIGTERM",
        "intake stops, the node drains, exit code 0, no partial row",
    ),
}


def failure(number: int, variant: str) -> pytest.MarkDecorator:
    """Marks a test that provokes a variant of one of the fifteen."""
    assert number in FIFTEEN
    return pytest.mark.failure(number, variant)


thorough = pytest.mark.thorough
"""Marks a test that runs with `--all` only: another like it runs always."""


# ---- the plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also what is marked `thorough`")
    parser.addoption(
        "--failure-report", type=Path, metavar="FILE", help="JSON of what `failure` tests came to"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "chaos: provokes a failure of a real node, on real processes"
    )
    config.addinivalue_line("markers", "failure(number, variant): one of the fifteen")
    config.addinivalue_line("markers", "thorough: runs with --all only")
    path = config.getoption("--failure-report")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Report(path))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("failure"):
            item.user_properties.append((_PROPERTY, list(mark.args)))
    if config.getoption("--all"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


class _Report:
    """Gathers outcomes, in the process that controls the others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        marks = [value for name, value in report.user_properties if name == _PROPERTY]
        for number, variant in marks:
            rows = self._rows.setdefault(report.nodeid, [])
            known = next((one for one in rows if one["variant"] == variant), None)
            if known is None:
                known = {
                    "failure": number,
                    "variant": variant,
                    "test": report.nodeid,
                    "outcome": "passed",
                    "seconds": 0.0,
                }
                rows.append(known)
            if report.outcome != "passed":
                known["outcome"] = report.outcome
            if report.when == "call":
                known["seconds"] = round(report.duration, 2)

    def pytest_sessionfinish(self) -> None:
        rows = [row for rows in self._rows.values() for row in rows]
        rows.sort(key=lambda row: (row["failure"], row["test"]))
        document = {"version": _DOCUMENT_VERSION, "tests": rows}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(document, indent=1) + "\n")
