"""The sample models as programs: what they are worth, and how far a cheat could move them.

Runs every held-out row through the program that answers are made with, and the source model beside
it. Knows no chain and measures no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from oracle.bootstrap.models import PreparedModel, prepare_model
from oracle.bootstrap.sample_rows import read_rows
from oracle.bootstrap.source_comparison import SourceComparison
from oracle.core.decision import decide
from oracle.core.model import error_bar
from oracle.devnet.samples import Sample, samples
from oracle.inference.program_session import open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.program.manifest import GIVEN


def measure(most: int, say: Callable[[str], None]) -> dict[str, Any]:
    """One entry per sample model, over at most `most` held-out rows."""
    found = []
    for sample in samples():
        say(sample.name)
        found.append(_measured(sample, most))
    return {"models": found}


def _measured(sample: Sample, most: int) -> dict[str, Any]:
    prepared = prepare_model(sample.file, manifest=sample.manifest())
    assert prepared.compiled is not None
    loaded = open_program(
        sample.name,
        prepared.compiled.file,
        prepared.root,
        prepared.schema,
        provider=CPU,
        settings=SessionSettings(),
    )
    source = SourceComparison(sample.file.read_bytes(), prepared.schema)
    rows = read_rows(sample.held_out, prepared.schema, most=most)
    truth = sample.held_out_samples()[1][: len(rows)]
    answers = []
    for row in rows:
        answers.append(loaded.run(row, 1).outputs)
        source.add(row, answers[-1])
    difference = source.found(GIVEN)
    assert difference is not None
    return {
        "model": sample.name,
        "tier": prepared.tier.name.lower(),
        "held_out": _score(answers, truth),
        "epsilon": error_bar(prepared.epsilon),
        "ambiguous": _ambiguous(answers, prepared),
        "trace_bytes": loaded.program.row_trace_bytes,
        "instructions": len(loaded.program.instructions),
        "from_source": f"{difference.largest:.1e}"
        + (", other labels" if difference.other_rows else ""),
    }


def _score(answers: list[dict[str, Any]], truth: Any) -> str:
    """Accuracy where there are labels, else R² (the share of the variance that is explained)."""
    first = [next(iter(answer.values())).reshape(-1)[0] for answer in answers]
    if np.asarray(first).dtype.kind != "f":
        right = int(sum(a == b for a, b in zip(first, truth, strict=True)))
        return f"{right}/{len(first)} right"
    errors = np.asarray(first, np.float64) - truth
    return f"R² {1 - float((errors**2).sum() / ((truth - truth.mean()) ** 2).sum()):.3f}"


def _ambiguous(answers: list[dict[str, Any]], prepared: PreparedModel) -> str:
    """How many classifications a contract would be told are too close to call."""
    scores = [
        value.reshape(-1)
        for answer in answers
        for value in answer.values()
        if value.dtype.kind == "f" and value.size > 1
    ]
    if not scores or prepared.certificate is None:
        return "–"
    bound = prepared.certificate.epsilon
    epsilon = bound if math.isfinite(bound) else None
    unclear = sum(not decide(one.tolist(), epsilon).clear for one in scores)
    return f"{unclear} of {len(scores)}"
