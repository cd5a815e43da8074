"""The three measurements run end to end, small, and say what they promise; no figure is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oracle.bench.gas import RESULTS
from oracle.bench.statistics import percentile, summary
from oracle.bench.timing import Ledger
from oracle.inference.provider import find_cuda_problem
from oracle.service.policy import ANSWER_GAS, SETTLE_GAS, result_gas
from tests.support.failures import thorough

MODELS = Path(__file__).parents[2] / "models"


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    """What `oracle bench` prints for scripts."""
    done = subprocess.run(
        [sys.executable, "-m", "oracle", "bench", *arguments, "--json"],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=350,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    assert {"cpu", "cores", "load_before", "anvil", "onnxruntime"} <= facts["machine"].keys()
    assert list(folder.iterdir()) == []  # everything was kept elsewhere and is gone
    return facts


@pytest.mark.anvil
def test_gas_has_every_verb_and_its_budget(tmp_path: Path) -> None:
    facts = bench(tmp_path, "gas")
    rows = {row["verb"]: row for row in facts["verbs"]}
    for verb in (
        "deposit", "withdraw", "request, prepaid, open", "request, prepaid, accepted by offer",
        "requestWithPull, open, first", "requestWithPull, open", "requestBySignature, open",
        "accept", "answer", "answer, with callback", "answerBatch of 10, an item", "settle",
        "settle, with callback", "settleBatch of 10, an item", "cancel", "expire",
        "markDefaulted", "retryNotice", "claim", "register operator", "bond", "setOffer, first",
        "unbond", "withdraw of an unbonding", "register model",
    ):  # fmt: skip
        row = rows.pop(verb)
        assert row["gas"] > 0
        assert row["ok"] is (None if row["budget"] is None else row["gas"] <= row["budget"])
    assert facts["input_bytes"] == 256
    for size in RESULTS:  # the profit gate counts no less than a result takes, and little more
        answered = result_gas(size, for_consumer=False)
        settled = result_gas(size, for_consumer=True) - answered
        for verb, counted in (
            ("answer", ANSWER_GAS + answered),
            ("settle, with callback", SETTLE_GAS + settled),
        ):
            row = rows.pop(f"{verb}, result of {size:,} bytes")
            assert row["gas"] <= counted <= row["gas"] + 25_000


@thorough
@pytest.mark.anvil
def test_latency_says_blocks_seconds_and_where_the_time_goes(tmp_path: Path) -> None:
    facts = bench(tmp_path, "latency", "--requests", "2")
    for mining in ("automine", "blocks_of_1_s"):
        figures = facts[mining]
        assert figures["requests"] == 2
        assert figures["blocks"]["min"] >= 1
        assert figures["seconds"].keys() == {"min", "p50", "p95", "max"}
        shares = figures["worker"]["share"]
        assert shares.keys() == {"inference", "signing", "rpc", "database", "encoding"}
        assert sum(shares.values()) == pytest.approx(1, abs=0.01)
        assert figures["settings"]["poll_seconds"] == "0.25"


@thorough
@pytest.mark.anvil
def test_throughput_loses_nothing(tmp_path: Path) -> None:
    facts = bench(tmp_path, "throughput", "--requests", "30")
    assert (facts["requests"], facts["answered"], facts["settled"], facts["lost"]) == (
        30,
        30,
        30,
        0,
    )
    assert facts["answer_transactions"] >= 1
    assert sum(block["answers"] for block in facts["blocks"]) == 30
    for figure in (
        "answered_per_second", "answered_per_second_peak", "block_gas_used", "gas_per_answer",
        "worker_cpu_seconds_to_last_answer", "worker_rss_mib_max", "anvil_cpu_share_of_a_core",
    ):  # fmt: skip
        assert facts[figure] > 0
    assert facts["bound_by"]


def test_overhead_compares_like_with_like(tmp_path: Path) -> None:
    facts = bench(tmp_path, "overhead", str(MODELS / "wine-xgboost.onnx"))
    (one,) = facts["models"]
    assert (one["model"], one["tier"], one["checked_rows"]) == ("wine-xgboost", "rounded", 64)
    assert one["committed_us"] > one["plain_us"] > 0
    assert one["check_us"] < one["check_alone_us"]
    assert one["largest_difference"] < 1e-5


def test_overhead_fits_a_wide_terminal(tmp_path: Path) -> None:
    done = overhead(tmp_path, str(MODELS / "wine-xgboost.onnx"))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "wine-xgboost" in line]
    assert "rounded" in lines[-1]  # one line holds all of a row
    assert len(lines[-1].rstrip()) <= 160


def test_cuda_that_is_not_there_says_what_it_lacks(tmp_path: Path) -> None:
    if find_cuda_problem() is None:
        pytest.skip("there is a CUDA device")
    done = overhead(tmp_path, str(MODELS / "wine-xgboost.onnx"), "--provider", "cuda")
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "CUDA was demanded, but" in said
    assert "nvidia-smi" in said
    assert "Traceback" not in said


def overhead(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`oracle bench overhead` as people see it."""
    return subprocess.run(
        [sys.executable, "-m", "oracle", "bench", "overhead", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"COLUMNS": "160"},
        timeout=350,
        check=False,
    )


def test_percentiles_are_values_that_occurred() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, percent) for percent in (0, 20, 21, 50, 95, 100)] == [
        1,
        1,
        2,
        3,
        5,
        5,
    ]
    assert summary([1.0])["p95"] == 1.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


async def test_a_timed_adapter_behaves_as_the_one_it_wraps() -> None:
    class Port:
        name = "port"

        async def ask(self, what: str) -> str:
            return what.upper()

        def refuse(self) -> None:
            raise KeyError("no")

    ledger = Ledger()
    timed = ledger.timed("port", Port())
    assert timed.name == "port"
    assert [await timed.ask("a"), await timed.ask("b")] == ["A", "B"]
    with pytest.raises(KeyError):
        timed.refuse()
    methods = ledger.as_facts()["port"]["methods"]
    assert (methods["ask"]["calls"], methods["refuse"]["calls"]) == (2, 1)
