"""Where to look further ahead than one step: tensors that cut what is left of a walk in parts.

A tensor that is shown whole says on which side of it the lie is, as what comes after it can be
computed from it. So a few of them at a time do for a deep program what a step at a time would take
too long for. Pure graph; knows no numbers, no deposit and no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import Final

from oracle.program.instruction import Program, Space

_MOST_LOOKED_AT: Final = 256
"""Candidates that are weighed for one waypoint, spread over all there are."""

_EVENNESS: Final = 16
"""A smaller tensor is better than one that cuts more evenly by less than a part in so many."""


def suspects(program: Program, tensor: int, known: Collection[int]) -> frozenset[int]:
    """The tensors between one and those known: itself and all that it was computed from, back to
    what is known, which is left out."""
    return _closure(_sources(program), tensor, frozenset(known))


def levels(program: Program, tensor: int, among: Set[int]) -> int:
    """Tensors on the longest way back from one, itself counted."""
    depth: dict[int, int] = {}
    for number in program.inputs:
        if number in among:
            depth[number] = 1
    sources = _sources(program)
    for step in program.instructions:  # they come in the order in which they can be run
        if step.output in among:
            before = (depth.get(one, 0) for one in sources[step.output])
            depth[step.output] = 1 + max(before, default=0)
    return depth.get(tensor, 0)


def program_depth(program: Program) -> int:
    """Tensors on the longest way from an input to an output: the rounds of a walk, at most."""
    everything = frozenset(range(len(program.tensors)))
    return max((levels(program, one, everything) for one in program.outputs), default=0)


def waypoints(
    program: Program, tensor: int, known: Collection[int], *, count: int, most_bytes: int
) -> list[int]:
    """At most `count` tensors that cut the suspects of one into parts as even as can be, the most
    telling first; of those that one demand can ask for whole."""
    sources = _sources(program)
    parts = [(tensor, suspects(program, tensor, known))]
    chosen: list[int] = []
    while len(chosen) < count:
        parts.sort(key=lambda part: -len(part[1]))
        start, among = parts[0]
        best: tuple[int, int, int] | None = None
        usable = [
            one
            for one in sorted(among - {start})
            if 0 < program.tensors[one].byte_count <= most_bytes and one not in chosen
        ]
        for one in usable[:: 1 + len(usable) // _MOST_LOOKED_AT]:
            before, after = _cut(sources, start, one, among)
            evenness = max(len(before), len(after)) * _EVENNESS // len(among)
            score = evenness, program.tensors[one].byte_count, one
            best = score if best is None else min(best, score)
        if best is None:
            break
        before, after = _cut(sources, start, best[2], among)
        parts[0] = (start, after)
        parts.append((best[2], before))
        chosen.append(best[2])
    return chosen


def _cut(
    sources: Mapping[int, frozenset[int]], start: int, at: int, among: frozenset[int]
) -> tuple[frozenset[int], frozenset[int]]:
    """What remains suspect where a tensor is found to be wrong, and where it is found right."""
    before = _closure(sources, at, frozenset(), among)
    after = _closure(sources, start, frozenset((at,)), among)
    return before, after


def _closure(
    sources: Mapping[int, frozenset[int]],
    start: int,
    known: Collection[int],
    among: frozenset[int] | None = None,
) -> frozenset[int]:
    found, open_ = {start}, [start]
    while open_:
        for one in sources[open_.pop()]:
            if one not in found and one not in known and (among is None or one in among):
                found.add(one)
                open_.append(one)
    return frozenset(found)


def _sources(program: Program) -> dict[int, frozenset[int]]:
    """The committed tensors that each is computed from."""
    found: dict[int, frozenset[int]] = dict.fromkeys(program.inputs, frozenset())
    for step in program.instructions:
        found[step.output] = frozenset(
            access.tensor for access in step.operands if access.space is Space.TRACE
        )
    return found
