"""ONNX's node tests as programs with the traces of their runs, in one tier or another."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from oracle.core.conversion import Array
from oracle.core.types import Tier
from oracle.errors import InputError
from oracle.inference.program_session import open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root
from oracle.program.instruction import Program, Trace
from oracle.program.opcode import Opcode
from tests.program.test_node_suite import plain, representable, store

LINEAR = frozenset({Opcode.DOT, Opcode.SUM, Opcode.MEAN})


@dataclass(frozen=True)
class Ran:
    """A program and what a run of it committed to."""

    tier: Tier
    program: Program
    trace: Trace


@dataclass(frozen=True)
class NodeCase:
    """A case whose inputs can be represented, its structural inputs stored in it."""

    name: str
    model: bytes
    feeds: tuple[Mapping[str, Array], ...]

    def runs(self) -> Iterator[Ran]:
        """In the rounded tier, and in the native one where that differs; nothing if refused."""
        for tier in (Tier.ROUNDED, Tier.NATIVE):
            try:
                compiled = compile_model(self.model, tier=tier)
            except InputError:
                return
            root = program_root(compiled.program)
            loaded = open_program(
                self.name, compiled.file, root, compiled.schema,
                provider=CPU, settings=SessionSettings(),
            )  # fmt: skip
            for feeds in self.feeds:
                trace = loaded.run(feeds, 1).trace
                assert trace is not None
                yield Ran(tier, compiled.program, trace)
            if not any(step.opcode in LINEAR for step in compiled.program.instructions):
                return


@cache
def node_cases() -> Mapping[str, tuple[NodeCase, ...]]:
    """The cases by the first letter of their names."""
    from onnx.backend.test.loader import load_model_tests

    found: dict[str, list[NodeCase]] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in load_model_tests(kind="node"):
            name = case.name.removeprefix("test_")
            made = _made(name, case)
            if made is not None:
                found.setdefault(name[0], []).append(made)
    return {letter: tuple(cases) for letter, cases in found.items()}


def _made(name: str, case: Any) -> NodeCase | None:
    model = copy.deepcopy(case.model)  # the suite gives everybody the same one
    if not all(representable(entry) for entry in (*model.graph.input, *model.graph.output)):
        return None
    data = [[plain(value) for value in feeds] for feeds, _ in case.data_sets]
    positions = store(model, data[0])
    names = [entry.name for entry in model.graph.input]
    feeds = tuple(
        dict(zip(names, [values[place] for place in positions], strict=True)) for values in data
    )
    return NodeCase(name, model.SerializeToString(), feeds)
