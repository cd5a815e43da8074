"""The watcher's own run of a model on a request: what the answer is compared with.

A run convinces whoever made it and nobody else, so it decides only whether a demand is worth its
deposit, and where to look. Accuses nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from oracle.core.model import UNCERTIFIED
from oracle.core.tensor import decode_inputs, decode_outputs, input_batch
from oracle.core.types import Tier
from oracle.court.message import may_be_empty
from oracle.court.screen_result import same
from oracle.errors import OracleError, TensorError
from oracle.ports.inference import CommittedTrace, Inference, Tensors
from oracle.verify.sources import Runner
from oracle.watcher.subject import OpenedProgram, Subject

_WAD = 10**18

NewRunner = Callable[[], Runner]
"""A runner for one run, with its time limit."""


@dataclass(frozen=True, slots=True)
class OwnRun:
    """What the own run gave. `differs` says how the answer is another; None where it is the same.

    `trace` is None where nothing was run; `failure` says why nothing could be.
    """

    trace: CommittedTrace | None
    differs: str | None
    failure: str | None = None


async def run_again(subject: Subject, opened: OpenedProgram, new_runner: NewRunner) -> OwnRun:
    """Runs the model and compares. Never raises for what the request or the answer says."""
    terms, schema = subject.model.terms, subject.model.schema
    try:
        inputs = decode_inputs(schema, subject.message)
    except TensorError as error:
        # Whoever commits to no rows has been told apart from this before.
        return OwnRun(None, f"the answer commits to a run of a malformed input: {error.message}")
    try:
        inference = await new_runner().run(
            opened.file, terms.program_root, schema, terms.tier, inputs
        )
    except OracleError as error:
        return OwnRun(None, None, f"the model cannot be run here: {error.message}")
    return OwnRun(inference.trace, _differs(subject, opened, inference))


def _differs(subject: Subject, opened: OpenedProgram, inference: Inference) -> str | None:
    schema = subject.model.schema
    try:
        rows = input_batch(schema, len(subject.message))
        if not subject.result:
            too_large = may_be_empty(opened.program, rows)
            return None if too_large else "the result is empty, and this machine gets one"
        answer = decode_outputs(schema, subject.result, rows)
    except TensorError as error:
        return f"the result does not fit the schema: {error.message}"
    return _beyond_the_bar(subject, answer, inference.outputs)


def _beyond_the_bar(subject: Subject, answer: Tensors, mine: Tensors) -> str | None:
    """Within the certified bar machines may differ, and no consumer is to act on it."""
    terms = subject.model.terms
    exact = terms.tier is Tier.EXACT or terms.epsilon == UNCERTIFIED
    for spec in subject.model.schema.outputs:
        one, other = answer[spec.name], np.ascontiguousarray(mine[spec.name])
        differing = ~same(one, other)
        if not differing.any():
            continue
        left, right = one[differing], other[differing]
        numbers = spec.element.is_float and bool(np.isfinite((left, right)).all())
        if numbers and not exact and _distance(left, right) * _WAD <= terms.epsilon:
            continue
        place = tuple(int(axis) for axis in np.argwhere(differing)[0])
        return f"{spec.name} is {one[place]} at {list(place)}, {other[place]} on this machine"
    return None


def _distance(one: Any, other: Any) -> Fraction:
    gap = np.abs(one.astype(np.float64) - other.astype(np.float64))
    place = np.unravel_index(int(np.argmax(gap)), one.shape)
    return abs(Fraction(one[place].item()) - Fraction(other[place].item()))
