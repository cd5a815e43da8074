"""What a schema accepts, what it refuses, and that equal interfaces have equal hashes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.errors import SchemaError

PIXELS = TensorSpec("pixels", ElementType.FLOAT32, (None, 64))
LABEL = TensorSpec("label", ElementType.INT64, (None,))
SCHEMA = ModelSchema(inputs=(PIXELS,), outputs=(LABEL,))

CANONICAL = (
    '{"inputs":[{"element":"float32","name":"pixels","shape":[null,64]}],"max_batch":1024,'
    '"outputs":[{"element":"int64","name":"label","shape":[null]}]}'
)


def specs(leading: st.SearchStrategy[tuple[None, ...]]) -> st.SearchStrategy[TensorSpec]:
    axes = st.lists(st.integers(1, 9), max_size=3).map(tuple)
    return st.builds(
        TensorSpec,
        name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        element=st.sampled_from(ElementType),
        shape=st.tuples(leading, axes).map(lambda pair: pair[0] + pair[1]),
    )


def sides(
    leading: st.SearchStrategy[tuple[None, ...]],
) -> st.SearchStrategy[tuple[TensorSpec, ...]]:
    return st.lists(specs(leading), min_size=1, max_size=3, unique_by=lambda spec: spec.name).map(
        tuple
    )


@pytest.mark.parametrize("element", ElementType)
def test_every_element_type_is_little_endian_and_of_its_onnx_size(element: ElementType) -> None:
    assert element.dtype.str[0] in "<|"
    assert element.dtype.name == element.value
    assert element.item_size == element.dtype.itemsize


def test_canonical_text_and_hash_are_fixed() -> None:
    assert SCHEMA.to_json() == CANONICAL
    assert SCHEMA.schema_hash == keccak(CANONICAL.encode())
    assert len(SCHEMA.schema_hash) == 32


def test_names_outside_ascii_are_escaped() -> None:
    schema = replace(SCHEMA, inputs=(replace(PIXELS, name="größe"),))
    assert schema.to_json().isascii()
    assert ModelSchema.from_json(schema.to_json()) == schema


@given(
    sides(st.sampled_from([(), (None,)])),
    sides(st.just(())),
    st.integers(1, 2**20),
)
def test_a_schema_survives_its_text(
    inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], max_batch: int
) -> None:
    schema = ModelSchema(inputs, outputs, max_batch)
    again = ModelSchema.from_json(schema.to_json())
    assert again == schema
    assert again.schema_hash == schema.schema_hash
    assert ModelSchema.from_json(json.dumps(json.loads(schema.to_json()), indent=3)) == schema


def test_max_batch_defaults_to_1024_and_is_written() -> None:
    document = json.loads(CANONICAL)
    del document["max_batch"]
    assert ModelSchema.from_json(json.dumps(document)) == SCHEMA


def test_max_batch_is_one_without_a_batch_axis() -> None:
    fixed = TensorSpec("x", ElementType.BOOL, ())
    schema = ModelSchema((fixed,), (fixed,), max_batch=77)
    assert schema.max_batch == 1
    assert schema == ModelSchema((fixed,), (fixed,))


def test_fully_batched_needs_every_tensor() -> None:
    mean = TensorSpec("mean", ElementType.FLOAT32, (1,))
    assert SCHEMA.fully_batched
    assert not replace(SCHEMA, outputs=(LABEL, mean)).fully_batched
    assert replace(SCHEMA, outputs=(LABEL, mean)).batched


def test_a_tensor_knows_its_rows() -> None:
    assert PIXELS.row_bytes == 256
    assert PIXELS.shape_for(3) == (3, 64)
    scalar = TensorSpec("s", ElementType.FLOAT64, ())
    assert (scalar.batched, scalar.row_bytes, scalar.shape_for(9)) == (False, 8, ())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("", (1,)),
        ("x" * 256, (1,)),
        ("\ud800", (1,)),
        ("x", (3, None)),
        ("x", (0,)),
        ("x", (-1,)),
        ("x", (True,)),
        ("x", (1.0,)),
        ("x", (1,) * 17),
        ("x", (2**31,)),
        ("x", [1]),
    ],
)
def test_unusable_tensors_are_refused(name: str, shape: tuple[int | None, ...]) -> None:
    with pytest.raises(SchemaError):
        TensorSpec(name, ElementType.FLOAT32, shape)


@pytest.mark.parametrize("max_batch", [0, -1, 2**20 + 1, True, 1.0, "1", None])
def test_unusable_max_batch_is_refused(max_batch: object) -> None:
    document = json.loads(CANONICAL) | {"max_batch": max_batch}
    with pytest.raises(SchemaError, match="max_batch"):
        ModelSchema.from_json(json.dumps(document))


def test_sides_must_be_named_apart_and_not_empty() -> None:
    with pytest.raises(SchemaError, match="same name"):
        ModelSchema((PIXELS, PIXELS), (LABEL,))
    with pytest.raises(SchemaError, match="non-empty"):
        ModelSchema((PIXELS,), ())


def test_a_batched_output_needs_a_batched_input() -> None:
    with pytest.raises(SchemaError, match="no input does"):
        ModelSchema((TensorSpec("x", ElementType.INT8, (4,)),), (LABEL,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        b"\xff\xfe",
        CANONICAL.replace("1024", "NaN"),
        CANONICAL.replace("64", "64.0"),
        CANONICAL.replace("64", "true"),
        CANONICAL.replace("float32", "float16"),
        CANONICAL.replace('"float32"', "null"),
        CANONICAL.replace('"float32"', '["float32"]'),
        CANONICAL.replace('"pixels"', "7"),
        CANONICAL.replace("[null,64]", '"64"'),
        CANONICAL.replace('"max_batch":1024', '"max_batch":1024,"max_batch":1024'),
        CANONICAL.replace('"max_batch"', '"maximum"'),
        CANONICAL.replace('"name":"pixels",', ""),
        CANONICAL.replace('"name":"pixels"', '"name":"pixels","doc":"x"'),
        CANONICAL.replace('[{"element":"int64","name":"label","shape":[null]}]', "{}"),
        CANONICAL.replace('{"element":"int64","name":"label","shape":[null]}', "1"),
        "[" * 100_000,
    ],
)
def test_other_documents_are_refused(text: str | bytes) -> None:
    with pytest.raises(SchemaError):
        ModelSchema.from_json(text)
