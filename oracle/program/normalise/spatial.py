"""Operators that move pixels and compute nothing: Pad, DepthToSpace, SpaceToDepth, Resize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.rule import SourceNode, rewrites


@rewrites("Pad")
def pad(builder: Builder, node: SourceNode) -> Value:
    """Constant padding; the axes may be an input, the pads an attribute in old models."""
    x = node.input(0)
    if node.get("mode", "constant") != "constant":
        raise ProgramError(
            f"Pad of mode {node.get('mode')} is not judged", hint="use constant padding"
        )
    given = _whole_numbers(node, 1, "pads")
    axes = _whole_numbers(node, 3, "axes") if node.optional(3) else list(range(x.rank))
    if len(given) != 2 * len(axes):
        raise ProgramError(f"Pad has {len(given)} pads for {len(axes)} axes")
    pads = [0] * (2 * x.rank)
    for position, axis in enumerate(axes):
        pads[axis % x.rank] = given[position]
        pads[axis % x.rank + x.rank] = given[position + len(axes)]
    fill = np.asarray(node.get("value", 0.0))
    if (value := node.optional(2)) is not None:
        if value.constant is None:
            raise ProgramError("Pad with a computed fill is not judged", hint="use a constant")
        fill = value.constant
    return builder.emit(
        "Pad",
        x,
        builder.constant(np.array(pads, dtype=np.int64)),
        builder.constant(fill.reshape(()).astype(x.element.value)),
        name=node.outputs[0],
    )


@rewrites("DepthToSpace")
def depth_to_space(builder: Builder, node: SourceNode) -> Value:
    x, block = node.input(0), int(node.get("blocksize", 1))
    rows, channels, height, width = _image(node, x)
    depth = channels // block**2
    if node.get("mode", "DCR") == "CRD":
        split, order = (rows, depth, block, block, height, width), [0, 1, 4, 2, 5, 3]
    else:
        split, order = (rows, block, block, depth, height, width), [0, 3, 4, 1, 5, 2]
    shape = (rows, depth, height * block, width * block)
    return _rearranged(builder, x, split, order, shape, node.outputs[0])


@rewrites("SpaceToDepth")
def space_to_depth(builder: Builder, node: SourceNode) -> Value:
    x, block = node.input(0), int(node.get("blocksize", 1))
    rows, channels, height, width = _image(node, x)
    split = (rows, channels, height // block, block, width // block, block)
    shape = (rows, channels * block**2, height // block, width // block)
    outer = [0, 1, 3, 5] if node.get("mode", "DCR") == "CRD" else [0, 3, 5, 1]
    return _rearranged(builder, x, split, [*outer, 2, 4], shape, node.outputs[0])


@rewrites("Resize", "Upsample")
def resize(builder: Builder, node: SourceNode) -> Value:
    """Nearest neighbours by whole factors: every pixel is repeated."""
    x = node.input(0)
    if node.get("mode", "nearest") != "nearest":
        raise ProgramError(
            f"{node.operator} of mode {node.get('mode')} is not judged",
            hint="use nearest with whole factors, and a Conv to smooth",
        )
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ProgramError(
            f"{node.operator} that keeps the aspect ratio is not judged", hint="give scales"
        )
    factors = _factors(node, x)
    split = [length for axis in x.shape for length in (axis, 1)]
    wide = [length for axis, factor in zip(x.shape, factors, strict=True)
            for length in (axis, factor)]  # fmt: skip
    shape = [axis * factor for axis, factor in zip(x.shape, factors, strict=True)]
    repeated = builder.emit("Expand", _reshape(builder, x, split), _numbers(builder, wide))
    return _reshape(builder, repeated, shape, node.outputs[0])


def _factors(node: SourceNode, x: Value) -> list[int]:
    """By how much each axis grows. Raises ProgramError unless pixel o shows pixel o // factor."""
    refused = ProgramError(
        f"{node.operator} is judged where it repeats pixels by whole factors",
        hint="use mode=nearest, whole scales and nearest_mode=floor or half_pixel coordinates",
    )
    old = node.operator == "Upsample" or node.version < 11
    scales = node.optional(1 if old else 2)
    sizes = None if old else node.optional(3)
    if sizes is not None and sizes.constant is not None and sizes.constant.size:
        axes = node.get("axes") or range(x.rank)
        lengths = dict(zip((axis % x.rank for axis in axes), sizes.constant.tolist(), strict=True))
        ratios = [lengths.get(axis, n) / n for axis, n in enumerate(x.shape)]
    elif scales is not None and scales.constant is not None and scales.constant.size:
        axes = node.get("axes") or range(x.rank)
        given = dict(zip((axis % x.rank for axis in axes), scales.constant.tolist(), strict=True))
        ratios = [float(given.get(axis, 1.0)) for axis in range(x.rank)]
    elif old and node.get("scales"):
        ratios = [float(ratio) for ratio in node.get("scales")]
    else:
        raise refused
    coordinates = "asymmetric" if old else node.get("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if old else node.get("nearest_mode", "round_prefer_floor")
    for ratio, length in zip(ratios, x.shape, strict=True):
        if ratio < 1 or ratio != int(ratio):
            raise refused
        position = np.arange(length * int(ratio))
        if not np.array_equal(
            _nearest(position, ratio, length, coordinates, rounding), position // int(ratio)
        ):
            raise refused
    return [int(ratio) for ratio in ratios]


def _nearest(
    position: NDArray[Any],
    ratio: float,
    length: int,
    coordinates: str,
    rounding: str,
) -> NDArray[Any]:
    """The pixel that each position shows, as ONNX defines it; empty where that is not known."""
    if coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        at = (position + 0.5) / ratio - 0.5
    elif coordinates == "asymmetric":
        at = position / ratio
    else:
        return np.empty(0)
    shown = {
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
        "floor": np.floor(at),
        "ceil": np.ceil(at),
    }.get(rounding)
    return np.empty(0) if shown is None else np.clip(shown, 0, length - 1)


def _image(node: SourceNode, x: Value) -> tuple[int, int, int, int]:
    if x.rank != 4:
        raise ProgramError(f"{node.operator} of the shape {x.shape} has no rule")
    rows, channels, height, width = x.shape
    return rows, channels, height, width


def _whole_numbers(node: SourceNode, position: int, attribute: str) -> list[int]:
    value = node.optional(position)
    if value is None:
        return [int(number) for number in node.get(attribute, ())]
    if value.constant is None:
        raise ProgramError(f"{node.operator}: its {attribute} must be constant")
    return [int(number) for number in value.constant.reshape(-1)]


def _rearranged(
    builder: Builder,
    x: Value,
    split: Sequence[int],
    order: Sequence[int],
    shape: Sequence[int],
    name: str,
) -> Value:
    moved = builder.emit("Transpose", _reshape(builder, x, split), perm=list(order))
    return _reshape(builder, moved, shape, name)


def _reshape(builder: Builder, x: Value, shape: Sequence[int], name: str = "") -> Value:
    return builder.emit("Reshape", x, _numbers(builder, shape), name=name)


def _numbers(builder: Builder, values: Sequence[int]) -> Value:
    return builder.constant(np.array(values, dtype=np.int64))
