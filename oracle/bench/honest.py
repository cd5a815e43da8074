"""Honest runs are never convicted: judges millions of elements of real runs and counts.

Inputs are those of `probe_rows`; each model runs in every tier it can have, with one thread and
with all. Knows no chain.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from oracle.core.types import Tier
from oracle.court.check import CheckReport, check_trace
from oracle.errors import InferenceError, ProgramError
from oracle.inference.probe_rows import probe_rows
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import Provider
from oracle.inference.session import SessionSettings
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root


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
        for row in probe_rows(loaded.schema, seed=seed):
            if done >= share:
                break
            try:
                run = loaded.run(row, 1)
            except InferenceError:
                refused += 1  # an index outside a table, say
                continue
            assert run.trace is not None
            report = check_trace(loaded.program, run.trace)
            runs += 1
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
