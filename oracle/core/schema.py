"""The shape of a model's inputs and outputs, and the canonical text that is hashed on chain.

Responsible for saying which element types and shapes a model may have, and for writing that down
in exactly one way, so that Python and Solidity agree on the schema hash. It does not know about
bytes on the wire (see `tensor`), about ONNX files, or about which model a schema belongs to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Final

import numpy as np
from eth_utils.crypto import keccak

from oracle.errors import SchemaError

DEFAULT_MAX_BATCH: Final = 1024
"""Rows one message may carry when a schema does not say otherwise."""

LARGEST_MAX_BATCH: Final = 2**20
LARGEST_RANK: Final = 16
LARGEST_ROW_BYTES: Final = 2**31
LONGEST_NAME: Final = 255


class ElementType(Enum):
    """An ONNX element type that has a fixed width and a meaning of its own on the wire.

    Strings, float16, bfloat16, float8, 4-bit integers and complex numbers are left out on purpose.
    """

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The little-endian numpy type of one element."""
        return np.dtype(self.value).newbyteorder("<")

    @cached_property
    def item_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @cached_property
    def is_float(self) -> bool:
        """Whether the type can hold NaN and infinity."""
        return self.dtype.kind == "f"


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor: `shape` is `()` for a scalar, and only `shape[0]` may be None (the batch).

    Raises `SchemaError` for an unusable name, a rank above 16, an axis below 1, a variable axis
    that is not the leading one, or a row above 2 GiB.
    """

    name: str
    element: ElementType
    shape: tuple[int | None, ...]

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not isinstance(self.element, ElementType):
            raise SchemaError(f"tensor {self.name!r}: {self.element!r} is not an element type")
        if not isinstance(self.shape, tuple) or len(self.shape) > LARGEST_RANK:
            raise SchemaError(
                f"tensor {self.name!r}: a shape is a tuple of at most {LARGEST_RANK} axes"
            )
        for axis, length in enumerate(self.shape):
            if length is None:
                if axis:
                    raise SchemaError(
                        f"tensor {self.name!r}: axis {axis} varies; only axis 0 (the batch) may",
                        hint="export the model with every axis but the batch fixed",
                    )
            elif type(length) is not int or length < 1:
                raise SchemaError(
                    f"tensor {self.name!r}: axis {axis} is {length!r}, not a positive integer"
                )
        if self.row_bytes > LARGEST_ROW_BYTES:
            raise SchemaError(f"tensor {self.name!r}: {self.row_bytes} bytes a row is too large")

    @cached_property
    def batched(self) -> bool:
        """Whether the leading axis is the batch."""
        return bool(self.shape) and self.shape[0] is None

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """The shape without the batch axis; the whole shape where there is none."""
        return tuple(length for length in self.shape if length is not None)

    @cached_property
    def row_size(self) -> int:
        """Elements in one row; in the whole tensor where there is no batch axis."""
        return math.prod(self.row_shape)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one row; of the whole tensor where there is no batch axis."""
        return self.row_size * self.element.item_size

    @property
    def shape_in_words(self) -> str:
        """The axes, N for that of the batch."""
        return "[" + ", ".join("N" if axis is None else str(axis) for axis in self.shape) + "]"

    @property
    def in_words(self) -> str:
        """Name, type and axes, as people are shown them: `pixels float32[N, 64]`."""
        return f"{self.name} {self.element.value}{self.shape_in_words}"

    def shape_for(self, batch: int) -> tuple[int, ...]:
        """The full shape at a batch of `batch` rows."""
        return (batch, *self.row_shape) if self.batched else self.row_shape


@dataclass(frozen=True)
class ModelSchema:
    """All inputs and outputs of a model, in the order in which their bytes follow each other.

    `max_batch` bounds the rows of one message. A schema without a batch axis always has
    `max_batch == 1`, so that equal interfaces have equal hashes. Raises `SchemaError`.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch: int = DEFAULT_MAX_BATCH

    def __post_init__(self) -> None:
        for side, specs in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not isinstance(specs, tuple) or not specs:
                raise SchemaError(f"a schema needs a non-empty tuple of {side}")
            names = [spec.name for spec in specs]
            if len(set(names)) != len(names):
                raise SchemaError(f"two {side} have the same name: {names}")
        if type(self.max_batch) is not int or not 1 <= self.max_batch <= LARGEST_MAX_BATCH:
            raise SchemaError(
                f"max_batch is {self.max_batch!r}, not an integer from 1 to {LARGEST_MAX_BATCH}"
            )
        if not self.batched:
            if any(spec.batched for spec in self.outputs):
                raise SchemaError(
                    "an output has a batch axis but no input does, so its length is unknown",
                    hint="give every output a fixed shape, or give an input the batch axis",
                )
            object.__setattr__(self, "max_batch", 1)

    @cached_property
    def batched(self) -> bool:
        """Whether any input has a batch axis."""
        return any(spec.batched for spec in self.inputs)

    @cached_property
    def fully_batched(self) -> bool:
        """Whether every input and every output has the batch axis: rows can be stacked."""
        return all(spec.batched for spec in (*self.inputs, *self.outputs))

    @cached_property
    def _canonical(self) -> str:
        document = {
            "inputs": [_to_document(spec) for spec in self.inputs],
            "max_batch": self.max_batch,
            "outputs": [_to_document(spec) for spec in self.outputs],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    def to_json(self) -> str:
        """The canonical text: ASCII, sorted keys, no white space."""
        return self._canonical

    @cached_property
    def schema_hash(self) -> bytes:
        """keccak256 of the canonical text: 32 bytes."""
        return bytes(keccak(self._canonical.encode("ascii")))

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelSchema:
        """Read a schema; the layout of the text is free, its keys and types are not.

        A missing `max_batch` means `DEFAULT_MAX_BATCH`. Raises `SchemaError` for anything that is
        not JSON, an unknown, repeated or missing key, or a value of the wrong type or range.
        """
        try:
            document = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse)
        except (ValueError, RecursionError, TypeError) as error:
            raise SchemaError(f"the schema is not JSON: {error}") from error
        _check_keys("schema", document, required={"inputs", "outputs"}, optional={"max_batch"})
        return cls(
            inputs=_specs("inputs", document["inputs"]),
            outputs=_specs("outputs", document["outputs"]),
            max_batch=document.get("max_batch", DEFAULT_MAX_BATCH),
        )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise SchemaError(f"a tensor name is 1 to {LONGEST_NAME} characters of text, not {name!r}")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise SchemaError(f"tensor name {name!r} is not valid Unicode") from error


def _to_document(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "element": spec.element.value, "shape": list(spec.shape)}


def _specs(side: str, documents: object) -> tuple[TensorSpec, ...]:
    if not isinstance(documents, list):
        raise SchemaError(f"{side} is not a list")
    return tuple(_spec(f"{side}[{index}]", entry) for index, entry in enumerate(documents))


def _spec(where: str, document: object) -> TensorSpec:
    entry = _check_keys(where, document, required={"name", "element", "shape"})
    try:
        element = ElementType(entry["element"])
    except ValueError as error:
        known = ", ".join(member.value for member in ElementType)
        raise SchemaError(
            f"{where}: {entry['element']!r} is not an element type", hint=f"one of {known}"
        ) from error
    if not isinstance(entry["shape"], list):
        raise SchemaError(f"{where}: shape is not a list")
    return TensorSpec(name=entry["name"], element=element, shape=tuple(entry["shape"]))


def _check_keys(
    where: str, document: object, *, required: set[str], optional: set[str] | None = None
) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise SchemaError(f"{where} is not a JSON object")
    missing = required - document.keys()
    unknown = document.keys() - required - (optional or set())
    if missing or unknown:
        raise SchemaError(f"{where}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
