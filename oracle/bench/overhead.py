"""What being accountable costs: one row by plain onnxruntime, as a program, and with its trace.

The three take turns in one process, so that a noisy machine hurts them alike; ratios are what to
read. Knows no chain.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from oracle.core.conversion import Array
from oracle.court.check import check_trace
from oracle.court.commitment import commit
from oracle.inference.probe_rows import probe_rows
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import Provider
from oracle.inference.session import OpenSession, SessionSettings, open_session
from oracle.program.compile import CompiledProgram, compile_model
from oracle.program.encoding import program_root
from oracle.program.instruction import Trace
from oracle.program.source.model_schema import read_schema
from oracle.program.source.prepare import prepare

_ROUNDS = 15
_ROUND_SECONDS = 0.05
_MOST_RUNS = 200


@dataclass(frozen=True)
class Subject:
    """A model under measurement and one row of input."""

    name: str
    source: bytes
    feed: Mapping[str, Array]


def made_up(name: str, source: bytes) -> Subject:
    """A model with the first probe row that it takes. Raises ModelFileError for a bad one."""
    schema = read_schema(prepare(source, name=name))
    return Subject(name, source, next(probe_rows(schema)))


def measure(
    subjects: list[Subject], provider: Provider, say: Callable[[str], None]
) -> dict[str, Any]:
    """One entry per model; times in microseconds a row, medians over rounds that take turns."""
    rows = []
    for subject in subjects:
        say(f"{subject.name}: compiling")
        compiled = compile_model(subject.source, name=subject.name)
        say(f"{subject.name}: measuring")
        rows.append(_measured(subject, compiled, provider))
    return {"provider": provider.name, "models": rows}


def _measured(subject: Subject, compiled: CompiledProgram, provider: Provider) -> dict[str, Any]:
    root = program_root(compiled.program)
    feed = dict(subject.feed)
    threads = os.cpu_count() or 1
    plain = open_session(
        subject.source, provider, SessionSettings(intra_op_threads=threads, optimisation="all")
    )
    settings = SessionSettings(intra_op_threads=threads)
    bare = open_session(compiled.file, provider, settings)
    traced = open_program(
        subject.name, compiled.file, root, compiled.schema, provider=provider, settings=settings
    )
    trace = _trace(traced, feed)
    committed = commit(compiled.program, root, trace, threads=threads)
    times = _in_turns(
        {
            "plain": lambda: plain.runtime.run(None, feed),
            "program": lambda: bare.runtime.run(None, feed),
            "traced": lambda: _trace(traced, feed),
            "committed": lambda: commit(
                compiled.program, root, _trace(traced, feed), threads=threads
            ),
            "hashing": lambda: commit(compiled.program, root, trace, threads=threads),
            "check": lambda: check_trace(compiled.program, trace),
        }
    )
    assert len(committed.trace_root) == 32
    size = compiled.program.row_trace_bytes
    return {
        "model": subject.name,
        "tier": compiled.program.tier.name.lower(),
        "plain_us": round(times["plain"] * 1e6, 1),
        "program_us": round(times["program"] * 1e6, 1),
        "traced_us": round(times["traced"] * 1e6, 1),
        "committed_us": round(times["committed"] * 1e6, 1),
        "committed_ratio": round(times["committed"] / times["plain"], 2),
        "trace_bytes": size,
        "hashing_gb_per_s": round(size / times["hashing"] / 1e9, 3),
        "check_us": round(times["check"] * 1e6, 1),
        "check_ratio": round(times["check"] / times["plain"], 1),
        "largest_difference": _difference(plain, bare, feed),
    }


def _trace(loaded: LoadedProgram, feed: Mapping[str, Array]) -> Trace:
    trace = loaded.run(feed, 1).trace
    assert trace is not None
    return trace


def _difference(plain: OpenSession, bare: OpenSession, feed: Mapping[str, Array]) -> float:
    """Largest difference of any float output between the source model and its program."""
    pairs = zip(plain.runtime.run(None, feed), bare.runtime.run(None, feed), strict=False)
    gaps = [
        float(np.max(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))))
        for a, b in pairs
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.size
    ]
    return max(gaps, default=0.0)


def _in_turns(tasks: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds a call, the median over rounds in which every task has its turn."""
    counts: dict[str, int] = {}
    for name, task in tasks.items():
        task()
        began = time.perf_counter()
        task()
        once = max(time.perf_counter() - began, 1e-7)
        counts[name] = max(1, min(_MOST_RUNS, int(_ROUND_SECONDS / once)))
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(_ROUNDS):
        for name, task in tasks.items():
            began = time.perf_counter()
            for _ in range(counts[name]):
                task()
            found[name].append((time.perf_counter() - began) / counts[name])
    return {name: median(values) for name, values in found.items()}
