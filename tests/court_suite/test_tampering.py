"""Sample models' traces, tampered with in every way: found, and named at the right place."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from oracle.core.conversion import Array
from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.commitment import commit
from oracle.errors import TensorError, TraceError
from oracle.program.instruction import Trace
from oracle.program.opcode import Opcode
from oracle.verify.trace_file import read_trace, write_trace
from tests.court_check.test_check import convicted
from tests.court_suite.forging import Tally, accuse
from tests.court_suite.sample_runs import (
    ROWS,
    Sample,
    constant_readers,
    held_out,
    initializer,
    input_bytes,
    opened,
    readers,
    sample,
    traced,
    with_initializer,
)

NAMES = ("digits-mlp", "digits-lenet", "digits-lenet-int8", "digits-logistic", "wine-xgboost")
FLIPS = 300


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
@pytest.mark.parametrize("name", NAMES)
def test_a_false_element_is_convicted(name: str, tier: Tier) -> None:
    made, tallies = sample(name, tier), dict[Opcode, Tally]()
    assert check_trace(made.program, made.trace).honest
    for row in made.trace.rows:
        assert list(accuse(made.program, row, tallies)) == []
    assert all(tally.undefined == 0 < tally.convicted for tally in tallies.values())
    assert name != "wine-xgboost" or Opcode.TREE in tallies


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_found_or_within_the_bound(name: str) -> None:
    made = sample(name)
    data = write_trace(made.trace)
    generator = np.random.default_rng(5)
    honest = commit(made.program, made.root, made.trace).trace_root
    found = accepted = 0
    for offset in places(made, generator):
        bit = int(generator.integers(8))
        forged = bytearray(data)
        forged[offset] ^= 1 << bit
        row, tensor, place = whose(made, offset)
        trace = read_trace(made.program, bytes(forged), ROWS)
        assert commit(made.program, made.root, trace).trace_root != honest
        info = made.program.tensors[tensor]
        if tensor in made.program.inputs:
            assert input_bytes(made.program, trace) != made.inputs[info.name].tobytes()
        first = check_trace(made.program, trace).first
        if first is None:
            accepted += tensor not in made.program.inputs
            assert convicted(made.program, trace.rows[row], tensor) == []
            if tensor not in made.program.inputs:
                assert near(made.trace.rows[row][tensor], trace.rows[row][tensor], place)
            continue
        found += 1
        assert first.row == row
        producer = made.program.producer.get(tensor)
        if first.instruction == producer:
            assert (first.tensor, first.position) == (info.name, place)
        else:
            assert first.instruction in readers(made.program, tensor)
    print(name, found, "found,", accepted, "within the bound")
    assert found > 10 * accepted
    assert found > FLIPS // 2


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_sign_or_exponent_is_named(name: str) -> None:
    made = sample(name)
    for number, step in enumerate(made.program.instructions):
        info = made.program.tensors[step.output]
        values = made.trace.rows[1][step.output]
        if info.element is not ElementType.FLOAT32 or not values.any():
            continue
        place = int(np.abs(values).argmax())
        for bit in range(23, 32):
            forged = values.copy()
            forged.view("<u4")[place] ^= np.uint32(1 << bit)
            first = check_trace(made.program, replaced(made.trace, 1, step.output, forged)).first
            assert first is not None
            assert (first.row, first.instruction, first.position) == (1, number, place)
            assert first.tensor == info.name


@pytest.mark.parametrize("name", NAMES)
def test_a_nan_is_named(name: str) -> None:
    made = sample(name)
    for number, step in enumerate(made.program.instructions):
        info = made.program.tensors[step.output]
        if not info.element.is_float:
            continue
        first = check_trace(made.program, with_value(made, 1, step.output, -1, np.nan)).first
        assert first is not None
        assert (first.row, first.instruction, first.tensor) == (1, number, info.name)
        assert first.position == step.size - 1


@pytest.mark.parametrize("name", [name for name in NAMES if name != "wine-xgboost"])
def test_another_weight_is_another_program_and_is_convicted(name: str) -> None:
    made = sample(name)
    for number, info in enumerate(made.program.constants):
        old = initializer(made.compiled.file, info.name)
        file = with_initializer(made.compiled.file, info.name, changed(old))
        other = opened(made.compiled, file)
        assert other.root != made.root, info.name
        trace = traced(other, made.inputs)
        assert check_trace(other.program, trace).honest, info.name
        signed = commit(other.program, other.root, trace).trace_root
        assert commit(made.program, made.root, trace).trace_root != signed, info.name
        first = check_trace(made.program, trace).first
        if write_trace(trace) == write_trace(made.trace):
            # A threshold, say: its other value changes nothing, so there is nothing to convict.
            assert first is None, info.name
            assert old.size == 1, info.name
        else:
            assert first is not None, info.name
            assert first.instruction in constant_readers(made.program, number), info.name


@pytest.mark.parametrize("attribute", ["target_weights", "nodes_values"])
def test_another_tree_is_convicted(attribute: str) -> None:
    made = sample("wine-xgboost")
    model = onnx.load_model_from_string(made.compiled.file)
    (node,) = [entry for entry in model.graph.node if entry.op_type.startswith("TreeEnsemble")]
    (values,) = [entry for entry in node.attribute if entry.name == attribute]
    values.floats[:] = [number * 1.5 for number in values.floats]
    other = opened(made.compiled, model.SerializeToString())
    assert other.root != made.root
    trace = traced(other, made.inputs)
    assert check_trace(other.program, trace).honest
    first = check_trace(made.program, trace).first
    assert first is not None
    assert first.opcode is Opcode.TREE


@pytest.mark.parametrize("name", NAMES)
def test_another_input_is_told_by_its_tensor(name: str) -> None:
    made = sample(name)
    wanted = b"".join(values.tobytes() for values in made.inputs.values())
    assert input_bytes(made.program, made.trace) == wanted
    trace = traced(made.loaded, held_out(made.loaded, name, range(7, 7 + ROWS)))
    assert check_trace(made.program, trace).honest
    assert input_bytes(made.program, trace) != wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_of_another_size_or_type_is_named(name: str) -> None:
    made = sample(name)
    for tensor, info in enumerate(made.program.tensors):
        values = made.trace.rows[1][tensor]
        wider = values.astype(np.float64 if info.element.is_float else np.complex64)
        for wrong in (values[:-1], np.append(values, values[:1]), wider, values.reshape(1, -1)):
            trace = replaced(made.trace, 1, tensor, wrong)
            with pytest.raises(TensorError) as found:
                check_trace(made.program, trace)
            assert f"row 1: tensor {info.name!r}" in found.value.message
            with pytest.raises(TraceError) as refused:
                commit(made.program, made.root, trace)
            assert f"row 1: tensor {info.name!r}" in refused.value.message


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_trace_is_refused_by_its_sizes(name: str) -> None:
    made = sample(name)
    data = write_trace(made.trace)
    for wrong in (data[:-1], data + b"\0", data[: len(data) // ROWS], b""):
        with pytest.raises(TraceError) as found:
            read_trace(made.program, wrong, ROWS)
        assert f"{len(wrong):,} bytes" in found.value.message
        assert f"{len(data):,}" in found.value.message
    same = read_trace(made.program, data, ROWS)
    assert commit(made.program, made.root, same).trace_root == (
        commit(made.program, made.root, made.trace).trace_root
    )


def test_a_cheaper_model_is_refused() -> None:
    made, cheap = sample("digits-mlp"), sample("digits-logistic").trace
    with pytest.raises(TensorError, match="17 tensors instead of 21"):
        check_trace(made.program, cheap)
    with pytest.raises(TraceError, match="17 tensors, the program has 21"):
        commit(made.program, made.root, cheap)
    with pytest.raises(TraceError, match="bytes; a trace of 2 rows"):
        read_trace(made.program, write_trace(cheap), ROWS)


def places(made: Sample, generator: np.random.Generator) -> list[int]:
    """Bytes of a trace: at random, and one of every tensor of the last row."""
    size = made.program.row_trace_bytes
    chosen = [int(offset) for offset in generator.integers(0, size * ROWS, FLIPS)]
    begin = size * (ROWS - 1)
    for info in made.program.tensors:
        chosen.append(begin + int(generator.integers(info.byte_count)))
        begin += info.byte_count
    return chosen


def whose(made: Sample, offset: int) -> tuple[int, int, int]:
    """The row, tensor and element that a byte of a trace belongs to."""
    row, left = divmod(offset, made.program.row_trace_bytes)
    for number, info in enumerate(made.program.tensors):
        if left < info.byte_count:
            return row, number, left // info.element.item_size
        left -= info.byte_count
    raise AssertionError(offset)


def near(honest: Array, forged: Array, place: int) -> bool:
    """Whether an accepted change is one of rounding: no sign, no exponent, no integer.

    What is far below the tensor's largest counts as zero: sums that cancel are bounded by what
    they sum.
    """
    if honest.dtype.kind != "f":
        return False
    before, after = float(honest[place]), float(forged[place])
    largest = float(np.abs(honest.astype(np.float64)).max())
    return abs(after - before) <= 2.0**-19 * abs(before) + 2.0**-40 * largest


def changed(values: Array) -> Array:
    """Every element moved by a little that tells."""
    moved = values * 1.25 + 2.0**-6 if values.dtype.kind == "f" else values ^ 5
    return np.asarray(moved, dtype=values.dtype)


def with_value(made: Sample, row: int, tensor: int, place: int, value: float) -> Trace:
    values = made.trace.rows[row][tensor].copy()
    values[place] = value
    return replaced(made.trace, row, tensor, values)


def replaced(trace: Trace, row: int, tensor: int, values: Array) -> Trace:
    """The trace with another tensor."""
    rows = [list(tensors) for tensors in trace.rows]
    rows[row][tensor] = values
    return Trace(tuple(tuple(tensors) for tensors in rows))
