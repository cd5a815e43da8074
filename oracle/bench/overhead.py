"""What being accountable costs: one row by plain onnxruntime, as a program, and with its trace.

Sessions are opened as a worker opens them, on one core; plain onnxruntime optimises all it can. All
take turns in one process, so that a noisy machine hurts them alike, and ratios are what to read.
The check is of many rows at once, and of one. Knows no chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from oracle.core.conversion import Array
from oracle.court.check import check_trace
from oracle.court.commit_plan import CommitPlan
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
_SLOW_SECONDS = 0.25
"""What takes longer than this for one run is run in fewer rounds."""
_SLOW_ROUNDS = 4
_CHECKED_ROWS = 64
_CHECKED_BYTES = 64 << 20
"""Of a trace that is checked at once; long rows are fewer."""
_NORMAL_ROWS = 5
"""Every so many probe rows one has values of usual size, as a request would."""

_FIGURES = ("plain", "program", "traced", "committed", "check", "check_alone")


@dataclass(frozen=True)
class Subject:
    """A model under measurement and rows of input, the first of which is what is timed."""

    name: str
    source: bytes
    rows: tuple[Mapping[str, Array], ...]


def made_up(name: str, source: bytes) -> Subject:
    """A model with made-up rows of usual size. Raises ModelFileError for a bad one."""
    schema = read_schema(prepare(source, name=name))
    rows = islice(probe_rows(schema), 0, _CHECKED_ROWS * _NORMAL_ROWS, _NORMAL_ROWS)
    return Subject(name, source, tuple(rows))


def measure(
    subjects: list[Subject], provider: Provider, say: Callable[[str], None]
) -> dict[str, Any]:
    """One entry per model; times in microseconds a row, the least of rounds that take turns."""
    rows = []
    for subject in subjects:
        say(f"{subject.name}: compiling")
        compiled = compile_model(subject.source, name=subject.name)
        say(f"{subject.name}: measuring")
        rows.append(_measured(subject, compiled, provider))
    return {"provider": provider.name, "models": rows}


def _measured(subject: Subject, compiled: CompiledProgram, provider: Provider) -> dict[str, Any]:
    program, feed = compiled.program, dict(subject.rows[0])
    root = program_root(program)
    settings = SessionSettings()
    plain = open_session(subject.source, provider, replace(settings, optimisation="all"))
    traced = open_program(
        subject.name, compiled.file, root, compiled.schema, provider=provider, settings=settings
    )
    bare = open_session(
        compiled.file, provider, replace(settings, optimisation=traced.session.facts.optimisation)
    )
    run = traced.run(feed, 1)
    plan = CommitPlan(program)
    alone = _trace(traced, feed)
    count = max(1, min(_CHECKED_ROWS, _CHECKED_BYTES // max(1, program.row_trace_bytes)))
    many = Trace(tuple(_trace(traced, row).rows[0] for row in subject.rows[:count]))
    assert traced.committed(run) is not None
    times = _in_turns(
        {
            "plain": lambda: plain.runtime.run(None, feed),
            "program": lambda: bare.runtime.run(None, feed),
            "traced": lambda: traced.run(feed, 1),
            "committed": lambda: traced.committed(traced.run(feed, 1)),
            "hashing": lambda: commit(program, root, alone, plan=plan),
            "check": lambda: check_trace(program, many),
            "check_alone": lambda: check_trace(program, alone),
        }
    )
    times["check"] /= len(many.rows)
    return {
        "model": subject.name,
        "tier": program.tier.name.lower(),
        "trace_bytes": program.row_trace_bytes,
        "leaf_bytes": program.leaf_bytes,
        **{f"{name}_us": round(times[name] * 1e6, 1) for name in _FIGURES},
        "committed_ratio": round(times["committed"] / times["plain"], 2),
        "check_ratio": round(times["check"] / times["plain"], 1),
        "checked_rows": len(many.rows),
        "hashing_gb_per_s": round(program.row_trace_bytes / times["hashing"] / 1e9, 3),
        "largest_difference": float(f"{_difference(plain, bare, feed):.1e}"),
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
    """Seconds a call: of rounds in which every task has its turn, the least disturbed one."""
    counts: dict[str, int] = {}
    rounds: dict[str, int] = {}
    for name, task in tasks.items():
        task()
        began = time.perf_counter()
        task()
        once = max(time.perf_counter() - began, 1e-7)
        rounds[name] = _SLOW_ROUNDS if once > _SLOW_SECONDS else _ROUNDS
        counts[name] = max(1, min(_MOST_RUNS, int(_ROUND_SECONDS / once)))
    found = dict.fromkeys(tasks, float("inf"))
    for number in range(_ROUNDS):
        for name, task in tasks.items():
            if number >= rounds[name]:
                continue
            began = time.perf_counter()
            for _ in range(counts[name]):
                task()
            found[name] = min(found[name], (time.perf_counter() - began) / counts[name])
    return found
