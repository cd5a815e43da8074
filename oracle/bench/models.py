"""The sample models as programs: what they are worth, and how far a cheat could move them.

Runs every held-out row through the program that answers are made with, and the source model beside
it. Knows no chain and measures no time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oracle.bootstrap.models import prepare_model
from oracle.bootstrap.sample_rows import read_rows
from oracle.bootstrap.source_comparison import SourceComparison
from oracle.certificate.certificate import Certificate
from oracle.devnet.samples import Sample, samples
from oracle.inference.program_session import open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.program.manifest import GIVEN, SourceDifference


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """One entry per sample model, over all of its held-out rows."""
    found = []
    for sample in samples():
        say(sample.name)
        found.append(_measured(sample))
    return {"models": found}


def error_bar(certificate: Certificate | None) -> str:
    """Epsilon in two digits, and what it is where it is not proved."""
    if certificate is None or certificate.kind == "none":
        return "none"
    proved = certificate.kind == "proved"
    return f"{certificate.epsilon:.1e}" + ("" if proved else f" ({certificate.kind})")


def distance(difference: SourceDifference) -> str:
    """From the source model: the largest of any output, and whether a label is another."""
    return f"{difference.largest:.1e}" + (", other labels" if difference.other_rows else "")


def _measured(sample: Sample) -> dict[str, Any]:
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
    answers = []
    for row in read_rows(sample.held_out, prepared.schema):
        answers.append(loaded.run(row, 1).outputs)
        source.add(row, answers[-1])
    difference = source.found(GIVEN)
    assert difference is not None
    return {
        "model": sample.name,
        "tier": prepared.tier.name.lower(),
        "held_out": _score(answers, sample.held_out_samples()[1]),
        "epsilon": error_bar(prepared.certificate),
        "trace_bytes": loaded.program.row_trace_bytes,
        "from_source": distance(difference),
    }


def _score(answers: list[dict[str, Any]], truth: Any) -> str:
    """Accuracy where there are labels, else R² (the share of the variance that is explained)."""
    first = [next(iter(answer.values())).reshape(-1)[0] for answer in answers]
    if np.asarray(first).dtype.kind != "f":
        right = int(sum(a == b for a, b in zip(first, truth, strict=True)))
        return f"{right / len(first):.2%} of {len(first)}"
    errors = np.asarray(first, np.float64) - truth
    explained = 1 - float((errors**2).sum() / ((truth - truth.mean()) ** 2).sum())
    return f"R² {explained:.3f} on {len(first)}"
