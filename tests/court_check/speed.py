"""Elements per second that the whole-trace check gets through, by operation.

    python -m tests.court_check.speed [tier]

"x run" is the time of the check over that of onnxruntime's own float32 kernel, where one node of
ONNX is the same operation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.check_evaluate import evaluate
from oracle.program.opcode import Opcode
from tests.court_check.cases_tables import forest
from tests.court_check.programs import Array, Builder, const, floats, guard, trace


@dataclass(frozen=True)
class Node:
    """An ONNX operator to compare with: shapes of what it is fed and of its weights."""

    operator: str
    fed: list[tuple[int, ...]]
    weights: list[tuple[int, ...]]
    attributes: dict[str, Any] = field(default_factory=dict)


Make = Callable[[np.random.Generator, Builder], Node | None]
"""Fills a builder; gives what to compare the check with, if there is something."""


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return floats(rng, int(np.prod(shape)), "normal").reshape(shape)


def dense(rows: int, k: int, n: int) -> Make:
    def make(rng: np.random.Generator, made: Builder) -> Node:
        a, b = made.input(normal(rng, rows, k)), made.constant(normal(rng, n, k))
        c = made.constant(normal(rng, n))
        operands = [trace(a, (k, 0, 1)), const(b, (0, k, 1)), const(c, (0, 1, 0))]
        made.step(Opcode.DOT, (rows, n), (k,), operands)
        return Node("Gemm", [(rows, k)], [(k, n), (n,)])

    return make


def convolution(size: int, channels: int, depthwise: bool = False) -> Make:
    def make(rng: np.random.Generator, made: Builder) -> Node:
        a = made.input(normal(rng, size, size, channels))
        line = size * channels
        guards = [(1, 0, 0, 1, 0, 0), (0, 1, 0, 0, 1, 0)]
        inner = 1 if depthwise else channels
        held = [guard(g, size, -1) for g in guards]
        access = trace(
            a, (line, channels, int(depthwise), line, channels, 1), -line - channels, held
        )
        w = made.constant(normal(rng, channels, 9 * inner))
        weights = const(w, (0, 0, 9 * inner, 3 * inner, inner, 1))
        made.step(Opcode.DOT, (size, size, channels), (3, 3, inner), [access, weights])
        attributes = {"pads": [1] * 4, "group": channels // inner}
        return Node("Conv", [(1, channels, size, size)], [(channels, inner, 3, 3)], attributes)

    return make


def attention(heads: int, length: int, depth: int) -> Make:
    def make(rng: np.random.Generator, made: Builder) -> Node:
        a, b = (made.input(normal(rng, heads, length, depth)) for _ in range(2))
        step = length * depth
        operands = [trace(a, (step, depth, 0, 1)), trace(b, (step, 0, depth, 1))]
        made.step(Opcode.DOT, (heads, length, length), (depth,), operands)
        return Node("MatMul", [(heads, length, depth), (heads, depth, length)], [])

    return make


def each(opcode: Opcode, count: int, operands: int, dtype: Any = np.float32) -> Make:
    def make(rng: np.random.Generator, made: Builder) -> Node | None:
        numbers = [
            made.input(np.abs(normal(rng, count)) if opcode in _POSITIVE else normal(rng, count))
            for _ in range(operands)
        ]
        made.step(opcode, (count,), (), [trace(number, (1,)) for number in numbers], dtype)
        return None

    return make


def over(opcode: Opcode, rows: int, taps: int) -> Make:
    def make(rng: np.random.Generator, made: Builder) -> Node | None:
        a = made.input(normal(rng, rows, taps))
        if opcode in (Opcode.TOPK_VALUE, Opcode.TOPK_INDEX):
            dtype = np.int64 if opcode is Opcode.TOPK_INDEX else np.float32
            made.step(opcode, (rows, 5), (taps,), [trace(a, (taps, 0, 1))], dtype, (1,))
        else:
            dtype = np.int64 if opcode is Opcode.ARGMAX else np.float32
            made.step(opcode, (rows,), (taps,), [trace(a, (taps, 1))], dtype, (0,))
        return None

    return make


def gather(rng: np.random.Generator, made: Builder) -> Node | None:
    table = made.constant(normal(rng, 1000, 256))
    index = made.input(rng.integers(0, 1000, 2000))
    operands = [const(table, (0, 1)), trace(index, (1, 0))]
    made.step(Opcode.GATHER, (2000, 256), (), operands, attributes=(256, 1000))
    return None


def trees(rng: np.random.Generator, made: Builder) -> Node | None:
    x = made.input(*(normal(rng, 20) for _ in range(1000)))
    nodes, roots = forest(rng, 100, 6, 20)
    table, root = made.constant(nodes), made.constant(roots)
    leaves = made.constant(normal(rng, 6400, 1))
    operands = [trace(x, (0, 0)), const(table, (0, 0)), const(leaves, (0, 0)), const(root, (1, 0))]
    made.step(Opcode.TREE, (100, 1), (), operands, attributes=(1, 1))
    return None


def quantised(opcode: Opcode) -> Make:
    def make(rng: np.random.Generator, made: Builder) -> Node | None:
        if opcode in (Opcode.QUANTIZE, Opcode.DEQUANTIZE):
            forward = opcode is Opcode.QUANTIZE
            data = normal(rng, 500000) * 30
            a = made.input(data if forward else data.astype(np.int8))
            scale = made.constant(np.array([0.37], np.float32))
            zero = made.constant(np.array([3], np.int8))
            operands = [trace(a, (1,)), const(scale, (0,)), const(zero, (0,))]
            made.step(opcode, (500000,), (), operands, np.int8 if forward else np.float32)
            return None
        a = made.input(rng.integers(0, 255, (256, 512)).astype(np.uint8))
        b = made.constant(rng.integers(0, 255, (512, 512)).astype(np.uint8))
        zero = made.constant(np.array([128], np.uint8))
        scale = made.constant(np.array([0.02, 0.01, 0.5], np.float32))
        none = (0, 0, 0)
        operands = [trace(a, (512, 0, 1)), const(b, (0, 512, 1)), const(zero, none)]
        operands.append(const(zero, none))
        if opcode is Opcode.QUANTIZED_DOT:
            operands += [*(const(scale, none, place) for place in range(3)), const(zero, none)]
        dtype = np.uint8 if opcode is Opcode.QUANTIZED_DOT else np.int32
        made.step(opcode, (256, 512), (512,), operands, dtype)
        return None

    return make


_POSITIVE = (Opcode.SQRT, Opcode.LOG)
_MANY = 500_000

CASES: dict[str, Make] = {
    "DOT 512x512x512": dense(512, 512, 512),
    "DOT 1x2048x2048": dense(1, 2048, 2048),
    "DOT conv 56x56x64 3x3": convolution(56, 64),
    "DOT conv 14x14x256 3x3": convolution(14, 256),
    "DOT depthwise 56x56x64": convolution(56, 64, depthwise=True),
    "DOT attention 12x128x64": attention(12, 128, 64),
    "SUM of 256": over(Opcode.SUM, 4000, 256),
    "MEAN of 256": over(Opcode.MEAN, 4000, 256),
    "ADD": each(Opcode.ADD, _MANY, 2),
    "MUL": each(Opcode.MUL, _MANY, 2),
    "DIV": each(Opcode.DIV, _MANY, 2),
    "SQRT": each(Opcode.SQRT, _MANY, 1),
    "MAX": each(Opcode.MAX, _MANY, 2),
    "LESS": each(Opcode.LESS, _MANY, 2, np.bool_),
    "CAST": each(Opcode.CAST, _MANY, 1, np.int32),
    "COPY": each(Opcode.COPY, _MANY, 1),
    "EXP": each(Opcode.EXP, _MANY, 1),
    "LOG": each(Opcode.LOG, _MANY, 1),
    "ERF": each(Opcode.ERF, _MANY, 1),
    "TANH": each(Opcode.TANH, _MANY, 1),
    "SIGMOID": each(Opcode.SIGMOID, _MANY, 1),
    "SOFTPLUS": each(Opcode.SOFTPLUS, _MANY, 1),
    "REDUCE_MAX of 256": over(Opcode.REDUCE_MAX, 4000, 256),
    "ARGMAX of 256": over(Opcode.ARGMAX, 4000, 256),
    "TOPK 5 of 256": over(Opcode.TOPK_VALUE, 4000, 256),
    "GATHER": gather,
    "TREE depth 6": trees,
    "QUANTIZE": quantised(Opcode.QUANTIZE),
    "DEQUANTIZE": quantised(Opcode.DEQUANTIZE),
    "INTEGER_DOT K=512": quantised(Opcode.INTEGER_DOT),
    "QUANTIZED_DOT K=512": quantised(Opcode.QUANTIZED_DOT),
}


def run_time(rng: np.random.Generator, node: Node) -> float:
    """Seconds of one run of the node in onnxruntime."""
    fed = [
        helper.make_tensor_value_info(f"x{n}", TensorProto.FLOAT, shape)
        for n, shape in enumerate(node.fed)
    ]
    weights = [
        numpy_helper.from_array(normal(rng, *shape), f"w{n}")
        for n, shape in enumerate(node.weights)
    ]
    names = [entry.name for entry in (*fed, *weights)]
    made = helper.make_node(node.operator, names, ["y"], **node.attributes)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([made], "node", fed, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {f"x{n}": normal(rng, *shape) for n, shape in enumerate(node.fed)}
    return min(_timed(lambda: session.run(None, feeds)) for _ in range(10))


def main() -> None:
    tier = Tier[sys.argv[1].upper()] if len(sys.argv) > 1 else Tier.ROUNDED
    rng = np.random.default_rng(1)
    print(
        f"{tier.name:26}{'elements':>10}{'seconds':>9}{'elements/s':>12}{'judged':>7}{'x run':>7}"
    )
    for name, make in CASES.items():
        made = Builder(tier)
        node = make(rng, made)
        program = made.program()
        run = evaluate(program, None, made.rows())
        report = check_trace(program, run)
        assert report.honest, report.first
        seconds = min(_timed(lambda p=program, r=run: check_trace(p, r)) for _ in range(5))
        factor = f"{seconds / run_time(rng, node):7.1f}" if node else ""
        print(
            f"{name:26}{report.elements:10}{seconds:9.4f}{report.elements / seconds:12.3g}"
            f"{report.judged:7}{factor}"
        )


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
