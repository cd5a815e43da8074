"""Tensors on the wire: named arrays to bytes and back, without losing a bit.

A message is the tensors of one side of a schema, concatenated in schema order, each as the
little-endian raw bytes of its element type, row-major. There is no header: the batch size follows
from the total length. Responsible for refusing whatever would not survive the trip. It does not
know which model the tensors are for, and gives no opinion on the values of an output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from oracle.core.conversion import Array, convert, first_index, has_type
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.errors import TensorError

Tensors: TypeAlias = dict[str, Array]


def encode_inputs(
    schema: ModelSchema,
    arrays: Mapping[str, Any] | Sequence[Any],
    *,
    allow_rounding: bool | None = None,
) -> bytes:
    """Encode the inputs of one request.

    `arrays` maps input names to arrays (or nested lists of numbers, as JSON gives them), or lists
    them in schema order. Shapes must be complete, the batch axis included.

    A value that its element type cannot hold is refused. Rounding a fraction to the nearest float32
    is a choice: True allows it, False refuses it, and None (the default) allows it in lists, whose
    decimal literals have no width of their own, but not in arrays, whose author chose one. Integers
    are never rounded, and no finite number may become infinite.

    Raises `TensorError` for missing or unknown names, wrong shapes, a batch of 0 or above
    `schema.max_batch`, lossy casts, and NaN or infinity (with the index).
    """
    given = _by_name(schema.inputs, arrays)
    typed = {
        spec.name: convert(spec, given[spec.name], allow_rounding=allow_rounding)
        for spec in schema.inputs
    }
    check_inputs(schema, typed)
    return _join(schema.inputs, typed)


def decode_inputs(schema: ModelSchema, data: bytes | bytearray | memoryview) -> Tensors:
    """Decode the inputs of one request into read-only arrays that do not share `data`'s memory.

    Raises `TensorError` for a length that no batch size explains, a batch above the schema's
    maximum, NaN or infinity, and bool bytes other than 0 and 1.
    """
    tensors = _split(schema.inputs, data, input_batch(schema, memoryview(data).nbytes))
    for spec in schema.inputs:
        _check_finite(spec, tensors[spec.name])
    return tensors


def encode_outputs(schema: ModelSchema, arrays: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Encode the outputs of one answer, which must already have the schema's types and shapes.

    Nothing is cast, and NaN and infinity keep their bits: whether an output may hold them is not
    decided here. Raises `TensorError` for missing or unknown names, types and shapes.
    """
    given = _by_name(schema.outputs, arrays)
    for spec in schema.outputs:
        _check_type("output", spec, given[spec.name])
    _check_batch(schema, shared_batch(schema.outputs, given))
    return _join(schema.outputs, given)


def decode_outputs(
    schema: ModelSchema, data: bytes | bytearray | memoryview, batch: int = 1
) -> Tensors:
    """Decode the outputs of an answer to a request of `batch` rows into read-only arrays.

    Raises `TensorError` for any other length and for bool bytes other than 0 and 1.
    """
    _check_batch(schema, batch)
    expected = output_bytes(schema, batch)
    length = memoryview(data).nbytes
    if length != expected:
        raise TensorError(
            f"the outputs are {length} bytes; at a batch of {batch} they are {expected}"
        )
    return _split(schema.outputs, data, batch)


def output_bytes(schema: ModelSchema, batch: int) -> int:
    """Bytes of the encoded outputs of an answer to a request of `batch` rows."""
    return sum(_spec_bytes(spec, batch) for spec in schema.outputs)


def input_batch(schema: ModelSchema, length: int) -> int:
    """The batch size of encoded inputs of `length` bytes (1 where the schema has no batch axis).

    Raises `TensorError` where no allowed batch size gives that length.
    """
    fixed = sum(spec.row_bytes for spec in schema.inputs if not spec.batched)
    row = sum(spec.row_bytes for spec in schema.inputs if spec.batched)
    if not row:
        if length != fixed:
            raise TensorError(f"the inputs are {length} bytes; the schema asks for {fixed}")
        return 1
    batch, rest = divmod(length - fixed, row)
    if rest or batch < 1:
        raise TensorError(
            f"the inputs are {length} bytes; the schema asks for {fixed} plus {row} a row, "
            "and at least one row"
        )
    _check_batch(schema, batch)
    return batch


def check_inputs(schema: ModelSchema, arrays: Mapping[str, Array]) -> int:
    """Check that typed arrays are a valid request, and return their batch size.

    Raises `TensorError` for missing or unknown names, types, shapes, batch, NaN and infinity.
    """
    _by_name(schema.inputs, arrays)
    for spec in schema.inputs:
        _check_type("input", spec, arrays[spec.name])
    batch = shared_batch(schema.inputs, arrays)
    _check_batch(schema, batch)
    for spec in schema.inputs:
        _check_finite(spec, arrays[spec.name])
    return batch


def shared_batch(specs: tuple[TensorSpec, ...], arrays: Mapping[str, Array]) -> int:
    """The rows that all batched tensors have in common (1 where none is batched).

    Raises `TensorError` for a shape that does not fit, or for two different batch sizes.
    """
    batch: int | None = None
    for spec in specs:
        shape = arrays[spec.name].shape
        rows = shape[0] if spec.batched and shape else 1
        if shape != spec.shape_for(rows):
            raise TensorError(
                f"tensor {spec.name!r} has shape {list(shape)}, not {spec.shape_in_words}",
                hint=_shape_hint(spec, shape),
            )
        if spec.batched:
            if batch not in (None, rows):
                raise TensorError(f"tensor {spec.name!r} has {rows} rows, others have {batch}")
            batch = rows
    return 1 if batch is None else batch


def _shape_hint(spec: TensorSpec, shape: tuple[int, ...]) -> str:
    """What is to be done about a shape that does not fit."""
    wanted = spec.shape_for(1)
    if spec.batched and shape == spec.row_shape:
        return f"a single sample still needs its leading batch axis: {list(wanted)}"
    if len(shape) != len(wanted):
        return f"give {len(wanted)} axes, not {len(shape)}"
    wrong = [
        f"axis {axis} of {len(wanted)} must be {length}"
        for axis, (length, found) in enumerate(zip(wanted, shape, strict=True), 1)
        if length != found and not (spec.batched and axis == 1)
    ]
    return ", ".join(wrong)


def _by_name(
    specs: tuple[TensorSpec, ...], arrays: Mapping[str, Any] | Sequence[Any]
) -> Mapping[str, Any]:
    names = [spec.name for spec in specs]
    wanted = "give " + ", ".join(spec.in_words for spec in specs)
    if not isinstance(arrays, Mapping):
        if len(arrays) != len(names):
            raise TensorError(f"{len(arrays)} tensors given for {names}", hint=wanted)
        return dict(zip(names, arrays, strict=True))
    if arrays.keys() != set(names):
        sides = {
            "missing": sorted(set(names) - arrays.keys()),
            "unknown": sorted(map(str, arrays.keys() - set(names))),
        }
        wrong = "; ".join(f"{side} {', '.join(map(repr, of))}" for side, of in sides.items() if of)
        raise TensorError(f"tensors do not fit the schema: {wrong}", hint=wanted)
    return arrays


def _check_type(side: str, spec: TensorSpec, array: object) -> None:
    if not isinstance(array, np.ndarray) or not has_type(spec, array):
        found = getattr(array, "dtype", type(array).__name__)
        raise TensorError(f"{side} {spec.name!r} is {found}, not {spec.element.value}")


def _check_batch(schema: ModelSchema, batch: int) -> None:
    if not 1 <= batch <= schema.max_batch:
        raise TensorError(f"a batch of {batch} rows; the schema allows 1 to {schema.max_batch}")


def _check_finite(spec: TensorSpec, array: Array) -> None:
    if spec.element.is_float:
        finite = np.isfinite(array)
        if not finite.all():
            index = first_index(~finite)
            raise TensorError(
                f"input {spec.name!r} is {array[index]} at {list(index)}",
                hint="replace missing or infinite values before sending the request",
            )


def _spec_bytes(spec: TensorSpec, batch: int) -> int:
    return spec.row_bytes * batch if spec.batched else spec.row_bytes


def _join(specs: tuple[TensorSpec, ...], arrays: Mapping[str, Array]) -> bytes:
    return b"".join(
        arrays[spec.name].astype(spec.element.dtype, copy=False).tobytes(order="C")
        for spec in specs
    )


def _split(
    specs: tuple[TensorSpec, ...], data: bytes | bytearray | memoryview, batch: int
) -> Tensors:
    """Cut a message of checked length; arrays are read-only, aligned and of native byte order."""
    message = bytes(data)
    tensors: Tensors = {}
    offset = 0
    for spec in specs:
        size = _spec_bytes(spec, batch)
        if spec.element is ElementType.BOOL:
            _check_bool(spec, message[offset : offset + size], offset)
        flat = np.frombuffer(
            message, dtype=spec.element.dtype, count=size // spec.element.item_size, offset=offset
        )
        native = flat.astype(flat.dtype.newbyteorder("="), copy=not flat.flags.aligned)
        array = native.reshape(spec.shape_for(batch))
        array.setflags(write=False)
        tensors[spec.name] = array
        offset += size
    return tensors


def _check_bool(spec: TensorSpec, piece: bytes, offset: int) -> None:
    wrong = piece.translate(None, b"\x00\x01")
    if wrong:
        where = offset + piece.index(wrong[:1])
        raise TensorError(f"tensor {spec.name!r}: byte {where} is {wrong[0]}, not a bool (0 or 1)")
