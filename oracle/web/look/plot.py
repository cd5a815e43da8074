"""Plots as plain geometry: figures over time, their rules and ticks, and a sentence on each.

Pure: from numbers to places in a picture of fixed size. The template draws it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

WIDTH: Final = 520
HEIGHT: Final = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 516, 10, 130
_GAP: Final = 0.25
"""Part of a bar's place that is left free."""

Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """One figure over time; None where there is none, which a line does not bridge.

    Attributes:
        form: `reach` is a stem from the series before up to this one.
    """

    name: str
    values: Sequence[float | None]
    form: Literal["line", "bars", "dots", "reach"] = "line"


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A series as it is drawn; a value alone on its line is a dot."""

    name: str
    tone: str
    form: str
    bars: Sequence[Bar]
    lines: Sequence[str]
    dots: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class Plot:
    id: str
    title: str
    description: str
    rules: Sequence[Tick]
    times: Sequence[Tick]
    shapes: Sequence[Shape]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = _RIGHT


def plot(
    name: str,
    title: str,
    series: Sequence[Series],
    *,
    start: float,
    bucket_seconds: float,
    write: Write,
    whole: bool = False,
) -> Plot:
    """Lays out up to two series over the same stretch of time.

    Args:
        name: for the ids in the page.
        start: Unix second at which the first value's bucket begins.
        bucket_seconds: what each value stands for.
        write: a value in words, with its unit.
        whole: whether values are whole numbers, so that rules lie at whole numbers, too.
    """
    values = [value for one in series for value in one.values if value is not None]
    buckets = max((len(one.values) for one in series), default=0)
    rules = _rules(max(values, default=0.0), whole=whole)
    top = rules[-1]
    end = start + buckets * bucket_seconds

    def y(value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * value / top, 1)

    step = (_RIGHT - _LEFT) / max(1, buckets)
    shapes = [
        _shape(one, before, tone, y, step)
        for one, before, tone in zip(series, [None, *series], ("one", "two"), strict=False)
    ]
    return Plot(
        id=name,
        title=title,
        description=_described(series, start, end, write),
        rules=[Tick(y(value), write(value)) for value in rules],
        times=[
            Tick(_LEFT, _clock(start), "start"),
            Tick((_LEFT + _RIGHT) / 2, _clock((start + end) / 2)),
            Tick(_RIGHT, _clock(end), "end"),
        ],
        shapes=shapes,
    )


def _shape(
    one: Series, before: Series | None, tone: str, y: Callable[[float], float], step: float
) -> Shape:
    def x(index: float) -> float:
        return round(_LEFT + step * index, 1)

    bars: list[Bar] = []
    lines: list[str] = []
    dots: list[Dot] = []
    known = [(index, value) for index, value in enumerate(one.values) if value is not None]
    match one.form:
        case "bars":
            width = round(step * (1 - _GAP), 1)
            bars = [
                Bar(x(index + _GAP / 2), y(value), width, round(_BOTTOM - y(value), 1))
                for index, value in known
                if value
            ]
        case "dots":
            dots = [Dot(x(index + 0.5), y(value)) for index, value in known]
        case "reach":
            feet = before.values if before is not None else [0.0] * len(one.values)
            lines = [
                f"{x(index + 0.5)},{y(feet[index] or 0.0)} {x(index + 0.5)},{y(value)}"
                for index, value in known
            ]
        case "line":
            for run in _runs(known):
                places = [(x(index + 0.5), y(value)) for index, value in run]
                if len(places) == 1:
                    dots.append(Dot(*places[0]))
                else:
                    lines.append(" ".join(f"{left},{top}" for left, top in places))
    return Shape(one.name, tone, one.form, bars, lines, dots)


def _runs(known: Sequence[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    """Values next to each other, with their places."""
    runs: list[list[tuple[int, float]]] = []
    for index, value in known:
        if not runs or index != runs[-1][-1][0] + 1:
            runs.append([])
        runs[-1].append((index, value))
    return runs


def _rules(largest: float, *, whole: bool) -> list[float]:
    """Zero and up to four round values; the last is no less than the largest."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 3
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough)
    if whole:
        step = float(max(1, math.ceil(step)))
    return [step * index for index in range(math.ceil(largest / step - 1e-9) + 1)]


def _described(series: Sequence[Series], start: float, end: float, write: Write) -> str:
    """What a reader of the picture would say of it."""
    told = [f"From {_clock(start)} to {_clock(end)} UTC."]
    for one in series:
        values = [value for value in one.values if value is not None]
        if not values:
            told.append(f"{one.name}: nothing.")
            continue
        told.append(
            f"{one.name}: least {write(min(values))}, most {write(max(values))}, "
            f"last {write(values[-1])}."
        )
    return " ".join(told)


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")
