"""Honest runs are never convicted: judges millions of elements of real runs and counts.

Inputs are those of `probe_rows`; each model runs in every tier it can have, with one thread and
with all. Knows no chain.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from oracle.core.conversion import Array
from oracle.core.types import Tier
from oracle.court.check import CheckReport, check_trace
from oracle.errors import InferenceError, ProgramError
from oracle.inference.probe_rows import probe_rows
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import Provider
from oracle.inference.session import SessionSettings
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root
from oracle.program.instruction import Trace

_BYTES: Final = 1 << 24
_MOST_ROWS: Final = 500
"""Rows are judged together, up to so many bytes of trace."""


def measure(
    sources: dict[str, bytes],
    provider: Provider,
    elements: int,
    say: Callable[[str], None],
    *,
    seed: int = 1,
) -> dict[str, Any]:
    """Judges at least `elements` elements, shared evenly between models, tiers and threads.

    Every violation is reported whole: it would be a bug of the court, or of the runtime.
    """
    subjects = list(_subjects(sources, provider))
    share = -(-elements // len(subjects))
    rows, violations, judged = [], [], 0
    for number, (name, tier, threads, loaded) in enumerate(subjects, 1):
        began = time.perf_counter()
        done = exact = undefined = runs = refused = 0
        together = max(1, min(_MOST_ROWS, _BYTES // loaded.program.row_trace_bytes))
        supply = probe_rows(loaded.schema, seed=seed)
        while done < share:
            found, unusable = _run(loaded, islice(supply, together))
            refused += unusable
            if not found:
                break  # a model that takes none of these inputs
            report = check_trace(loaded.program, Trace(tuple(found)))
            runs += len(found)
            done += report.elements
            exact += report.judged
            undefined += report.undefined
            violations += [f"{name} {tier.name}: {one}" for one in _found(report)]
        judged += done
        seconds = time.perf_counter() - began
        rows.append(
            {
                "model": name,
                "tier": tier.name.lower(),
                "threads": threads,
                "runs": runs,
                "elements": done,
                "exactly_judged": exact,
                "undefined": undefined,
                "refused_by_the_model": refused,
                "elements_per_second": round(done / seconds),
            }
        )
        say(f"{number} of {len(subjects)}: {judged:,} elements, {len(violations)} convicted")
    return {
        "onnxruntime": subjects[0][3].session.facts.onnxruntime_version,
        "provider": provider.name,
        "elements": judged,
        "convicted": len(violations),
        "violations": violations[:20],
        "models": rows,
    }


def _run(
    loaded: LoadedProgram, rows: Iterable[dict[str, Array]]
) -> tuple[list[tuple[Array, ...]], int]:
    """The rows' traces, and how many rows the model refused (an index outside a table, say)."""
    found: list[tuple[Array, ...]] = []
    refused = 0
    for row in rows:
        try:
            run = loaded.run(row, 1)
        except InferenceError:
            refused += 1
            continue
        assert run.trace is not None
        found += run.trace.rows
    return found, refused


def _found(report: CheckReport) -> Iterator[str]:
    for violation in report.violations:
        yield str(violation)


def _subjects(
    sources: dict[str, bytes], provider: Provider
) -> Iterator[tuple[str, Tier, int, LoadedProgram]]:
    for name, source in sources.items():
        for tier in (Tier.EXACT, Tier.ROUNDED, Tier.NATIVE):
            try:
                compiled = compile_model(source, name=name, tier=tier)
            except ProgramError:
                continue  # not exact
            root = program_root(compiled.program)
            for threads in sorted({1, os.cpu_count() or 1}):
                yield (
                    name,
                    tier,
                    threads,
                    open_program(
                        name,
                        compiled.file,
                        root,
                        compiled.schema,
                        provider=provider,
                        settings=SessionSettings(intra_op_threads=threads),
                    ),
                )
