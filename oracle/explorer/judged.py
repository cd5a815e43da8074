"""The element that convicted: what it was computed from, what it had to be, and what was claimed.

Made from the proof in the transaction alone, by the court's own rules in Python. The contract has
judged already; this says why, in numbers that can be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from oracle.chain.proof_decoder import ShownElement, ShownLeaves
from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.case import Bits, Taps
from oracle.court.judge import judge_element
from oracle.court.lookup import Read, Unresolvable, operands, resolved
from oracle.court.number import exact_value, text
from oracle.court.taps import PER_TAP, domain_index
from oracle.court.verdict import Verdict
from oracle.errors import InputError, OracleError
from oracle.program.instruction import Instruction, Program, Space
from oracle.program.opcode import Opcode
from oracle.program.record import read_record

_LARGEST_NEST: Final = 1 << 17
"""Taps of one element; a proof that fits a transaction has fewer."""

_WORDS: Final = {
    Opcode.DOT: "a sum of products",
    Opcode.SUM: "a sum",
    Opcode.MEAN: "a mean",
    Opcode.ADD: "a sum of two",
    Opcode.SUB: "a difference",
    Opcode.MUL: "a product",
    Opcode.DIV: "a quotient",
    Opcode.SQRT: "a square root",
    Opcode.EXP: "an exponential",
    Opcode.LOG: "a logarithm",
    Opcode.ERF: "an error function",
    Opcode.TANH: "a hyperbolic tangent",
    Opcode.SIGMOID: "a logistic function",
    Opcode.SOFTPLUS: "a softplus",
    Opcode.COPY: "a copy",
    Opcode.MAX: "the larger of two",
    Opcode.MIN: "the smaller of two",
    Opcode.REDUCE_MAX: "the largest of several",
    Opcode.REDUCE_MIN: "the smallest of several",
    Opcode.ARGMAX: "the place of the largest",
    Opcode.ARGMIN: "the place of the smallest",
    Opcode.WHERE: "a choice between two",
    Opcode.GATHER: "a look-up",
    Opcode.TREE: "the leaf of a decision tree",
    Opcode.INTEGER_DOT: "a sum of integer products",
    Opcode.QUANTIZED_DOT: "a quantised sum of products",
}


@dataclass(frozen=True, slots=True)
class Operand:
    """One number that the element was computed from. `weight` says that the program fixes it."""

    name: str
    shown: str
    value: float | None
    weight: bool


@dataclass(frozen=True, slots=True)
class Term:
    """One summand: what it comes to, and what it is made of."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What convicted.

    Attributes:
        what: the operation, in words.
        claimed, exact, bound: as in the verdict; None where it is no finite number.
        terms: of a sum, the largest first; those left out are `others`, worth `others_value`.
        operands: of anything else.
        weighted: whether some operand is fixed by the model.
    """

    instruction: int
    opcode: str
    what: str
    tensor: int
    row: int
    position: int
    index: tuple[int, ...]
    claimed_text: str
    claimed: float | None
    exact: float | None
    bound: float
    verdict: Verdict
    terms: tuple[Term, ...]
    term_count: int
    others_value: float
    operands: tuple[Operand, ...]
    weighted: bool
    tier: str

    @property
    def times(self) -> float | None:
        """How many bounds the claim is away from the exact value."""
        if self.claimed is None or self.exact is None or not self.bound:
            return None
        return abs(self.claimed - self.exact) / self.bound


def judged(shown: ShownElement, *, most_terms: int = 12) -> Judged:
    """Judges the element of a proof again, and says what went into it.

    Raises:
        InputError: the proof cannot be followed, which the contract would not have been able to.
    """
    tier, leaf_bytes = Tier(shown.header.tier), shown.header.leaf_bytes
    read = read_record(shown.record, tier=tier, leaf_bytes=leaf_bytes)
    step, program = read.instruction, read.program
    if step.taps > _LARGEST_NEST or not 0 <= shown.position < step.size:
        raise InputError("the proof is of an element that cannot be")
    look = _reader(program, step, shown)
    index = domain_index(step, shown.position)
    kind = program.tensors[step.output].element
    claimed = _claimed(shown, kind, leaf_bytes)
    try:
        verdict = judge_element(program, step, shown.position, look, claimed)
        taps = _taps(program, step, index, look)
    except (Unresolvable, LookupError, ArithmeticError, OracleError) as error:
        raise InputError(f"the proof cannot be followed: {error}") from error
    summands = _terms(program, step, taps)
    largest = sorted(summands, key=lambda one: -abs(one.value))
    kept = largest if len(largest) <= most_terms else largest[: most_terms - 1]
    return Judged(
        instruction=shown.instruction,
        opcode=step.opcode.name,
        what=_WORDS.get(step.opcode, step.opcode.name.lower().replace("_", " ")),
        tensor=step.output,
        row=shown.row,
        position=shown.position,
        index=index,
        claimed_text=text(kind, claimed),
        claimed=_float(exact_value(kind, claimed)),
        exact=_float(verdict.exact),
        bound=_float(verdict.bound) or 0.0,
        verdict=verdict,
        terms=tuple(kept),
        term_count=len(summands),
        others_value=sum(one.value for one in largest[len(kept) :]),
        operands=() if summands else tuple(_operands(program, step, taps, most_terms)),
        weighted=any(weight for _, weight, _ in taps),
        tier=tier.name.lower(),
    )


def _claimed(shown: ShownElement, kind: ElementType, leaf_bytes: int) -> Bits:
    found = _cut(shown.output, shown.position, kind, leaf_bytes)
    if found is None:
        raise InputError("the proof does not show the element")
    return found


def _reader(program: Program, step: Instruction, shown: ShownElement) -> Read:
    """Elements out of the leaves that were shown; the contract reads no others, either."""
    by_tensor: dict[tuple[Space, int], list[ShownLeaves]] = {}
    for number, leaves in shown.operands:
        access = step.operands[number]
        by_tensor.setdefault((access.space, access.tensor), []).append(leaves)

    def read(space: Space, tensor: int, place: int) -> Bits:
        table = program.tensors if space is Space.TRACE else program.constants
        kind = table[tensor].element
        for leaves in by_tensor.get((space, tensor), ()):
            found = _cut(leaves, place, kind, program.leaf_bytes)
            if found is not None:
                return found
        raise LookupError(f"element {place} of tensor {tensor} is not shown")

    return read


def _cut(leaves: ShownLeaves, place: int, kind: ElementType, leaf_bytes: int) -> Bits | None:
    start = place * kind.item_size - leaves.first * leaf_bytes
    piece = leaves.data[start : start + kind.item_size] if start >= 0 else b""
    return int.from_bytes(piece, "little") if len(piece) == kind.item_size else None


def _taps(
    program: Program, step: Instruction, index: tuple[int, ...], look: Read
) -> tuple[tuple[ElementType, bool, Taps], ...]:
    """Of each operand its type, whether it is a weight, and what was read of it."""
    found = resolved(program, step, index, look)
    if found is not None:
        access = step.operands[found.source]
        weight = access.space is Space.CONSTANT
        return ((program.info(access).element, weight, (found.bits,)),)
    read = operands(program, step, index, look)
    return tuple(
        (program.info(access).element, access.space is Space.CONSTANT, taps)
        for access, taps in zip(step.operands, read, strict=True)
    )


def _terms(
    program: Program, step: Instruction, taps: Sequence[tuple[ElementType, bool, Taps]]
) -> list[Term]:
    """The summands of a sum; of nothing else."""
    if step.opcode is Opcode.DOT:
        (kind, _, left), (other, _, right), *rest = taps
        found = []
        for number, (one, two) in enumerate(zip(left, right, strict=True)):
            a, b = _value(kind, one), _value(other, two)
            if a is not None and b is not None:
                label = f"{number}: {_short(a)} × {_short(b)}"
                found.append(Term(label, _float(a * b) or 0.0))
        for kind, _, single in rest:
            constant = _value(kind, single[0])
            if constant is not None:
                found.append(Term("added constant", _float(constant) or 0.0))
        return found
    if step.opcode in (Opcode.SUM, Opcode.MEAN):
        kind, _, single = taps[0]
        values = ((number, _value(kind, one)) for number, one in enumerate(single))
        return [
            Term(f"{number}", _float(value) or 0.0) for number, value in values if value is not None
        ]
    return []


def _operands(
    program: Program,
    step: Instruction,
    taps: Sequence[tuple[ElementType, bool, Taps]],
    most: int,
) -> list[Operand]:
    many = PER_TAP.get(step.opcode, 0)
    found = []
    for number, (kind, weight, read) in enumerate(taps):
        shown = [(place, bits) for place, bits in enumerate(read) if bits is not None]
        for place, bits in shown[:most]:
            name = "abcdefghi"[number] if number < 9 else str(number)
            if number < many and len(shown) > 1:
                name += f"[{place}]"
            value = _value(kind, bits)
            found.append(Operand(name, text(kind, bits), _float(value), weight))
    return found[: 2 * most]


def _value(kind: ElementType, bits: Bits | None) -> Fraction | int | None:
    return None if bits is None else exact_value(kind, bits)


def _float(value: Fraction | int | None) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _short(value: Fraction | int) -> str:
    return f"{_float(value) or 0.0:.4g}".replace("-", "−")
