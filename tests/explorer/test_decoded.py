"""What is shown of a stranger's numbers and text: bounded, told apart, drawn where it stands."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest

from oracle.client.public_address import is_public
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.explorer.decoded import (
    MOST_ROWS,
    MOST_VALUES,
    decoded_input,
    decoded_result,
    scores_of,
)
from oracle.explorer.picture import Frame, frame_of, png
from oracle.explorer.words import number, plain, times


def spec(name: str, *shape: int | None) -> TensorSpec:
    return TensorSpec(name, ElementType.FLOAT32, shape)


@pytest.mark.parametrize(
    ("given", "frame"),
    [
        (spec("pixels", None, 64), Frame(8, 8, 1, False)),
        (spec("features", None, 64), None),
        (spec("pixels", None, 65), None),
        (spec("x", None, 28, 28), Frame(28, 28, 1, False)),
        (spec("x", None, 1, 28, 28), Frame(28, 28, 1, True)),
        (spec("x", None, 3, 16, 12), Frame(16, 12, 3, True)),
        (spec("x", None, 16, 12, 3), Frame(16, 12, 3, False)),
        (spec("image", None, 9), None),
        (spec("x", None, 2, 2), None),
        (spec("image", None, 1024 * 1024), None),
    ],
)
def test_an_image_is_known_by_its_shape_and_name(given: TensorSpec, frame: Frame | None) -> None:
    assert frame_of(given) == frame


def test_a_picture_is_a_png_of_the_row() -> None:
    row = np.array([0, 1, 2, 4] * 4, dtype=np.float32)
    found = png(Frame(4, 4, 1, False), row)
    assert found.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", found[16:24]) == (4, 4)
    start = found.index(b"IDAT") + 4
    (size,) = struct.unpack(">I", found[start - 8 : start - 4])
    lines = zlib.decompress(found[start : start + size])
    assert lines == b"\0\0\x40\x80\xff" * 4
    strange = np.array([np.nan, np.inf, -np.inf, 1.0] * 4, dtype=np.float32)
    assert png(Frame(4, 4, 1, False), strange).endswith(b"IEND\xaeB`\x82")


def test_much_is_counted_and_not_shown() -> None:
    schema = ModelSchema((spec("x", None, 1_000),), (spec("y", None, 2),))
    data = np.ones((9, 1_000), np.float32).tobytes()
    (view,) = decoded_input(schema, data).views
    assert len(view.rows) == MOST_ROWS
    assert sum(len(line) for line in view.rows[0].lines) == MOST_VALUES
    assert (view.more_rows, view.more_values) == (9 - MOST_ROWS, 1_000 - MOST_VALUES)


def test_what_does_not_fit_is_bytes_with_a_reason() -> None:
    schema = ModelSchema((spec("x", None, 2),), (spec("y", None, 2),))
    found = decoded_input(schema, b"\xab" * 5_000 + b"\0")
    assert not found.views
    assert found.problem is not None
    assert "5001 bytes" in found.problem
    assert found.raw.startswith("abababab")
    assert len(found.raw) < 700
    assert decoded_input(None, b"").problem == "the model's schema cannot be read"
    assert decoded_result(schema, b"\0" * 8, b"").problem is not None


@pytest.mark.parametrize(
    ("scores", "bar", "label", "clear"),
    [
        ([0.1, 0.8, 0.1], Fraction(1, 10), 1, True),
        ([0.5, 0.6, 0.1], Fraction(1, 10), 1, False),
        ([0.5, 0.6, 0.1], None, 1, False),
        ([float("nan"), 0.6, 0.1], Fraction(0), 0, False),
    ],
)
def test_a_lead_is_held_against_twice_the_error_bar(
    scores: list[float], bar: Fraction | None, label: int, clear: bool
) -> None:
    schema = ModelSchema((spec("x", None, 1),), (spec("y", None, 3),))
    result = decoded_result(schema, b"\0" * 4, np.array([scores], np.float32).tobytes())
    (found,) = scores_of(schema, result, bar)
    assert (found.label, found.clear) == (label, clear)
    assert all(-1 <= one.length <= 1 for one in found.bars)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("digits", "digits"),
        ("a\u202eb\nc\0", "a·b·c·"),
        ("", "(no name)"),
        ("x" * 100, "x" * 80 + "…"),
    ],
)
def test_a_stranger_s_text_is_one_plain_line(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, "3"),
        (-0.25, "−0.25"),
        (1.34089e-05, "1.34 × 10⁻⁵"),
        (float("nan"), "NaN"),
        (-float("inf"), "−∞"),
        (True, "true"),
    ],
)
def test_numbers_are_read(value: float, shown: str) -> None:
    assert number(value) == shown


def test_large_factors_are_rounded() -> None:
    assert [times(one) for one in (3.25, 56_789.0, 4e12)] == ["3.25", "56,800", "4 × 10¹²"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::5db8:d822", True),
        ("no address", False),
    ],
)
def test_a_public_address_is_one_that_anybody_may_mean(address: str, public: bool) -> None:
    assert is_public(address) is public
