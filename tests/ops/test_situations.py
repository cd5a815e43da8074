"""Each alert fires in its situation and in no other, as Prometheus itself evaluates it.

Needs `promtool` (Debian: apt install prometheus), on the path or named by PROMTOOL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ops.rules import ALERTS, PROMETHEUS, rules

PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
NODE = 'job="oracle", instance="node"'
WATCHER = 'job="oracle-watcher", instance="watcher"'
MINUTES = 30

WELL: dict[str, str] = {
    # a sample a minute; the clock of the test begins at 0, and so do timestamps
    f"up{{{NODE}}}": "1x40",
    f"up{{{WATCHER}}}": "1x40",
    f'oracle_stalled{{{NODE}, cause="chain"}}': "0x40",
    f'oracle_stalled{{{NODE}, cause="intake"}}': "0x40",
    f'oracle_leads{{{NODE}, what="chain"}}': "1x40",
    f"oracle_earliest_deadline_timestamp_seconds{{{NODE}}}": "600+60x40",
    f'oracle_jobs{{{NODE}, state="failed"}}': "1x40",
    f'oracle_jobs{{{NODE}, state="defaulted"}}': "1x40",
    f'oracle_jobs{{{NODE}, state="slashed"}}': "0x40",
    f"oracle_demands{{{NODE}}}": "0x40",
    f"oracle_database_up{{{NODE}}}": "1x40",
    f'oracle_gas_balance_coins{{{NODE}, account="0x1"}}': "2x40",
    f"oracle_gas_minimum_coins{{{NODE}}}": "1x40",
    f"oracle_oldest_open_transaction_timestamp_seconds{{{NODE}}}": "0+60x40",
    f"oracle_transactions_reverted{{{NODE}}}": "5x40",
    f'oracle_endpoint_up{{{NODE}, position="1", endpoint="http://a"}}': "1x40",
    f"oracle_inference_restarts_total{{{NODE}}}": "0x40",
    f'oracle_answer_seconds_bucket{{{NODE}, le="1"}}': "0+10x40",
    f'oracle_answer_seconds_bucket{{{NODE}, le="120"}}': "0+10x40",
    f'oracle_answer_seconds_bucket{{{NODE}, le="+Inf"}}': "0+10x40",
    f"oracle_trace_held_bytes{{{NODE}}}": "50x40",
    f"oracle_trace_budget_bytes{{{NODE}}}": "100x40",
    f'oracle_watcher_stalled{{{WATCHER}, cause="chain"}}': "0x40",
    f'oracle_watcher_cases{{{WATCHER}, state="accused"}}': "0x40",
    f'oracle_watcher_cases{{{WATCHER}, state="missed"}}': "0x40",
    f'oracle_watcher_purse_held{{{WATCHER}, what="coin"}}': "2x40",
    f'oracle_watcher_purse_needed{{{WATCHER}, what="coin"}}': "1x40",
}

SITUATIONS: dict[str, dict[str, str]] = {
    "OracleNodeDown": {f"up{{{NODE}}}": "0x40"},
    "OracleNodeStalled": {f'oracle_stalled{{{NODE}, cause="chain"}}': "1x40"},
    "OracleIntakeStopped": {f'oracle_stalled{{{NODE}, cause="intake"}}': "1x40"},
    "OracleNoLeader": {f'oracle_leads{{{NODE}, what="chain"}}': "0x40"},
    "OracleAnswerDue": {
        f"oracle_earliest_deadline_timestamp_seconds{{{NODE}}}": "30+60x40",
    },
    "OracleRequestGivenUp": {f'oracle_jobs{{{NODE}, state="failed"}}': "1x20 2x20"},
    "OracleDefaulted": {f'oracle_jobs{{{NODE}, state="defaulted"}}': "1x20 2x20"},
    "OracleConvicted": {f'oracle_jobs{{{NODE}, state="slashed"}}': "0x20 1x20"},
    "OracleDemandOpen": {f"oracle_demands{{{NODE}}}": "1x40"},
    "OracleDemandDue": {
        f"oracle_earliest_demand_timestamp_seconds{{{NODE}}}": "90+60x40",
    },
    "OracleDatabaseDown": {f"oracle_database_up{{{NODE}}}": "0x40"},
    "OracleGasLow": {f'oracle_gas_balance_coins{{{NODE}, account="0x1"}}': "0.5x40"},
    "OracleTransactionStuck": {
        f"oracle_oldest_open_transaction_timestamp_seconds{{{NODE}}}": "60x40",
    },
    "OracleTransactionsReverted": {f"oracle_transactions_reverted{{{NODE}}}": "5x20 10x20"},
    "OracleEndpointDown": {
        f'oracle_endpoint_up{{{NODE}, position="2", endpoint="http://b"}}': "0x40"
    },
    "OracleTrouble": {f'oracle_trouble{{{NODE}, where="settle"}}': "1x40"},
    "OracleModelsCrash": {f"oracle_inference_restarts_total{{{NODE}}}": "0+1x40"},
    "OracleAnswersSlow": {f'oracle_answer_seconds_bucket{{{NODE}, le="1"}}': "0+5x40"},
    "OracleTracesFull": {f"oracle_trace_held_bytes{{{NODE}}}": "95x40"},
    "OracleWatcherDown": {f"up{{{WATCHER}}}": "0x40"},
    "OracleWatcherStalled": {f'oracle_watcher_stalled{{{WATCHER}, cause="chain"}}': "1x40"},
    "OracleWrongAnswerFound": {f'oracle_watcher_cases{{{WATCHER}, state="accused"}}': "0x20 1x20"},
    "OracleWrongAnswerFinal": {f'oracle_watcher_cases{{{WATCHER}, state="missed"}}': "0x20 1x20"},
    "OracleWatcherPurseLow": {f'oracle_watcher_purse_held{{{WATCHER}, what="coin"}}': "0x40"},
}
"""What differs from WELL when just this alert is to fire."""

FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


def test_there_is_a_situation_for_each_alert() -> None:
    assert set(SITUATIONS) == {one.name for one in rules()}


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here")
def test_the_rules_and_the_example_are_what_prometheus_reads() -> None:
    for arguments in (["rules", ALERTS], ["config", PROMETHEUS]):
        run = promtool("check", *map(str, arguments))
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here")
def test_each_alert_fires_in_its_situation_and_in_no_other(tmp_path: Path) -> None:
    played = {"": {}} | SITUATIONS
    document = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [_test(name, changes) for name, changes in played.items()],
    }
    file = tmp_path / "situations.yml"
    file.write_text(yaml.safe_dump(document))
    run = promtool("test", "rules", str(file))
    assert run.returncode == 0, run.stdout + run.stderr


def _test(name: str, changes: dict[str, str]) -> dict[str, Any]:
    fires = [{"labels": f'{{alertname="{name}"}}', "value": 1}] if name else []
    return {
        "name": name or "all is well",
        "interval": "1m",
        "input_series": [
            {"series": series, "values": values} for series, values in (WELL | changes).items()
        ],
        "promql_expr_test": [
            {"expr": FIRING, "eval_time": f"{MINUTES}m", "exp_samples": fires},
        ],
    }


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    return subprocess.run(
        [PROMTOOL, *arguments], capture_output=True, text=True, check=False, timeout=300
    )
