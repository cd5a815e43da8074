"""From an ONNX file to a registered model: compile, compare, certify, keep, register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from oracle.bootstrap.reveal_window import RevealAdvice, reveal_advice
from oracle.bootstrap.source_comparison import compare_with_source
from oracle.certificate.certificate import Certificate
from oracle.certificate.certify import certify
from oracle.chain.contracts import Contracts
from oracle.chain.sender import TransactionSender
from oracle.core.model import UNCERTIFIED, Model, ModelTerms
from oracle.core.schema import DEFAULT_MAX_BATCH, ElementType, ModelSchema
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.court.proof_size import require_provable
from oracle.devnet.bring_up import register_model
from oracle.errors import ModelFileError, NotFound, ProgramError, SchemaError
from oracle.inference.model_file import ModelFile, inspect, parse, read_bounded
from oracle.inference.model_library import ModelLibrary
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.ports.inference import Tensors
from oracle.program.compile import CompiledProgram, compile_model
from oracle.program.encoding import encode
from oracle.program.instruction import Trace
from oracle.program.manifest import ProgramManifest
from oracle.program.profile import profile_hash
from oracle.program.source.model_schema import read_schema

Progress = Callable[[str], None]

CERTIFIED_ROWS: Final = 32

_FLOAT32_INPUTS: Final = (
    "its inputs are double: export it with float32 inputs, as in "
    "skl2onnx.to_onnx(model, X[:1].astype(np.float32))"
)


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model ready to be registered. `compiled` and `manifest` are None in the UNPROVEN tier."""

    file: ModelFile
    root: bytes
    tier: Tier
    schema: ModelSchema
    compiled: CompiledProgram | None
    manifest: ProgramManifest | None

    @property
    def certificate(self) -> Certificate | None:
        """As the manifest has it. Raises InputError where it has something else."""
        if self.manifest is None or self.manifest.certificate is None:
            return None
        return Certificate.of_document(self.manifest.certificate)

    @property
    def epsilon(self) -> int:
        """The error bar, 18 decimals, rounded up."""
        certificate = self.certificate
        return UNCERTIFIED if certificate is None else certificate.epsilon_wad


@dataclass(frozen=True, slots=True)
class AddedModel:
    """What came of adding a file. `advice` is None in the UNPROVEN tier; `before` is the model as
    it was registered already, live or not, with its name."""

    id: bytes
    name: str
    prepared: PreparedModel
    terms: ModelTerms
    advice: RevealAdvice | None = None
    before: Model | None = None


def inspect_model(path: Path, *, max_rows: int = DEFAULT_MAX_BATCH) -> ModelFile:
    """As `inspect`; of a model of doubles that onnxruntime cannot run, says what mends that."""
    try:
        return inspect(path, max_batch=max_rows)
    except ModelFileError as error:
        try:
            model = parse(read_bounded(path), name=path.name)
            schema = read_schema(model, max_batch=DEFAULT_MAX_BATCH)
        except (ModelFileError, SchemaError):
            raise error from None
        if _takes_doubles(schema):  # the file is in order: it is the runtime that refuses it
            error.hint = _FLOAT32_INPUTS
        raise


def prepare_model(
    path: Path,
    *,
    tier: Tier | None = None,
    rows: list[Tensors] | None = None,
    certify_on: int = CERTIFIED_ROWS,
    max_rows: int | None = None,
    manifest: ProgramManifest | None = None,
    say: Progress = lambda _: None,
) -> PreparedModel:
    """Compiles a file, compares it with its source on `rows`, and certifies it. Takes its time.

    Args:
        tier: None for what fits what the model is made of; UNPROVEN compiles nothing.
        rows: inputs of one row each. Without them there is no certificate, and the comparison is
            over generated rows.
        certify_on: how many of them, the first, it is certified on: that takes far longer.
        max_rows: of one request; as many as its trace allows by default.
        manifest: one made before, which spares both.

    Raises:
        ModelFileError: the file cannot be run.
        ProgramError: it cannot be judged, or the manifest is of another model; the hint says
            what could be done.
    """
    inspected = inspect_model(path, max_rows=DEFAULT_MAX_BATCH if max_rows is None else max_rows)
    if tier is Tier.UNPROVEN:
        return PreparedModel(inspected, inspected.sha256, tier, inspected.schema, None, None)
    say(f"compiling {path.name}")
    source = read_bounded(path)
    try:
        compiled = compile_model(source, name=path.name, tier=tier, max_batch=max_rows)
    except ProgramError as error:
        if _takes_doubles(inspected.schema) and ElementType.FLOAT64.value in error.message:
            error.hint = _FLOAT32_INPUTS
        raise
    require_provable(compiled.program, encode(compiled.program))
    if manifest is None:
        manifest = _measured(compiled, source, path.name, rows, certify_on, say)
    elif (manifest.source_sha256, manifest.tier) != (
        compiled.program.source_sha256,
        compiled.program.tier,
    ):
        raise ProgramError(
            f"the manifest is not of {path.name} in the {compiled.program.tier.name.lower()} tier",
            hint="write it again: oracle model certify FILE --inputs ROWS -o MANIFEST",
        )
    else:  # root and sizes are those of the program at hand
        manifest = ProgramManifest.of(
            compiled,
            name=path.name,
            difference=manifest.difference,
            certificate=manifest.certificate,
        )
    return PreparedModel(
        inspected, manifest.root, manifest.tier, compiled.schema, compiled, manifest
    )


def _takes_doubles(schema: ModelSchema) -> bool:
    return any(spec.element is ElementType.FLOAT64 for spec in schema.inputs)


def _measured(
    compiled: CompiledProgram,
    source: bytes,
    name: str,
    rows: list[Tensors] | None,
    certify_on: int,
    say: Progress,
) -> ProgramManifest:
    """The manifest of a program: runs it on the CPU of this machine, beside its source."""
    bare = ProgramManifest.of(compiled, name=name)
    loaded = open_program(
        name, compiled.file, bare.root, compiled.schema, provider=CPU, settings=SessionSettings()
    )
    say("comparing with the source" if rows else "comparing with the source on generated rows")
    difference = compare_with_source(loaded, source, rows)
    certificate = None if rows is None else _certified(loaded, rows[:certify_on], say).document()
    return replace(bare, difference=difference, certificate=certificate)


def _certified(loaded: LoadedProgram, rows: list[Tensors], say: Progress) -> Certificate:
    traced = [run.trace.rows[0] for row in rows if (run := loaded.run(row, 1)).trace]
    return certify(
        loaded.program,
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
    reveal_window: int | None = None,
) -> AddedModel:
    """Keeps a prepared model and its manifest, and registers it, where it is not done already.

    A model that is registered keeps its name, and one that was deprecated stays so: an id is of the
    terms and the registrar alone.

    Args:
        reveal_window: seconds to show what is demanded of a trace; by default what
            `oracle.bootstrap.reveal_window` suggests.

    Raises:
        InputError: the reveal window is too long for disputes in this deployment.
        ModelFileError: the file cannot be kept.
        ContractReverted: the registry refused the terms.
    """
    advice = None
    if prepared.compiled is None:
        reveal_window = 0
    else:
        advice = reveal_advice(
            prepared.compiled.program, contracts.deployment.parameters, challenge_window
        )
        reveal_window = advice.suggested if reveal_window is None else reveal_window
        advice.require(reveal_window)
    if prepared.compiled is None:
        library.add(read_bounded(prepared.file.path))
    else:
        library.add_program(prepared.compiled.file)
        if prepared.manifest is not None:
            library.add_manifest(prepared.manifest)
    terms = ModelTerms(
        program_root=prepared.root,
        profile_hash=ZERO_BYTES32 if prepared.compiled is None else profile_hash(prepared.tier),
        schema_hash=prepared.schema.schema_hash,
        tier=prepared.tier,
        challenge_window=challenge_window,
        reveal_window=reveal_window,
        min_bond=min_bond,
        epsilon=prepared.epsilon,
    )
    try:
        before = await contracts.registry.model(terms.model_id(registrar.address))
    except NotFound:
        before = None
    model_id = await register_model(
        registrar, contracts, terms, name=name, schema=prepared.schema, uri=uri
    )
    name = name if before is None else before.name
    return AddedModel(model_id, name, prepared, terms, advice, before)
