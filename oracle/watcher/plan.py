"""What to demand at once, so that a walk comes to its end while there is time to dispute.

What is left of a walk is cut in parts by tensors that are demanded whole, as many at once as the
time needs that there is when everything is shown in its last second; a step is given all that it
needs together. Reckons with the price; sends nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from oracle.core import merkle
from oracle.court.ahead import levels, suspects, waypoints
from oracle.court.revealed import Leaves
from oracle.court.walk import Wanted
from oracle.program.instruction import Program

WHOLE_TENSOR_BYTES: Final = 4_096
"""Tensors up to this size are demanded whole: a leaf more costs less than a demand more."""

_MOST_AHEAD: Final = 8
"""Waypoints at once. Each doubles the price of the next."""

_SPARE_ROUNDS: Final = 2
"""Cuts are not always even, and what an element is judged from is to be shown in the end."""

_FEW_STEPS: Final = 2
"""With so few tensors one after the other, the next step is as good as any other."""

_MADE_A_STEP: Final = 16
"""Demands on an answer after which each costs one more, as in `DisputeManager`."""

_KIB: Final = 1_024


@dataclass(frozen=True, slots=True)
class Means:
    """What there is to demand with.

    Attributes:
        rounds: demands, one after the other, that there is time for.
        budget: base units for deposits.
        unit: base units that the next begun KiB costs.
        made: demands ever made on the answer.
        most_bytes: of one demand.
    """

    rounds: int
    budget: int
    unit: int
    made: int
    most_bytes: int

    def price(self, kib: int, before: int) -> int:
        """Of a demand that follows so many others that are pending then."""
        steps = 1 + self.made // _MADE_A_STEP
        later = 1 + (self.made + before) // _MADE_A_STEP
        return (self.unit * kib * later // steps) << before


@dataclass(frozen=True, slots=True)
class Priced:
    """Leaves to demand, and the deposit in base units."""

    leaves: Leaves
    deposit: int


def rounds_left(now: int, limit: int, window: int) -> int:
    """Demands that can still be made one after the other, each met in its last second and followed
    by the window in which to use it. Unix seconds."""
    if now + 2 * window > limit:
        return 0
    between = window + min(30, max(1, window // 4))  # blocks to see it in, and to demand again
    return 1 + (limit - 2 * window - now) // between


def planned(
    program: Program,
    wanted: Wanted,
    whole: Collection[tuple[int, int]],
    asked: Collection[Leaves],
    means: Means,
    *,
    ahead: bool,
) -> list[Priced]:
    """What to demand now, in the order of sending; as much of it as the budget allows.

    Args:
        wanted: what the step needs.
        whole: tensors that were shown to the last leaf, as (row, tensor).
        asked: what is demanded already, and not met yet.
        ahead: whether to look further ahead where that is needed.
    """
    needed = _without(asked, joined(program, wanted.leaves, means.most_bytes))
    further = _further(program, wanted, whole, means) if ahead else []
    further = _without(asked, [one for one in further if one not in needed])
    if not further:
        return _affordable(program, needed, means)
    while further and _cost(program, further, means) > means.budget:
        further.pop()
    both = _cost(program, [*needed, *further], means)
    dear = both > 2 * _cost(program, further, means) and means.rounds > _SPARE_ROUNDS
    if further and (dear or both > means.budget):
        return _priced(program, further, means)
    return _affordable(program, [*needed, *further], means)


def lookahead(size: int, depth: int, rounds: int) -> int:
    """How many waypoints at once bring so many suspects down to one within the rounds. With time
    enough it is one, which halves them and costs less than all the steps it saves; 0 where there
    are few."""
    if depth <= _FEW_STEPS:
        return 0
    cuts = max(1, rounds - _SPARE_ROUNDS)
    enough = (count for count in range(1, _MOST_AHEAD) if (count + 1) ** cuts >= size)
    return next(enough, _MOST_AHEAD)


def joined(program: Program, wanted: Iterable[Leaves], most_bytes: int) -> list[Leaves]:
    """Small tensors whole; of others, runs of leaves together where that is cheaper than apart."""
    found: list[Leaves] = []
    for one in sorted(wanted):
        info = program.tensors[one.tensor]
        if info.byte_count <= min(WHOLE_TENSOR_BYTES, most_bytes):
            one = _whole(program, one.row, one.tensor)
        last = found[-1] if found else None
        if last is not None and (last.row, last.tensor) == (one.row, one.tensor):
            stop = max(last.first + last.count, one.first + one.count)
            both = Leaves(one.row, one.tensor, last.first, stop - last.first)
            apart = _kib(program, last) + 2 * _kib(program, one)
            if both.count * program.leaf_bytes <= most_bytes and _kib(program, both) <= apart:
                found[-1] = both
                continue
        found.append(one)
    return found


def covers(asked: Leaves, wanted: Leaves) -> bool:
    """Whether whoever is shown the former has seen the latter."""
    return (
        (asked.row, asked.tensor) == (wanted.row, wanted.tensor)
        and asked.first <= wanted.first
        and wanted.first + wanted.count <= asked.first + asked.count
    )


def _further(
    program: Program, wanted: Wanted, whole: Collection[tuple[int, int]], means: Means
) -> list[Leaves]:
    known = {tensor for row, tensor in whole if row == wanted.row} - {wanted.tensor}
    among = suspects(program, wanted.tensor, known)
    depth = levels(program, wanted.tensor, among)
    count = lookahead(len(among), depth, means.rounds)
    most = means.most_bytes // program.leaf_bytes * program.leaf_bytes
    found = waypoints(program, wanted.tensor, known, count=count, most_bytes=most)
    return [_whole(program, wanted.row, one) for one in found]


def _whole(program: Program, row: int, tensor: int) -> Leaves:
    count = merkle.leaf_count(program.tensors[tensor].byte_count, program.leaf_bytes)
    return Leaves(row, tensor, 0, count)


def _without(asked: Collection[Leaves], wanted: Iterable[Leaves]) -> list[Leaves]:
    return [one for one in wanted if not any(covers(other, one) for other in asked)]


def _kib(program: Program, leaves: Leaves) -> int:
    """As the contract counts: a leaf that the tensor does not fill is a whole one."""
    return -(-leaves.count * program.leaf_bytes // _KIB)


def _priced(program: Program, wanted: Sequence[Leaves], means: Means) -> list[Priced]:
    """The largest first, where the price has not doubled yet."""
    ordered = sorted(wanted, key=lambda one: (-_kib(program, one), one))
    return [
        Priced(one, means.price(_kib(program, one), before)) for before, one in enumerate(ordered)
    ]


def _cost(program: Program, wanted: Sequence[Leaves], means: Means) -> int:
    return sum(one.deposit for one in _priced(program, wanted, means))


def _affordable(program: Program, wanted: Sequence[Leaves], means: Means) -> list[Priced]:
    """The first of what is wanted, as far as the budget goes."""
    kept = list(wanted)
    while kept and _cost(program, kept, means) > means.budget:
        kept.pop()
    return _priced(program, kept, means)
