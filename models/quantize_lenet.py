"""Makes digits-lenet-int8 from digits-lenet by static quantisation.

    python models/quantize_lenet.py [--format QDQ]

Batch normalisation is folded into the convolution before it and Gemm is split into MatMul and Add;
then onnxruntime measures ranges on training rows and writes unsigned 8-bit activations and weights
(U8U8, which no CPU saturates) in the QOperator format. Only operators of the ONNX standard come
out. `--format QDQ` prints what the other format would hold, without writing anything.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from sample_files import FOLDER, Array, Sample, finished, keep, predict, split
from sklearn.datasets import load_digits

FLOAT_NAME = "digits-lenet"
NAME = "digits-lenet-int8"
CALIBRATION_ROWS = 512
QUANTIZED = ["Conv", "MatMul", "Relu", "MaxPool", "Flatten"]
"""Adding the bias of a dense layer stays in float: its 8-bit operator is not in the standard."""


class Rows(CalibrationDataReader):  # type: ignore[misc]
    """Training rows, one batch at a time."""

    def __init__(self, name: str, rows: Array) -> None:
        self._batches: Iterator[Array] = iter(np.array_split(rows, len(rows) // 64))
        self._name = name

    def get_next(self) -> dict[str, Array] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with batch normalisation folded and each Gemm as MatMul and Add."""
    stored = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            _fold(nodes[-1], node, stored)
        elif node.op_type == "Gemm":
            data, weight, bias = node.input
            stored[weight] = np.ascontiguousarray(stored[weight].T)
            product = f"{node.output[0]}_product"
            nodes.append(
                helper.make_node("MatMul", [data, weight], [product], f"{node.name}/MatMul")
            )
            nodes.append(helper.make_node("Add", [product, bias], node.output, f"{node.name}/Add"))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        NAME,
        model.graph.input,
        model.graph.output,
        [numpy_helper.from_array(value, name) for name, value in stored.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _fold(convolution: onnx.NodeProto, norm: onnx.NodeProto, stored: dict[str, Array]) -> None:
    """Scale a convolution's stored weights by what follows it, and let it take its place."""
    if convolution.op_type != "Conv" or list(norm.input[:1]) != list(convolution.output):
        raise ValueError(f"{norm.name} does not follow a convolution")
    scale, shift, mean, variance = (stored[name].astype(np.float64) for name in norm.input[1:])
    epsilon = next(entry.f for entry in norm.attribute if entry.name == "epsilon")
    factor = scale / np.sqrt(variance + epsilon)
    weight, bias = convolution.input[1:]
    folded_bias = (stored[bias] - mean) * factor + shift
    stored[weight] = (stored[weight] * factor[:, None, None, None]).astype(np.float32)
    stored[bias] = folded_bias.astype(np.float32)
    convolution.output[0] = norm.output[0]


def quantized(model: onnx.ModelProto, rows: Array, layout: QuantFormat) -> onnx.ModelProto:
    """The 8-bit model, calibrated on these rows."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            Rows(model.graph.input[0].name, rows),
            quant_format=layout,
            op_types_to_quantize=QUANTIZED,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        result = onnx.load(target)
    # The quantiser declares its own operators' domains whether or not it used them.
    domains = {node.domain for node in result.graph.node}
    kept = [entry for entry in result.opset_import if entry.domain in domains]
    del result.opset_import[:]
    result.opset_import.extend(kept)
    # It also leaves the shapes of tensors that are gone, and a mark for itself.
    del result.graph.value_info[:], result.metadata_props[:]
    result.graph.name = NAME
    return result


def main() -> None:
    """Quantise; write the QOperator format, or print the QDQ one."""
    layout = QuantFormat.QDQ if sys.argv[1:] == ["--format", "QDQ"] else QuantFormat.QOperator
    rows = split(load_digits)
    source = onnx.load(FOLDER / f"{FLOAT_NAME}.onnx")
    result = quantized(prepared(source), rows.train_x[:CALIBRATION_ROWS], layout)
    model = finished(result)
    print(dict(Counter(node.op_type for node in result.graph.node)))
    if layout is QuantFormat.QDQ:
        right = int((predict(model, rows.held_out_x)[0] == rows.held_out_y).sum())
        print(f"QDQ: {right} of {len(rows.held_out_y)} right, {len(model):,} bytes")
        return
    sample = Sample(
        name=NAME,
        task="classification of handwritten digits",
        description=(
            "Input `pixels`: 8x8 grey values from 0 to 16, row by row, as float32 [N, 64]. "
            "Output `label`: the digit, int64 [N]. Output `probabilities`: float32 [N, 10], "
            f"in the order of `labels`. `{FLOAT_NAME}` in 8 bits: QOperator format, unsigned "
            "activations and weights, 32-bit biases."
        ),
        labels=tuple(str(digit) for digit in range(10)),
        training_command="python models/quantize_lenet.py",
        data_set="load_digits",
        trained_with={"onnxruntime": onnxruntime.__version__},
    )
    keep(sample, rows, model)


if __name__ == "__main__":
    main()
