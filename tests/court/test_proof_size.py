"""Which programs the court could not convict in one transaction, and that no sample is one."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from oracle.chain.proof_coder import encode_proof
from oracle.court.commitment import commit
from oracle.court.proof_size import LARGEST_PROOF_BYTES, largest_proof_bytes, require_provable
from oracle.court.proving import Prover
from oracle.errors import ProgramError
from oracle.program.compile import CompiledProgram, compile_model
from oracle.program.encoding import encode
from tests.court_suite.sample_runs import sample

SAMPLES = ("breast-cancer-gbt", "digits-mlp", "digits-lenet", "digits-lenet-int8", "digits-encoder")


def dense(width: int) -> CompiledProgram:
    """One sum of so many products."""
    weights = np.random.default_rng(width).normal(size=(width, 2)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return compile_model(model.SerializeToString())


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_can_be_proven_and_no_proof_is_larger_than_foretold(name: str) -> None:
    found = sample(name)
    program, encoded = found.program, encode(found.program)
    require_provable(program, encoded)
    prover = Prover(program, encoded, found.trace, commit(program, encoded.root, found.trace))
    for number, step in enumerate(program.instructions):
        foretold = largest_proof_bytes(program, step)
        if foretold:
            proof = encode_proof(prover.element(0, number, step.size // 2))
            # The record comes on top, with its path.
            assert len(proof) <= 1.2 * foretold + 2 * len(encoded.records[number + 1]) + 1_024


def test_a_row_of_8192_can_be_proven_and_one_of_20000_is_refused_by_name() -> None:
    program = dense(8_192).program
    require_provable(program, encode(program))
    program = dense(20_000).program
    with pytest.raises(ProgramError, match=r"DOT .*room for") as refused:
        require_provable(program, encode(program))
    assert str(LARGEST_PROOF_BYTES) in refused.value.message


def test_too_many_operands_are_refused() -> None:
    names = [f"x{number}" for number in range(1_025)]
    graph = helper.make_graph(
        [helper.make_node("Concat", names, ["y"], axis=1)],
        "wide",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", len(names)])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    program = compile_model(model.SerializeToString()).program
    with pytest.raises(ProgramError, match="1025 operands"):
        require_provable(program, encode(program))
