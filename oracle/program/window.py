"""The geometry of windows that slide over spatial axes: convolutions and pools alike.

Responsible for lengths, padding and taps. Knows nothing of channels, of nodes or of instructions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.errors import ProgramError

Lengths = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """A kernel over the spatial axes of `source`, giving `target` positions; one entry per axis.

    Position o of an axis sees source positions `o·stride + tap·dilation - begin`; those outside of
    the source are padding. `end` is the padding that the model asks for behind the source, which
    only a pool that counts padding needs to know once `target` is fixed.
    """

    source: Lengths
    target: Lengths
    kernel: Lengths
    strides: Lengths
    dilations: Lengths
    begin: Lengths
    end: Lengths

    @classmethod
    def of(
        cls, operator: str, source: Lengths, kernel: Sequence[int], attributes: Mapping[str, Any]
    ) -> Window:
        """From the attributes of an ONNX node. Raises ProgramError where they make no sense."""
        rank = len(source)
        strides = tuple(attributes.get("strides") or (1,) * rank)
        dilations = tuple(attributes.get("dilations") or (1,) * rank)
        pads = tuple(attributes.get("pads") or (0,) * (2 * rank))
        automatic = attributes.get("auto_pad") or "NOTSET"
        automatic = automatic.decode() if isinstance(automatic, bytes) else automatic
        if {len(kernel), len(strides), len(dilations), len(pads) / 2} != {rank}:
            raise ProgramError(f"{operator}: its attributes are not for {rank} spatial axes")
        spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
        begin, end = pads[:rank], pads[rank:]
        ceil = bool(attributes.get("ceil_mode", 0))
        if automatic in ("SAME_UPPER", "SAME_LOWER"):
            target = tuple(-(-n // s) for n, s in zip(source, strides, strict=True))
            total = tuple(
                max((o - 1) * s + span - n, 0)
                for n, o, s, span in zip(source, target, strides, spans, strict=True)
            )
            lower = automatic == "SAME_LOWER"
            begin = tuple((pad + lower) // 2 for pad in total)
            end = tuple(pad - first for pad, first in zip(total, begin, strict=True))
        else:
            if automatic == "VALID":
                begin = end = (0,) * rank
            target = tuple(
                _positions(*axis, ceil)
                for axis in zip(source, strides, spans, begin, end, strict=True)
            )
        window = cls(source, target, tuple(kernel), strides, dilations, begin, end)
        if min((*target, *kernel, *strides, *dilations), default=1) < 1 or min(pads) < 0:
            raise ProgramError(f"{operator}: {window} has no positions")
        return window

    @property
    def rank(self) -> int:
        return len(self.source)

    @property
    def tap_count(self) -> int:
        return math.prod(self.kernel)

    def taps(self) -> Iterator[Lengths]:
        """Every tap of the kernel, row-major."""
        return itertools.product(*map(range, self.kernel))

    def overhang(self) -> tuple[Lengths, Lengths]:
        """How far taps reach before the source and behind it."""
        last = tuple(
            (o - 1) * s + (k - 1) * d - p - (n - 1)
            for n, o, k, s, d, p in zip(
                self.source, self.target, self.kernel, self.strides, self.dilations, self.begin,
                strict=True,
            )
        )  # fmt: skip
        return self.begin, tuple(max(reach, 0) for reach in last)

    def padded(self, axis: int) -> bool:
        """Whether any tap of the axis is padding."""
        before, behind = self.overhang()
        return before[axis] > 0 or behind[axis] > 0

    def counts(self, *, padding: bool = False) -> NDArray[np.int64]:
        """Taps that count at each position; with `padding`, those within the model's pads too."""
        result = np.ones((), dtype=np.int64)
        for n, o, k, s, d, p, q in zip(
            self.source, self.target, self.kernel, self.strides, self.dilations, self.begin,
            self.end, strict=True,
        ):  # fmt: skip
            at = np.arange(o)[:, None] * s + np.arange(k)[None] * d - p
            low, high = (-p, n + q) if padding else (0, n)
            result = np.multiply.outer(result, ((at >= low) & (at < high)).sum(axis=1))
        return result

    def attributes(self) -> dict[str, Any]:
        """What a node of a program carries; `of` is the inverse for a tight window."""
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.strides),
            "dilations": list(self.dilations),
            "pads": [*self.begin, *self.end],
        }

    def tight(self) -> Window:
        """The same windows, padded behind only as far as they reach: what programs write."""
        return replace(self, end=self.overhang()[1])

    def describe(self) -> str:
        """A readable name, for people and for functions: equal only for equal windows."""
        parts = {
            "n": self.source, "o": self.target, "k": self.kernel, "s": self.strides,
            "d": self.dilations, "p": (*self.begin, *self.end),
        }  # fmt: skip
        return "_".join(letter + "x".join(map(str, lengths)) for letter, lengths in parts.items())


def _positions(source: int, stride: int, span: int, begin: int, end: int, ceil: bool) -> int:
    room = source + begin + end - span
    if room < 0:
        return 0
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    # a window that would begin in the padding behind the source is left out
    return count - 1 if (count - 1) * stride >= source + begin else count
