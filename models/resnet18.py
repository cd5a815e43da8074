"""Writes a ResNet-18 with random weights, for measuring what a real-size network costs.

    python models/resnet18.py resnet18.onnx [--seed 2026] [--folded] [--classes 1000] [--side 224]

The architecture of He et al. (2015): 11.7 million parameters, 45 MB, 1.8 billion multiply-adds an
image. Weights are drawn after He, so that activations stay in range; nothing is trained and the
answers mean nothing. `--folded` writes the same function with batch normalisation folded into the
convolutions. Needs numpy and onnx only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 8
SEED = 2026
EPSILON = 1e-5
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels of each stage, and the stride of its first block."""
BLOCKS = 2
BRANCH_GAIN = 0.5
"""Scale of what a block adds to its input: keeps eight additions in a row from growing."""


class Builder:
    """A graph that grows node by node; every method returns the name of what it adds."""

    def __init__(self, seed: int, folded: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)
        self._folded = folded

    def store(self, name: str, values: NDArray[Any]) -> str:
        """An initializer, as float32."""
        self.stored.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """A node with one output of the same name."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def convolution(
        self,
        source: str,
        name: str,
        shape: tuple[int, int, int],
        *,
        stride: int = 1,
        gain: float = 1.0,
    ) -> str:
        """A normalised convolution of (channels in, channels out, side), padded to keep size."""
        into, out, side = shape
        padding = side // 2
        deviation = np.sqrt(2 / (into * side * side))
        weight = self._random.normal(0, deviation, (out, into, side, side))
        scale = gain * self._random.uniform(0.9, 1.1, out)
        shift, mean = self._random.normal(0, 0.05, (2, out))
        variance = self._random.uniform(0.9, 1.1, out)
        geometry: dict[str, Any] = {
            "kernel_shape": [side, side],
            "strides": [stride, stride],
            "pads": [padding] * 4,
            "dilations": [1, 1],
            "group": 1,
        }
        if self._folded:
            factor = scale / np.sqrt(variance + EPSILON)
            weight_name = self.store(f"{name}.weight", weight * factor[:, None, None, None])
            bias_name = self.store(f"{name}.bias", shift - mean * factor)
            return self.node("Conv", [source, weight_name, bias_name], name, **geometry)
        weight_name = self.store(f"{name}.weight", weight)
        convolved = self.node("Conv", [source, weight_name], f"{name}.conv", **geometry)
        statistics = {"scale": scale, "shift": shift, "mean": mean, "variance": variance}
        inputs = [self.store(f"{name}.{key}", value) for key, value in statistics.items()]
        return self.node("BatchNormalization", [convolved, *inputs], name, epsilon=EPSILON)

    def block(self, source: str, name: str, into: int, out: int, stride: int) -> str:
        """Two 3x3 convolutions around which the input is added."""
        first = self.convolution(source, f"{name}.first", (into, out, 3), stride=stride)
        first = self.node("Relu", [first], f"{name}.first.relu")
        second = self.convolution(first, f"{name}.second", (out, out, 3), gain=BRANCH_GAIN)
        if (into, stride) != (out, 1):
            source = self.convolution(
                source, f"{name}.shortcut", (into, out, 1), stride=stride, gain=np.sqrt(0.5)
            )
        return self.node("Relu", [self.node("Add", [second, source], f"{name}.sum")], name)

    def dense(self, source: str, into: int, out: int, name: str) -> str:
        """A fully connected layer."""
        weight = self.store("dense.weight", self._random.normal(0, np.sqrt(1 / into), (out, into)))
        bias = self.store("dense.bias", self._random.normal(0, 0.05, out))
        return self.node("Gemm", [source, weight, bias], name, transB=1)


def resnet18(
    *, seed: int = SEED, folded: bool = False, classes: int = 1000, side: int = 224
) -> onnx.ModelProto:
    """ResNet-18: `image` float32 [N, 3, side, side] to `logits` float32 [N, classes].

    The same seed gives the same weights, folded or not.
    """
    builder = Builder(seed, folded)
    last = builder.convolution("image", "stem", (3, STAGES[0][0], 7), stride=2)
    last = builder.node("Relu", [last], "stem.relu")
    last = builder.node(
        "MaxPool", [last], "stem.pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    )
    into = STAGES[0][0]
    for stage, (channels, stride) in enumerate(STAGES, start=1):
        for block in range(1, BLOCKS + 1):
            name = f"stage{stage}.block{block}"
            last = builder.block(last, name, into, channels, stride if block == 1 else 1)
            into = channels
    last = builder.node("GlobalAveragePool", [last], "pool")
    last = builder.node("Flatten", [last], "flat", axis=1)
    builder.dense(last, into, classes, "logits")
    graph = helper.make_graph(
        builder.nodes,
        "resnet18",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        builder.stored,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="resnet18.py",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Write the model to the path given."""
    parser = argparse.ArgumentParser(description="Writes a ResNet-18 with random weights.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folded", action="store_true", help="fold batch normalisation")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--side", type=int, default=224, help="pixels along each edge")
    chosen = parser.parse_args()
    model = resnet18(
        seed=chosen.seed, folded=chosen.folded, classes=chosen.classes, side=chosen.side
    )
    chosen.path.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{chosen.path}: {chosen.path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
