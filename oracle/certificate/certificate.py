"""What a certificate says, and its JSON document.

Knows nothing of how it was computed. Numbers that are without bound are null in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Final

from oracle.core.model import UNCERTIFIED
from oracle.core.types import Tier
from oracle.errors import InputError

FORMAT: Final = 1
_WAD: Final = 10**18


@dataclass(frozen=True)
class OutputBound:
    """How far the elements of one output can be moved, over all certified rows.

    `positions` are the certified elements (flat, row-major), all of them or a sample; `maximum`
    and `median` have one entry for each. An output that is not a float has neither: `unstable`
    counts the rows in which any of its elements could change.
    """

    name: str
    is_float: bool
    size: int
    positions: tuple[int, ...]
    maximum: tuple[float, ...]
    median: tuple[float, ...]
    unstable: int

    @property
    def sampled(self) -> bool:
        """Whether some elements were left out."""
        return self.is_float and len(self.positions) < self.size


@dataclass(frozen=True)
class Contribution:
    """An instruction's share of the largest epsilon; `bend` is the part of the share that is
    kinks, steps and second order instead of tolerance."""

    instruction: int
    name: str
    opcode: str
    share: float
    bend: float


@dataclass(frozen=True)
class Certificate:
    """Bounds on the drift of a program's outputs, for the runs it was computed on.

    `rows` were certified; `undefined` says of others why they could not be. In `estimated` of the
    rows epsilon is an estimate of what kinks can do; `proved` is the largest epsilon without
    estimates, which may be far larger, or infinite (see docs/certificate.md). `safety_factor` is
    what is already in epsilon: on the sums' rounding, or on the estimated reach.
    """

    program_source_sha256: str
    tier: Tier
    inputs_sha256: str
    rows: int
    estimated: int
    proved: float
    safety_factor: float
    outputs: tuple[OutputBound, ...]
    contributions: tuple[Contribution, ...]
    undefined: tuple[str, ...]

    @property
    def epsilon(self) -> float:
        """The largest drift of any float output element; infinite if no row was certified."""
        if not self.rows:
            return math.inf
        return max((value for output in self.outputs for value in output.maximum), default=0.0)

    @property
    def kind(self) -> str:
        """What epsilon is: `proved`, `estimated` in some row, or `none` where there is no bound."""
        if not math.isfinite(self.epsilon):
            return "none"
        return "estimated" if self.estimated else "proved"

    @property
    def epsilon_wad(self) -> int:
        """`epsilon` with 18 decimals for a contract, rounded up; UNCERTIFIED if out of range.

        One unit more unless it is 0, for what a contract cuts off a score below 1e-18.
        """
        if not math.isfinite(self.epsilon):
            return UNCERTIFIED
        if self.epsilon == 0:
            return 0
        return min(math.ceil(Fraction(self.epsilon) * _WAD) + 1, UNCERTIFIED)

    @property
    def sampled(self) -> bool:
        """Whether some output elements were left out."""
        return any(output.sampled for output in self.outputs)

    def document(self) -> dict[str, Any]:
        """As JSON, with `kind`, `epsilon` and `epsilonWad` for the reader."""
        document = {
            "format": FORMAT,
            "kind": self.kind,
            "epsilon": self.epsilon,
            "epsilonWad": str(self.epsilon_wad),
            **asdict(self),
            "tier": self.tier.name.lower(),
        }
        written: dict[str, Any] = _finite(document)
        return written

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Certificate:
        """Reads what `document` wrote.

        Raises:
            InputError: it is not a certificate.
        """
        try:
            if document["format"] != FORMAT:
                raise InputError(f"certificate format {document['format']!r} is not known")
            return cls(
                program_source_sha256=str(document["program_source_sha256"]),
                tier=Tier[document["tier"].upper()],
                inputs_sha256=str(document["inputs_sha256"]),
                rows=int(document["rows"]),
                estimated=int(document["estimated"]),
                proved=_number(document["proved"]),
                safety_factor=float(document["safety_factor"]),
                outputs=tuple(_output(entry) for entry in document["outputs"]),
                contributions=tuple(_contribution(entry) for entry in document["contributions"]),
                undefined=tuple(str(reason) for reason in document["undefined"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"not a certificate: {error!r}", hint="expected what Certificate.document wrote"
            ) from error


def _output(entry: Mapping[str, Any]) -> OutputBound:
    return OutputBound(
        name=str(entry["name"]),
        is_float=bool(entry["is_float"]),
        size=int(entry["size"]),
        positions=tuple(int(position) for position in entry["positions"]),
        maximum=tuple(_number(value) for value in entry["maximum"]),
        median=tuple(_number(value) for value in entry["median"]),
        unstable=int(entry["unstable"]),
    )


def _contribution(entry: Mapping[str, Any]) -> Contribution:
    return Contribution(
        instruction=int(entry["instruction"]),
        name=str(entry["name"]),
        opcode=str(entry["opcode"]),
        share=_number(entry["share"]),
        bend=_number(entry["bend"]),
    )


def _number(value: float | None) -> float:
    return math.inf if value is None else float(value)


def _finite(value: Any) -> Any:
    """The same document with null for what JSON cannot write."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
