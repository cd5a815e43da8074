"""One ONNX file, looked at before it is trusted with anything.

Responsible for turning a path into facts (hash, schema, operators, size) or into a refusal that
says what to change. Every check reads the same bytes, so a file swapped in between is not a
loophole. It does not store files, and does not know what a model is worth.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx

from oracle.core.schema import DEFAULT_MAX_BATCH, ModelSchema
from oracle.errors import ModelFileError
from oracle.inference.provider import CPU
from oracle.inference.session import open_session
from oracle.program.source import graph
from oracle.program.source.model_schema import read_schema

DEFAULT_MAX_BYTES: Final = 256 * 2**20
"""Model files above 256 MiB are refused unless the caller says otherwise."""

_FOREIGN: Final = (
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"PK\x03\x04", "a ZIP archive (PyTorch .pt, Keras .keras and .npz files are ZIPs)"),
    (0, b"\x89HDF", "an HDF5 file (Keras .h5)"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"\x80\x04", "a Python pickle"),
    (0, b"%PDF", "a PDF"),
    (0, b"version https://git-lfs", "a Git LFS pointer; run `git lfs pull`"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (4, b"ORTM", "a model in onnxruntime's own ORT format"),
)

_RANDOM: Final = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
    | {"Multinomial", "Bernoulli"}
)


@dataclass(frozen=True)
class ModelFile:
    """What is known of a model file that passed every check.

    `sha256` is 32 bytes, `size` in bytes, `opsets` maps operator domains to versions (the standard
    domain is ""), `producer` is "name version" as the file claims it.
    """

    path: Path
    sha256: bytes
    size: int
    schema: ModelSchema
    opsets: Mapping[str, int]
    producer: str
    operators: tuple[str, ...]
    parameter_count: int


def inspect(
    path: Path | str,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    max_batch: int = DEFAULT_MAX_BATCH,
) -> ModelFile:
    """Check a model file and return its facts.

    It must be a regular file within `max_bytes`, parse as ONNX, satisfy the ONNX checker, hold all
    its weights itself, draw no random numbers, have an interface of plain tensors whose only
    variable axis is a leading batch axis, and load in onnxruntime on the CPU. The model is not run.

    Raises `ModelFileError` with a hint.
    """
    path = Path(path)
    data = read_bounded(path, max_bytes)
    model = parse(data, name=path.name)
    return ModelFile(
        path=path,
        sha256=hashlib.sha256(data).digest(),
        size=len(data),
        schema=_checked_schema(model, data, max_batch),
        opsets={
            "" if entry.domain in graph.ONNX_DOMAINS else entry.domain: entry.version
            for entry in model.opset_import
        },
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        operators=graph.operator_names(model),
        parameter_count=graph.parameter_count(model),
    )


def read_bounded(path: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
    """The content of a regular, non-empty file of at most `max_bytes`.

    Raises `ModelFileError`. A pipe or device is refused without being read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}", hint="check the path") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be opened: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ModelFileError(f"{path} is not a regular file", hint="give the .onnx file itself")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(max_bytes + 1) if status.st_size <= max_bytes else b""
    if status.st_size > max_bytes or len(data) > max_bytes:
        raise ModelFileError(
            f"{path} is {status.st_size} bytes; the limit is {max_bytes}",
            hint="raise the size limit, or quantise the model",
        )
    if not data:
        raise ModelFileError(f"{path} is empty", hint="export or download the model again")
    return data


def parse(data: bytes, *, name: str) -> onnx.ModelProto:
    """The bytes of a model file as a parsed, self-contained and valid ONNX model.

    Raises `ModelFileError`; `name` is used in its messages.
    """
    for offset, magic, what in _FOREIGN:
        if data[offset : offset + len(magic)] == magic:
            raise ModelFileError(f"{name} is {what}", hint="export the model to ONNX first")
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf is not a dependency of ours; its errors are not named
        raise ModelFileError(
            f"{name} is not ONNX, or is truncated ({len(data)} bytes)",
            hint="compare its size and SHA-256 with the original; export or download it again",
        ) from error
    _check_self_contained(model, name)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise ModelFileError(
            f"{name} is not a valid ONNX model: {reason}",
            hint="it may be truncated; otherwise export it again with a current exporter",
        ) from error
    if random := sorted({node.op_type for node in graph.all_nodes(model)} & _RANDOM):
        raise ModelFileError(
            f"{name} draws random numbers ({', '.join(random)}), so no answer can be checked",
            hint="export it in inference mode, or make the noise an input",
        )
    return model


def _check_self_contained(model: onnx.ModelProto, name: str) -> None:
    """Refuse weights in other files: the hash would not cover them, and paths reach anywhere."""
    for tensor in graph.all_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "?")
            raise ModelFileError(
                f"{name} keeps tensor {tensor.name!r} in another file ({where!r}), "
                "which its hash does not cover",
                hint="store the weights inside: onnx.save(onnx.load(path), path)",
            )


def _checked_schema(model: onnx.ModelProto, data: bytes, max_batch: int) -> ModelSchema:
    """The declared schema, once onnxruntime has agreed to load the model."""
    schema = read_schema(model, max_batch=max_batch)
    open_session(data, CPU)
    return schema
