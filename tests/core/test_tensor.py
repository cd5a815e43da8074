"""Tensors survive the wire to the bit, and what would not survive is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.tensor import (
    check_inputs,
    decode_inputs,
    decode_outputs,
    encode_inputs,
    encode_outputs,
    input_batch,
)
from oracle.errors import TensorError


def one(element: str, shape: tuple[int | None, ...] = (None,), **options: int) -> ModelSchema:
    """A schema that gives back what it takes."""
    spec = TensorSpec("x", ElementType(element), shape)
    return ModelSchema((spec,), (spec,), **options)


MIXED = ModelSchema(
    inputs=(
        TensorSpec("flag", ElementType.BOOL, (None, 3)),
        TensorSpec("scale", ElementType.FLOAT64, ()),
        TensorSpec("codes", ElementType.INT64, (None, 2)),
        TensorSpec("image", ElementType.FLOAT32, (None, 2, 2)),
    ),
    outputs=(TensorSpec("y", ElementType.FLOAT32, (None, 2)),),
)


@st.composite
def mixed_inputs(draw: st.DrawFn) -> dict[str, Any]:
    batch = draw(st.integers(1, 5))
    return {
        spec.name: draw(
            hnp.arrays(
                spec.element.dtype,
                spec.shape_for(batch),
                elements={"allow_nan": False, "allow_infinity": False}
                if spec.element.is_float
                else None,
            )
        )
        for spec in MIXED.inputs
    }


@given(mixed_inputs())
def test_inputs_survive_to_the_bit(arrays: dict[str, Any]) -> None:
    data = encode_inputs(MIXED, arrays)
    assert input_batch(MIXED, len(data)) == arrays["flag"].shape[0]
    again = decode_inputs(MIXED, data)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape
        assert again[name].tobytes() == array.tobytes()
    assert encode_inputs(MIXED, again) == data
    assert encode_inputs(MIXED, list(arrays.values())) == data


@given(st.sampled_from(ElementType), st.integers(1, 6), st.data())
def test_outputs_survive_to_the_bit_nan_payloads_included(
    element: ElementType, batch: int, data: st.DataObject
) -> None:
    schema = one(element.value, (None, 2))
    size = batch * 2 * element.item_size
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if element is ElementType.BOOL:
        raw = bytes(byte & 1 for byte in raw)
    assert encode_outputs(schema, decode_outputs(schema, raw, batch)) == raw


@pytest.mark.parametrize("element", ["float32", "float64"])
def test_signed_zero_and_subnormals_survive(element: str) -> None:
    kind = np.finfo(element)
    values = np.array([0.0, -0.0, kind.smallest_subnormal, -kind.tiny, kind.max], dtype=element)
    data = encode_inputs(one(element), [values])
    assert data == values.tobytes()
    assert decode_inputs(one(element), data)["x"].tobytes() == values.tobytes()


def test_the_wire_is_little_endian_row_major_in_schema_order() -> None:
    schema = ModelSchema(
        (
            TensorSpec("b", ElementType.INT16, (None, 2)),
            TensorSpec("a", ElementType.FLOAT32, ()),
        ),
        (TensorSpec("y", ElementType.INT8, (1,)),),
    )
    big = np.array([[1, 2], [3, 4]], dtype=">i2")
    data = encode_inputs(schema, {"a": np.float32(1), "b": np.asfortranarray(big)})
    assert data == bytes.fromhex("0100020003000400" + "0000803f")


def test_decoded_arrays_are_read_only_aligned_and_their_own() -> None:
    data = bytearray(encode_inputs(MIXED, _example()))
    arrays = decode_inputs(MIXED, data)
    data[:] = bytes(len(data))
    assert arrays["codes"].tolist() == [[1, 2]]
    for array in arrays.values():
        assert array.flags.aligned
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def _example() -> dict[str, Any]:
    return {
        "flag": np.array([[True, False, True]]),
        "scale": np.float64(2.5),
        "codes": np.array([[1, 2]]),
        "image": np.ones((1, 2, 2), dtype=np.float32),
    }


@pytest.mark.parametrize("length", [0, 1, 8, 42, 44, 43 - 16, 10**6])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(TensorError, match="bytes"):
        decode_inputs(MIXED, bytes(length))


def test_output_length_must_be_that_of_the_batch() -> None:
    assert decode_outputs(MIXED, bytes(16), 2)["y"].shape == (2, 2)
    for length, batch in [(16, 1), (16, 3), (15, 2), (0, 1)]:
        with pytest.raises(TensorError, match="bytes"):
            decode_outputs(MIXED, bytes(length), batch)
    with pytest.raises(TensorError, match="batch of 0"):
        decode_outputs(MIXED, b"", 0)


def test_fixed_schemas_have_one_length() -> None:
    schema = one("float32", (2,))
    assert decode_inputs(schema, bytes(8))["x"].shape == (2,)
    for length in (0, 4, 16):
        with pytest.raises(TensorError, match="asks for 8"):
            decode_inputs(schema, bytes(length))


def test_batches_of_zero_and_above_the_maximum_are_refused() -> None:
    schema = one("int8", max_batch=3)
    assert decode_inputs(schema, bytes(3))["x"].shape == (3,)
    with pytest.raises(TensorError, match="1 to 3"):
        decode_inputs(schema, bytes(4))
    for rows in (0, 4):
        with pytest.raises(TensorError, match=f"batch of {rows}"):
            encode_inputs(schema, [np.zeros(rows, dtype=np.int8)])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_in_an_input_are_refused_with_their_index(value: float) -> None:
    schema = one("float32", (None, 2, 3))
    values = np.zeros((2, 2, 3), dtype=np.float32)
    values[1, 0, 2] = value
    with pytest.raises(TensorError, match=r"'x' is -?(nan|inf) at \[1, 0, 2\]"):
        encode_inputs(schema, [values])
    with pytest.raises(TensorError, match=r"\[1, 0, 2\]"):
        decode_inputs(schema, values.tobytes())
    with pytest.raises(TensorError, match=r"\[1, 0, 2\]"):
        check_inputs(schema, {"x": values})
    with pytest.raises(TensorError):
        encode_inputs(schema, [values.astype(np.float64)], allow_rounding=True)
    assert np.array_equal(
        decode_outputs(schema, encode_outputs(schema, [values]), 2)["x"], values, equal_nan=True
    )


def test_bool_bytes_are_zero_or_one() -> None:
    with pytest.raises(TensorError, match="byte 2 is 7"):
        decode_inputs(one("bool"), b"\x00\x01\x07\x01")
    with pytest.raises(TensorError, match="byte 0 is 255"):
        decode_outputs(one("bool"), b"\xff", 1)


@pytest.mark.parametrize(
    ("element", "values"),
    [
        ("float32", np.array([2**24 + 1])),
        ("float32", np.array([2**63 - 1])),
        ("float32", np.array([-(2**63) + 1])),
        ("float64", np.array([2**53 + 1])),
        ("float64", np.array([2**64 - 1], dtype=np.uint64)),
        ("float32", np.array([0.1])),
        ("float32", np.array([1e300])),
        ("float32", np.array([1e-300])),
        ("int64", np.array([0.5])),
        ("int64", np.array([2.0**63])),
        ("int64", np.array([np.nan])),
        ("uint64", np.array([2.0**64])),
        ("uint64", np.array([-1])),
        ("int8", np.array([128])),
        ("uint8", np.array([-1], dtype=np.int8)),
        ("int8", np.array([np.inf], dtype=np.float16)),
        ("bool", np.array([2])),
        ("bool", np.array([0.5])),
    ],
)
def test_casts_that_lose_value_are_refused(element: str, values: Any) -> None:
    with pytest.raises(TensorError, match=r"\[0\].*(not exactly representable|is beyond)"):
        encode_inputs(one(element), [values])


@pytest.mark.parametrize(
    ("element", "values"),
    [
        ("float32", np.array([2**24, -(2**40), 2**62])),
        ("float32", np.array([0.5, -0.0], dtype=np.float64)),
        ("float64", np.array([0.1], dtype=np.float32)),
        ("float64", np.array([2**63], dtype=np.uint64)),
        ("float32", np.array([0.1], dtype=np.float16)),
        ("float32", np.array([True, False])),
        ("int64", np.array([-(2.0**63), 3.0])),
        ("uint8", np.array([255], dtype=np.int64)),
        ("int8", np.array([True])),
        ("bool", np.array([0, 1])),
    ],
)
def test_casts_that_keep_value_are_allowed(element: str, values: Any) -> None:
    again = decode_inputs(one(element), encode_inputs(one(element), [values]))["x"]
    assert [int(v) if v == int(v) else float(v) for v in again.tolist()] == [
        int(v) if v == int(v) else float(v) for v in values.tolist()
    ]


@given(
    hnp.arrays(
        st.sampled_from([np.int64, np.uint64, np.int32, np.float64, np.float32, np.uint8]),
        st.integers(1, 4),
    ),
    st.sampled_from(ElementType),
)
def test_a_cast_is_exact_or_refused(values: Any, element: ElementType) -> None:
    try:
        data = encode_inputs(one(element.value), [values])
    except TensorError:
        return
    again = decode_inputs(one(element.value), data)["x"]
    # Python compares an int with a float exactly, whatever their size.
    assert all(a == b for a, b in zip(again.tolist(), values.tolist(), strict=True))


def test_lists_round_by_default_and_arrays_by_request_only() -> None:
    schema = one("float32")
    nearest = np.array([0.1], dtype=np.float32).tobytes()
    assert encode_inputs(schema, {"x": [0.1]}) == nearest
    assert encode_inputs(schema, {"x": np.array([0.1])}, allow_rounding=True) == nearest
    with pytest.raises(TensorError) as refused:
        encode_inputs(schema, {"x": [0.1]}, allow_rounding=False)
    assert refused.value.message == "tensor 'x': 0.1 at [0] is not exactly representable as float32"
    assert "allow_rounding=True" in (refused.value.hint or "")
    assert "--round" in (refused.value.cli_hint or "")
    with pytest.raises(TensorError, match=r"'x': 0\.1 at \[0\] \(float64\) is not exactly"):
        encode_inputs(schema, {"x": np.array([0.1])})


def test_rounding_never_makes_a_number_infinite() -> None:
    for values in ([1e39], np.array([1e39])):
        with pytest.raises(
            TensorError, match=r"'x': 1e\+39 at \[0\].* is beyond float32"
        ) as refused:
            encode_inputs(one("float32"), {"x": values}, allow_rounding=True)
        assert refused.value.hint == "the largest float32 is 3.4e+38: scale the input"
        assert refused.value.cli_hint is None


@pytest.mark.parametrize("element", ["int64", "float64", "float32"])
def test_large_integers_in_a_list_of_fractions_are_not_rounded(element: str) -> None:
    with pytest.raises(TensorError, match="9007199254740993"):
        encode_inputs(one(element), {"x": [2**53 + 1, 0.0]})


@pytest.mark.parametrize(
    "values",
    [["a"], [None], [[1], [1, 2]], [1j], [2**64], object(), [b"1"], np.array([1], dtype="M8[s]")],
)
def test_what_is_not_numbers_is_refused(values: Any) -> None:
    with pytest.raises(TensorError):
        encode_inputs(one("float32"), {"x": values})


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([[1, 2], [3]], "rows of different lengths: [1] has 1, others before it have 2"),
        ([[1, None]], "null at [0, 1]"),
        ([["1"]], "text at [0, 0]"),
        ("1", "text is no number"),
        (np.array(["1"]), "text at [0]"),
        ([[1], [{"a": 1}]], "an object at [1, 0]"),
        ([2**64], "an integer of more than 64 bits at [0]"),
        ([10**400, 0.5], "an integer of more than 64 bits at [0]"),
        (json.loads("[" * 70 + "]" * 70), "nested more than 16 deep"),
    ],
)
def test_what_is_not_numbers_is_named_with_its_place(values: Any, why: str) -> None:
    with pytest.raises(TensorError, match=re.escape(why)):
        encode_inputs(one("float32"), {"x": values})


def test_scalars_need_no_array() -> None:
    schema = one("float32", ())
    assert encode_inputs(schema, {"x": 1}) == np.float32(1).tobytes()
    with pytest.raises(TensorError, match=r"at \[\]"):
        encode_inputs(schema, {"x": 2**24 + 1})


@pytest.mark.parametrize("shape", [(2,), (3,), (1, 3), (1, 2, 1), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TensorError, match="shape"):
        encode_inputs(one("float32", (None, 2)), [np.zeros(shape, dtype=np.float32)])


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((3, 4), "a single sample still needs its leading batch axis: [1, 3, 4]"),
        ((1, 3, 5), "axis 3 of 3 must be 4"),
        ((9, 2, 5), "axis 2 of 3 must be 3, axis 3 of 3 must be 4"),
        ((12,), "give 3 axes, not 1"),
    ],
)
def test_a_shape_is_refused_with_what_is_to_be_done(shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(TensorError, match=r"not \[N, 3, 4\]") as refused:
        encode_inputs(one("float32", (None, 3, 4)), [np.zeros(shape, np.float32)])
    assert refused.value.hint == hint


def test_batched_tensors_share_their_batch() -> None:
    wrong = _example() | {"codes": np.zeros((2, 2), dtype=np.int64)}
    with pytest.raises(TensorError, match="'codes' has 2 rows, others have 1"):
        encode_inputs(MIXED, wrong)


def test_names_must_match() -> None:
    with pytest.raises(TensorError, match="missing 'x'; unknown 'z'") as refused:
        encode_inputs(one("int8"), {"z": [1]})
    assert refused.value.hint == "give x int8[N]"
    with pytest.raises(TensorError, match=r"schema: missing 'x'$"):
        encode_inputs(one("int8"), {})
    with pytest.raises(TensorError, match=r"schema: unknown 'z'$"):
        encode_inputs(one("int8"), {"x": [1], "z": [1]})
    with pytest.raises(TensorError, match="2 tensors"):
        encode_inputs(one("int8"), [[1], [1]])


def test_outputs_and_typed_inputs_are_never_cast() -> None:
    schema = one("float32")
    for wrong in (np.zeros(1), [0.0], np.zeros(1, dtype=np.int32)):
        with pytest.raises(TensorError, match="not float32"):
            encode_outputs(schema, [wrong])
        with pytest.raises(TensorError, match="not float32"):
            check_inputs(schema, {"x": wrong})  # type: ignore[dict-item]
