"""From an ONNX file to a registered model: compile, certify, keep, register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oracle.certificate.certificate import Certificate
from oracle.certificate.certify import certify
from oracle.chain.contracts import Contracts
from oracle.chain.sender import TransactionSender
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.schema import ModelSchema
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.devnet.bring_up import register_model
from oracle.errors import ProgramError
from oracle.inference.model_file import ModelFile, inspect, read_bounded
from oracle.inference.model_library import ModelLibrary
from oracle.inference.program_session import open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.ports import Tensors
from oracle.program.compile import CompiledProgram, compile_model
from oracle.program.encoding import program_root
from oracle.program.instruction import Program, Trace
from oracle.program.profile import profile_hash

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model ready to be registered. `compiled` is None in the UNPROVEN tier."""

    file: ModelFile
    root: bytes
    tier: Tier
    schema: ModelSchema
    compiled: CompiledProgram | None
    certificate: Certificate | None

    @property
    def epsilon(self) -> int:
        """The error bar, 18 decimals, rounded up."""
        return UNCERTIFIED if self.certificate is None else self.certificate.epsilon_wad


@dataclass(frozen=True, slots=True)
class AddedModel:
    """What came of adding a file."""

    id: bytes
    name: str
    prepared: PreparedModel
    terms: ModelTerms


def prepare_model(
    path: Path,
    *,
    tier: Tier | None = None,
    rows: list[Tensors] | None = None,
    certificate: Certificate | None = None,
    say: Progress = lambda _: None,
) -> PreparedModel:
    """Compiles a file and certifies it on `rows` (inputs of one row each). Takes its time.

    A tier of None is chosen by what the model is made of; UNPROVEN compiles nothing. A
    `certificate` made before spares the certifying.

    Raises:
        ModelFileError: the file cannot be run.
        ProgramError: it cannot be judged; the hint says what could be done.
    """
    inspected = inspect(path)
    if tier is Tier.UNPROVEN:
        return PreparedModel(inspected, inspected.sha256, tier, inspected.schema, None, None)
    say(f"compiling {path.name}")
    compiled = compile_model(read_bounded(path), name=path.name, tier=tier)
    program = compiled.program
    if rows:
        certificate = certify_program(compiled, rows, say=say)
    elif certificate is not None and not _fits(certificate, program):
        raise ProgramError(
            f"the certificate is not of {path.name} in the {program.tier.name.lower()} tier",
            hint="certify it again: oracle model certify",
        )
    return PreparedModel(
        inspected, program_root(program), program.tier, compiled.schema, compiled, certificate
    )


def _fits(certificate: Certificate, program: Program) -> bool:
    return (certificate.program_source_sha256, certificate.tier) == (
        program.source_sha256.hex(),
        program.tier,
    )


def certify_program(
    compiled: CompiledProgram, rows: list[Tensors], *, say: Progress
) -> Certificate:
    """The certificate on honest runs of these rows, on the CPU of this machine."""
    root = program_root(compiled.program)
    loaded = open_program(
        "the program", compiled.file, root, compiled.schema, provider=CPU,
        settings=SessionSettings(),
    )  # fmt: skip
    traced = [run.trace.rows[0] for row in rows if (run := loaded.run(row, 1)).trace]
    return certify(
        compiled.program,
        Trace(tuple(traced)),
        progress=lambda done: say(f"certified {done} of {len(traced)} rows"),
    )


async def add_model(
    prepared: PreparedModel,
    library: ModelLibrary,
    registrar: TransactionSender,
    contracts: Contracts,
    *,
    name: str,
    uri: str,
    challenge_window: int,
    min_bond: int,
) -> AddedModel:
    """Keeps a prepared model's file and registers it, each where it is not done already.

    Raises:
        ModelFileError: the file cannot be kept.
        ContractReverted: the registry refused the terms.
    """
    if prepared.compiled is None:
        library.add(read_bounded(prepared.file.path))
    else:
        library.add_program(prepared.compiled.file)
    terms = ModelTerms(
        program_root=prepared.root,
        profile_hash=ZERO_BYTES32 if prepared.compiled is None else profile_hash(prepared.tier),
        schema_hash=prepared.schema.schema_hash,
        tier=prepared.tier,
        challenge_window=challenge_window,
        reveal_window=0,
        min_bond=min_bond,
        epsilon=prepared.epsilon,
    )
    model_id = await register_model(
        registrar, contracts, terms, name=name, schema=prepared.schema, uri=uri
    )
    return AddedModel(model_id, name, prepared, terms)
