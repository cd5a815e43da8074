"""An answer of a real program on a real chain, honest or not, and everything to verify it with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.bootstrap.verify import LocalRunner
from oracle.client.reader import OracleReader
from oracle.core.event import RequestSeen
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.receipt import Answer
from oracle.core.saved_receipt import SavedReceipt
from oracle.core.tensor import encode_inputs, encode_outputs
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.court.check import CheckReport, check_trace
from oracle.court.commitment import commit
from oracle.devnet.bring_up import register_model
from oracle.devnet.samples import sample
from oracle.errors import TraceUnavailable
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.ports.contracts import AnswerItem
from oracle.program.compile import CompiledProgram, compile_model
from oracle.program.encoding import program_root
from oracle.program.instruction import Program, Trace
from oracle.program.profile import profile_hash
from oracle.settings import Settings
from oracle.verify import evidence as evidences
from oracle.verify.evidence import of_receipt
from oracle.verify.facts import ChainFacts, NotReached, read_facts
from oracle.verify.places import Folder
from oracle.verify.report import Kind, Name, Report
from oracle.verify.sources import Sources
from oracle.verify.verify import verify
from tests.support.scene import OPG, Scene

MODEL = "digits-mlp"
EPSILON = 10**15
SETTINGS = Settings.model_construct(provider="cpu")

Change = Callable[[bytearray], None]


@cache
def source() -> bytes:
    return sample(MODEL).file.read_bytes()


@cache
def compiled() -> CompiledProgram:
    return compile_model(source(), tier=Tier.ROUNDED)


@cache
def root() -> bytes:
    return program_root(compiled().program)


@cache
def loaded() -> LoadedProgram:
    return open_program(
        MODEL,
        compiled().file,
        root(),
        compiled().schema,
        provider=CPU,
        settings=SessionSettings(optimisation="none"),
    )


def digits(first: int = 0, count: int = 2) -> NDArray[np.float32]:
    images, _ = sample(MODEL).held_out_samples()
    return images[first : first + count].astype(np.float32)


def honest(x: NDArray[np.float32]) -> tuple[bytes, bytes, Trace]:
    """Input bytes, result bytes and trace of an honest run."""
    run = loaded().run({"pixels": x}, len(x))
    assert run.trace is not None
    schema = compiled().schema
    return encode_inputs(schema, {"pixels": x}), encode_outputs(schema, run.outputs), run.trace


def committed(trace: Trace) -> bytes:
    return commit(compiled().program, root(), trace).trace_root


def changed(trace: Trace, tensor: int, element: int, value: float, row: int = 0) -> Trace:
    """The trace with another number in one place."""
    rows = [list(one) for one in trace.rows]
    rows[row][tensor] = rows[row][tensor].copy()
    rows[row][tensor][element] = value
    return Trace(tuple(tuple(one) for one in rows))


def result_of(trace: Trace) -> bytes:
    """The result bytes that a trace ends with."""
    program, schema = compiled().program, compiled().schema
    outputs = {
        spec.name: np.concatenate([row[number] for row in trace.rows]).reshape(
            spec.shape_for(len(trace.rows))
        )
        for spec, number in zip(schema.outputs, program.outputs, strict=True)
    }
    return encode_outputs(schema, outputs)


@dataclass
class Served:
    """A trace source that gives what it was given."""

    trace: Trace | None
    name: str = "a test"

    async def read(self, trace_root: bytes, program: Program, rows: int) -> Trace:
        if self.trace is None:
            raise TraceUnavailable("it has none")
        return self.trace


def blind(program: Program, trace: Trace) -> CheckReport:
    """A judge that sees nothing."""
    elements = sum(step.size for step in program.instructions) * len(trace.rows)
    return CheckReport(len(trace.rows), elements, elements, 0, 0, 0, ())


@dataclass(frozen=True)
class Play:
    """One answered request."""

    scene: Scene
    reader: OracleReader
    request_id: bytes
    created: RequestSeen
    saved: SavedReceipt
    trace: Trace | None
    file: bytes

    def sources(self, **changes: Any) -> Sources:
        """Everything honest: the file, the trace, this machine, a court that finds nothing."""
        whole = Sources(
            files=(Folder(lambda root, tier: self.file),),
            traces=() if self.trace is None else (Served(self.trace),),
            runner=LocalRunner(SETTINGS),
            judge=check_trace,
        )
        return replace(whole, **changes)

    async def facts(self, saved: SavedReceipt | None = None) -> ChainFacts | NotReached:
        one = saved or self.saved
        return await read_facts(
            self.reader,
            one.contracts,
            one.request_id,
            one.request.model_id,
            one.answer.operator,
            one.posted.block_number,
        )

    async def verify(
        self,
        saved: SavedReceipt | None = None,
        facts: ChainFacts | NotReached | None = None,
        **changes: Any,
    ) -> Report:
        sources = self.sources(**changes)
        try:
            claimed = of_receipt(saved or self.saved)
            return await verify(claimed, facts or await self.facts(saved), sources)
        finally:
            if isinstance(sources.runner, LocalRunner):
                sources.runner.close()


def model_terms(tier: Tier, **changes: Any) -> ModelTerms:
    provable = tier is not Tier.UNPROVEN

    terms = ModelTerms(
        program_root=root() if provable else hashlib.sha256(source()).digest(),
        profile_hash=profile_hash(tier) if provable else ZERO_BYTES32,
        schema_hash=compiled().schema.schema_hash,
        tier=tier,
        challenge_window=5,
        reveal_window=5 if provable else 0,
        min_bond=OPG,
        epsilon=EPSILON if provable else UNCERTIFIED,
    )
    return replace(terms, **changes)


async def play(
    scene: Scene,
    *,
    tier: Tier = Tier.ROUNDED,
    terms: ModelTerms | None = None,
    x: NDArray[np.float32] | None = None,
    data: bytes | None = None,
    result: bytes | None = None,
    trace: Trace | None = None,
    trace_root: bytes | None = None,
) -> Play:
    """Registers a model, asks and answers: honestly, but for what is given."""
    schema = compiled().schema
    chosen = terms or model_terms(tier)
    model_id = await register_model(
        scene.owner, scene.contracts, chosen, name=MODEL, schema=schema, uri="sample:test"
    )
    given, honest_result, honest_trace = honest(digits() if x is None else x)
    provable = chosen.tier is not Tier.UNPROVEN
    used = trace or honest_trace
    params = replace(await scene.params(), model_id=model_id)
    asked = await scene.request(params, given if data is None else data)
    await scene.accept(asked.request)
    root_used = trace_root or (committed(used) if provable else ZERO_BYTES32)
    posted = honest_result if result is None else result
    await post(scene, asked, posted, root_used)
    reader = OracleReader(scene.chain.rpc, scene.contracts.deployment)
    return Play(
        scene,
        reader,
        asked.request_id,
        asked,
        await evidences.save(reader, asked.request_id),
        used if provable else None,
        compiled().file if provable else source(),
    )


async def post(scene: Scene, asked: RequestSeen, result: bytes, trace_root: bytes) -> None:
    """Answers as the operator's key signs it."""
    oracle = scene.contracts.oracle
    answer = Answer.of(asked.request_id, asked.request, scene.owner.address, result, trace_root)
    signature = scene.signer.signer.sign_digest(answer.digest(oracle.domain))
    item = AnswerItem(asked.request, result, trace_root)
    call = oracle.answer_data(item, scene.owner.address, signature)
    await scene.signer.send(oracle.address, call)


def kinds(report: Report) -> dict[str, str]:
    """Every step's outcome."""
    return {step.name.value: step.kind.name for step in report.steps}


def said(report: Report, name: Name, kind: Kind | None = None) -> str:
    """What a step says, or what it says of one kind."""
    findings = report.step(name).findings
    return "\n".join(one.text for one in findings if kind in (None, one.kind))
