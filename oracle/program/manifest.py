"""What is written beside a program for people and tools: one JSON document, no part of any hash.

Responsible for its fields and its text, read strictly and written in one way. All but the
difference and the certificate follow from the program, so whoever has that can check them. The
certificate is opaque here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oracle.core.document import Reader, hexadecimal
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.errors import InputError, ProgramError
from oracle.program.compile import CompiledProgram
from oracle.program.encoding import program_root
from oracle.program.profile import NORMALISER_VERSION, profile_hash
from oracle.program.sizes import constant_bytes, multiply_adds

FORMAT: Final = 1
GIVEN: Final = "given"
GENERATED: Final = "generated"


def manifest_beside(file: Path) -> Path:
    """Where the manifest of a program or model file lies."""
    return file.with_suffix(".manifest.json")


@dataclass(frozen=True, slots=True)
class SourceDifference:
    """How far a program's outputs were from its source model's, row by row.

    Attributes:
        largest: of all float output elements, absolute; infinite where one alone is no number.
        other_rows: rows in which an output without an error bar, such as a label, differed.
        rows: compared.
        inputs: GIVEN rows of a file, or GENERATED ones.
        inputs_sha256: of the rows' inputs in the schema's order, hex.
    """

    largest: float
    other_rows: int
    rows: int
    inputs: str
    inputs_sha256: str


@dataclass(frozen=True, slots=True)
class ProgramSizes:
    """What a program costs, a row where it is of a run."""

    instructions: int
    constant_bytes: int
    trace_bytes: int
    leaf_bytes: int
    multiply_adds: int


@dataclass(frozen=True, slots=True)
class ProgramManifest:
    """`difference` is None where no row could be compared; `certificate` is JSON, or None."""

    name: str
    source_sha256: bytes
    root: bytes
    tier: Tier
    profile_hash: bytes
    normaliser_version: int
    schema: ModelSchema
    sizes: ProgramSizes
    difference: SourceDifference | None
    certificate: Mapping[str, Any] | None

    @classmethod
    def of(
        cls,
        compiled: CompiledProgram,
        *,
        name: str,
        difference: SourceDifference | None = None,
        certificate: Mapping[str, Any] | None = None,
    ) -> ProgramManifest:
        """The manifest of what was compiled from the file called `name`."""
        program = compiled.program
        return cls(
            name=name,
            source_sha256=program.source_sha256,
            root=program_root(program),
            tier=program.tier,
            profile_hash=profile_hash(program.tier),
            normaliser_version=NORMALISER_VERSION,
            schema=compiled.schema,
            sizes=ProgramSizes(
                instructions=len(program.instructions),
                constant_bytes=constant_bytes(program),
                trace_bytes=program.row_trace_bytes,
                leaf_bytes=program.leaf_bytes,
                multiply_adds=multiply_adds(program),
            ),
            difference=difference,
            certificate=certificate,
        )

    def to_json(self) -> str:
        """Indented, keys in the order of the fields."""
        document = {
            "format": FORMAT,
            "name": self.name,
            "source_sha256": hexadecimal(self.source_sha256),
            "root": hexadecimal(self.root),
            "tier": self.tier.name.lower(),
            "profile_hash": hexadecimal(self.profile_hash),
            "normaliser_version": self.normaliser_version,
            "schema": json.loads(self.schema.to_json()),
            "sizes": {name: getattr(self.sizes, name) for name in ProgramSizes.__slots__},
            "difference": None if self.difference is None else _written(self.difference),
            "certificate": self.certificate,
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> ProgramManifest:
        """Raises ProgramError for anything that `to_json` does not write."""
        try:
            return _read(text.decode() if isinstance(text, bytes) else text)
        except (InputError, ValueError, KeyError) as error:
            raise ProgramError(
                f"this is not a program's manifest: {error}",
                hint="write it again: oracle model certify FILE --inputs ROWS -o MANIFEST",
            ) from error


def _written(difference: SourceDifference) -> dict[str, object]:
    document: dict[str, object] = {
        name: getattr(difference, name) for name in SourceDifference.__slots__
    }
    return document | {"largest": difference.largest if math.isfinite(difference.largest) else None}


def _read(text: str) -> ProgramManifest:
    top = Reader.of(text, "the manifest")
    if (written_as := top.number("format")) != FORMAT:
        raise InputError(f"it is of format {written_as}, this program reads {FORMAT}")
    sizes, difference = top.part("sizes"), top.taken("difference")
    certificate = top.taken("certificate")
    if certificate is not None and not isinstance(certificate, dict):
        raise InputError("certificate is no JSON object")
    read = ProgramManifest(
        name=top.text("name"),
        source_sha256=top.data("source_sha256", 32),
        root=top.data("root", 32),
        tier=Tier[top.text("tier").upper()],
        profile_hash=top.data("profile_hash", 32),
        normaliser_version=top.number("normaliser_version"),
        schema=ModelSchema.from_json(json.dumps(top.taken("schema"))),
        sizes=ProgramSizes(**sizes.numbers(*ProgramSizes.__slots__)),
        difference=None if difference is None else _difference(difference),
        certificate=certificate,
    )
    top.end()
    sizes.end()
    return read


def _difference(document: object) -> SourceDifference:
    part = Reader("the manifest", "difference", document)
    largest = part.taken("largest")
    if largest is not None and type(largest) not in (int, float):
        raise InputError(f"difference.largest is {largest!r}")
    read = SourceDifference(
        largest=math.inf if largest is None else float(largest),
        **part.numbers("other_rows", "rows"),
        inputs=part.text("inputs"),
        inputs_sha256=part.text("inputs_sha256"),
    )
    part.end()
    return read
