"""Step 4: the model that was asked is the one registered, and the file at hand is that model.

Finds the file wherever it may be had, and trusts none of these places: its root tells it.
Runs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from oracle.core.model import error_bar
from oracle.core.request import data_hash
from oracle.core.saved_receipt import RegisteredModel
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.errors import ModelFileError, OracleError, ProgramError
from oracle.program.compile import compile_model, load_program
from oracle.program.encoding import program_root
from oracle.program.instruction import Program
from oracle.program.profile import profile_hash
from oracle.verify.evidence import Evidence
from oracle.verify.facts import ChainFacts, NotReached
from oracle.verify.report import Finding, Name, Step, failed, held, passed, unchecked
from oracle.verify.sources import Sources


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A file that is the registered model; `program` is None for one of the unproven tier."""

    file: bytes
    program: Program | None


async def check_model(
    evidence: Evidence, facts: ChainFacts | NotReached, sources: Sources
) -> tuple[Step, FoundModel | None]:
    """The step, and the model's file where it was found."""
    model = evidence.model
    if isinstance(model, str):
        return Step(Name.MODEL, (unchecked(model),)), None
    findings = [*_registration(evidence, model, facts), _profile(model)]
    found, more = await _file(model, sources)
    findings += more
    if found is not None and found.program is not None:
        findings += _interface(model, found.program)
        if sources.source is not None:
            findings.append(await asyncio.to_thread(_compiled, model, found, sources.source))
    elif found is not None and sources.source is not None:
        findings.append(
            held(
                data_hash(sources.source) == model.terms.program_root,
                "the source given is that file",
                "the source given is another file, and this model was not compiled from any",
            )
        )
    return Step(Name.MODEL, tuple(findings)), found


def _registration(
    evidence: Evidence, model: RegisteredModel, facts: ChainFacts | NotReached
) -> Iterator[Finding]:
    actual = model.terms.model_id(model.registrar)
    if actual != evidence.request.model_id:
        yield failed(
            f"registrar and terms hash to the model 0x{actual.hex()[:16]}…, "
            f"0x{evidence.request.model_id.hex()[:16]}… was asked"
        )
    elif model.id != actual:
        yield failed(f"its id is given as 0x{model.id.hex()[:16]}…, it is 0x{actual.hex()[:16]}…")
    else:
        yield passed(f"model id: hash of registrar {model.registrar} and terms")
    yield held(
        model.schema.schema_hash == model.terms.schema_hash,
        "the schema hashes to the registered schema hash",
        "the schema does not hash to the registered schema hash",
    )
    if isinstance(facts, NotReached):
        yield unchecked(f"{facts.reason}: whether the registry has this model")
        return
    if evidence.contracts.registry != facts.contracts.registry:
        yield failed(
            f"the oracle's registry is {facts.contracts.registry}, "
            f"the receipt names {evidence.contracts.registry}"
        )
    registered = facts.model
    if isinstance(registered, str):
        yield failed(f"not in the registry: {registered}")
        return
    differing = [
        name
        for name, one, other in (
            ("registrar", model.registrar, registered.registrar),
            ("terms", model.terms, registered.terms),
            ("name", model.name, registered.name),
            ("schema", model.schema, registered.schema),
            ("uri", model.uri, registered.uri),
        )
        if one != other
    ]
    if differing:
        yield failed(f"the registry has another {', '.join(differing)} for this model")
    else:
        bar = error_bar(model.terms.epsilon)
        tier = model.terms.tier.name.lower()
        yield passed(f"registered as {model.name!r}, tier {tier}, error bar: {bar}")


def _profile(model: RegisteredModel) -> Finding:
    """Whether this version runs models as this one is to be run."""
    terms = model.terms
    unproven = terms.tier is Tier.UNPROVEN
    known = ZERO_BYTES32 if unproven else profile_hash(terms.tier)
    if terms.profile_hash != known:
        return unchecked(
            f"this version does not know the execution profile 0x{terms.profile_hash.hex()[:16]}…: "
            "an honest run may give other numbers"
        )
    return passed(
        "no execution profile: nothing says how it is to be run"
        if unproven
        else "the execution profile is the one of this version"
    )


async def _file(
    model: RegisteredModel, sources: Sources
) -> tuple[FoundModel | None, list[Finding]]:
    """The file of the registered root, from the first place that has it."""
    root, tier = model.terms.program_root, model.terms.tier
    what = "file" if tier is Tier.UNPROVEN else "program"
    reasons = []
    for place in sources.files:
        try:
            data = await place.read(root, tier)
            if data is None:
                continue
            found, actual = await asyncio.to_thread(_opened, data, tier)
        except OracleError as error:
            if place.named:
                return None, [failed(f"{place.name} is not the model's {what}: {error.message}")]
            reasons.append(f"{place.name}: {error.message}")
            continue
        if actual == root:
            hashed = "SHA-256" if tier is Tier.UNPROVEN else "program root"
            return found, [passed(f"the {what} from {place.name} has the registered {hashed}")]
        if place.named:
            return None, [failed(f"{place.name} is another {what}: its root is 0x{actual.hex()}")]
        reasons.append(f"{place.name} gave another {what}, 0x{actual.hex()[:16]}…")
    looked = "; ".join(reasons) or "no place to look for it has it"
    return None, [unchecked(f"the model's {what} is not at hand: {looked}")]


def _opened(data: bytes, tier: Tier) -> tuple[FoundModel, bytes]:
    """A file and its root. Raises ProgramError where it should be a program and is none."""
    if tier is Tier.UNPROVEN:
        return FoundModel(data, None), data_hash(data)
    try:
        program = load_program(data)
        return FoundModel(data, program), program_root(program)
    except OracleError:
        raise
    except Exception as error:  # a stranger's bytes may be malformed in ways nobody thought of
        raise ProgramError(f"the file is not a program: {type(error).__name__}") from error


def _interface(model: RegisteredModel, program: Program) -> Iterator[Finding]:
    if program.tier is not model.terms.tier:
        yield failed(
            f"registered in the {model.terms.tier.name.lower()} tier, "
            f"the program is of the {program.tier.name.lower()} tier"
        )
    for side, specs, numbers in (
        ("inputs", model.schema.inputs, program.inputs),
        ("outputs", model.schema.outputs, program.outputs),
    ):
        tensors = [program.tensors[number] for number in numbers]
        if [(one.name, one.element, one.shape) for one in tensors] != [
            (spec.name, spec.element, spec.shape_for(1)) for spec in specs
        ]:
            yield failed(f"the program has other {side} than the registered schema")


def _compiled(model: RegisteredModel, found: FoundModel, source: bytes) -> Finding:
    """Whether the source gives this program again."""
    program = found.program
    assert program is not None
    if data_hash(source) != program.source_sha256:
        return failed(
            f"the source given has the SHA-256 0x{data_hash(source).hex()[:16]}…, the program was "
            f"compiled from 0x{program.source_sha256.hex()[:16]}…"
        )
    try:
        compiled = compile_model(
            source,
            tier=model.terms.tier,
            leaf_bytes=program.leaf_bytes,
            max_batch=model.schema.max_batch,
        )
    except ModelFileError as error:
        return failed(f"the source given cannot be compiled: {error.message}")
    return held(
        program_root(compiled.program) == model.terms.program_root,
        "compiling the source here gives the same program root",
        "compiling the source here gives another program: the registered one is not what it says, "
        "or was compiled by another version",
    )
