"""A watcher's report: to scripts each case in full, to people those that need reading."""

from __future__ import annotations

from oracle.core.case import Case, CaseState
from oracle.ports.jobs import Totals
from oracle.watcher.report import WatchReport
from tests.service.fakes import OPERATOR

STATES = [CaseState.CLEAN, CaseState.OVER, CaseState.OVER, CaseState.CONVICTED, CaseState.SKIPPED]


def test_people_see_in_full_only_what_was_not_clean_or_over() -> None:
    cases = [
        Case(bytes([number]) * 32, OPERATOR, 1, b"\x01" * 32, state, f"reason {number}")
        for number, state in enumerate(STATES)
    ]
    report = WatchReport(cases, frozenset(), Totals({}, 0, 0, 0, 0), 0)
    counted = {"clean": 1, "over": 2, "convicted": 1, "skipped": 1}
    assert report.told()["states"] == report.facts()["states"] == counted
    assert [case["state"] for case in report.told()["cases"]] == ["convicted", "skipped"]
    assert [case["reason"] for case in report.facts()["cases"]] == [
        f"reason {number}" for number in (1, 2, 3, 4)
    ]
