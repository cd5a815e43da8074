"""Takes out of a source model what has no meaning for its numbers, before anything reads it.

Local functions are inlined, Identity and inference-time Dropout are bypassed, and ZipMap gives
way to the tensor that it would wrap. Works on protobufs alone and changes no arithmetic.
"""

from __future__ import annotations

import onnx
from onnx import helper, inliner

from oracle.errors import ModelFileError, ProgramError
from oracle.program.source.graph import operator_name


def prepare(data: bytes, *, name: str) -> onnx.ModelProto:
    """The model in a file, without wrappers.

    Raises:
        ModelFileError: the bytes are not a valid ONNX model, or keep weights in other files.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise unrelated types
        raise ModelFileError(f"{name} is not a valid ONNX model: {error}") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ModelFileError(f"{name} keeps weights in other files", hint="save it as one file")
    if model.functions:
        model = inliner.inline_local_functions(model, convert_version=True)
    if model.graph.sparse_initializer:
        raise ProgramError("sparse initializers have no rule", hint="store dense tensors")
    _bypass(model)
    return model


def _bypass(model: onnx.ModelProto) -> None:
    """Lets the readers of a wrapper's output read its input."""
    graph = model.graph
    outputs = {entry.name: entry for entry in graph.output}
    renamed: dict[str, str] = {}
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        for position, source in enumerate(node.input):
            node.input[position] = renamed.get(source, source)
        if not _is_wrapper(node):
            kept.append(node)
            continue
        target = node.output[0]
        if target in outputs:
            if operator_name(node) == "ai.onnx.ml.ZipMap":
                outputs[target].CopyFrom(_scores(target, node))
            kept.append(helper.make_node("Identity", [node.input[0]], [target], name=node.name))
        else:
            renamed[target] = node.input[0]
    del graph.node[:]
    graph.node.extend(kept)


def _is_wrapper(node: onnx.NodeProto) -> bool:
    name = operator_name(node)
    if name == "Dropout":
        given = [entry for entry in node.attribute if entry.name == "is_test" and not entry.i]
        return not given and not any(node.output[1:]) and len(node.input) < 3
    return name in ("Identity", "ai.onnx.ml.ZipMap")


def _scores(name: str, node: onnx.NodeProto) -> onnx.ValueInfoProto:
    """The type of what a ZipMap wraps: one float32 a class."""
    classes = next(
        (
            len(entry.ints) or len(entry.strings)
            for entry in node.attribute
            if entry.name.startswith("classlabels")
        ),
        None,
    )
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", classes])
