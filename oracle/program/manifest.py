"""What is written beside a program for people and tools: JSON, not part of any hash.

Responsible for its fields and their text. The certificate is opaque here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.instruction import Program
from oracle.program.profile import NORMALISER_VERSION
from oracle.program.sizes import constant_bytes, multiply_adds


@dataclass(frozen=True, slots=True)
class ProgramManifest:
    """`root` and `source_sha256` are hex with 0x; `largest_difference` is from the source model on
    held-out inputs, None where it was not measured; `certificate` is JSON or None.
    """

    name: str
    source_sha256: str
    root: str
    tier: str
    instructions: int
    constant_bytes: int
    trace_bytes_a_row: int
    multiply_adds_a_row: int
    normaliser_version: int = NORMALISER_VERSION
    largest_difference: float | None = None
    certificate: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls,
        program: Program,
        *,
        name: str,
        root: bytes,
        largest_difference: float | None = None,
        certificate: Mapping[str, Any] | None = None,
    ) -> ProgramManifest:
        """The manifest of a program; its root is computed elsewhere."""
        return cls(
            name=name,
            source_sha256="0x" + program.source_sha256.hex(),
            root="0x" + root.hex(),
            tier=Tier(program.tier).name.lower(),
            instructions=len(program.instructions),
            constant_bytes=constant_bytes(program),
            trace_bytes_a_row=program.row_trace_bytes,
            multiply_adds_a_row=multiply_adds(program),
            largest_difference=largest_difference,
            certificate=certificate,
        )

    def to_json(self) -> str:
        """Indented, keys in the order of the fields."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> ProgramManifest:
        """Raises ProgramError for anything that `to_json` does not write."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ProgramError(f"this is not a program's manifest: {error}") from error
