"""The court's verdict on this machine, before it stakes anything: its own traces, or trial runs.

A driver, a runtime or a processor that does not keep the bounds must show here, not on the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from oracle.core.schema import ModelSchema, TensorSpec
from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.commitment import commit
from oracle.errors import InferenceError
from oracle.inference.model_library import ModelLibrary
from oracle.inference.probe_rows import probe_rows
from oracle.inference.program_session import open_program
from oracle.inference.provider import Provider, select_provider
from oracle.inference.session import SessionSettings
from oracle.program.compile import load_program
from oracle.program.instruction import Program, TensorInfo
from oracle.settings import Settings
from oracle.storage.recent_traces import load_recent, recent_traces

TRIAL_ROWS: Final = 5
"""Each kind of probe row once."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One trace that was judged; `problem` is None where it is honest."""

    what: str
    tier: Tier
    elements: int
    problem: str | None


def selfcheck(settings: Settings, most: int, say: Callable[[str], None]) -> list[Checked]:
    """Judges the latest traces of this data directory and trial runs of every program it holds.

    Raises:
        OracleError: a trace or a program cannot be read, or the provider cannot be had.
    """
    library = ModelLibrary(settings.model_store)
    done: list[Checked] = []
    for checked in _all(settings, library, most):
        say(f"{checked.what}: {checked.problem or 'honest'}")
        done.append(checked)
    return done


def _all(settings: Settings, library: ModelLibrary, most: int) -> Iterator[Checked]:
    programs: dict[bytes, Program] = {}
    for found in recent_traces(settings.trace_store, most):
        name = f"trace 0x{found.root.hex()[:12]}"
        if found.program_root not in programs:
            programs[found.program_root] = load_program(library.read_program(found.program_root))
        program = programs[found.program_root]
        trace = load_recent(settings.trace_store, found, program)
        report = check_trace(program, trace)
        problem = None if report.first is None else str(report.first)
        if commit(program, found.program_root, trace).trace_root != found.root:
            problem = "the file is not what was committed: the disk changed it"
        yield Checked(name, program.tier, report.elements, problem)
    provider = select_provider(settings.provider)
    for root in library.programs():
        yield _trial(library.read_program(root), root, provider, settings.threads)


def _trial(file: bytes, root: bytes, provider: Provider, threads: int) -> Checked:
    program = load_program(file)
    loaded = open_program(
        "the program",
        file,
        root,
        _row_schema(program),
        provider=provider,
        settings=SessionSettings(intra_op_threads=threads),
    )
    elements = 0
    for row in islice(probe_rows(loaded.schema), TRIAL_ROWS):
        try:
            run = loaded.run(row, 1)
        except InferenceError:
            continue  # an index outside a table: the model's own refusal
        assert run.trace is not None
        report = check_trace(program, run.trace)
        elements += report.elements
        if report.first is not None:
            return Checked(_trial_name(root), program.tier, elements, str(report.first))
    return Checked(_trial_name(root), program.tier, elements, None)


def _trial_name(root: bytes) -> str:
    return f"trial of program 0x{root.hex()[:12]}"


def _row_schema(program: Program) -> ModelSchema:
    """Its interface: where it takes several rows, each tensor's first axis is theirs."""

    def specs(numbers: tuple[int, ...]) -> tuple[TensorSpec, ...]:
        tensors = (program.tensors[number] for number in numbers)
        return tuple(TensorSpec(one.name, one.element, shape(one)) for one in tensors)

    def shape(info: TensorInfo) -> tuple[int | None, ...]:
        return (None, *info.shape[1:]) if program.max_rows > 1 else info.shape

    return ModelSchema(specs(program.inputs), specs(program.outputs), program.max_rows)
