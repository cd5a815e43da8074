"""A request has no more rows than its trace allows, unless somebody says otherwise."""

from __future__ import annotations

import pytest

from oracle.errors import ModelFileError
from oracle.program.compile import compile_model, load_program
from oracle.program.encoding import program_root
from oracle.program.most_rows import FULL_TRACE_BYTES, choose_most_rows
from tests.program.models import SAMPLES


@pytest.mark.parametrize(
    ("row_bytes", "rows"),
    [
        (0, 1_024),
        (64 << 10, 1_024),
        ((64 << 10) + 1, 1_023),
        (1_686_560, 39),
        (64 << 20, 1),
        ((64 << 20) + 1, 1),
    ],
)
def test_the_rule(row_bytes: int, rows: int) -> None:
    assert choose_most_rows(row_bytes) == rows


def test_a_large_trace_makes_for_few_rows_in_file_schema_and_root() -> None:
    source = (SAMPLES / "digits-encoder.onnx").read_bytes()
    compiled = compile_model(source)
    most = compiled.schema.max_batch
    assert most == compiled.program.max_rows == load_program(compiled.file).max_rows == 39
    assert most * compiled.program.row_trace_bytes <= FULL_TRACE_BYTES
    wished = compile_model(source, max_batch=1_024)
    assert wished.schema.max_batch == load_program(wished.file).max_rows == 1_024
    assert program_root(wished.program) != program_root(compiled.program)
    same = compile_model(source, max_batch=39)
    assert same.file == compiled.file, "chosen or wished: the same program"


def test_a_small_trace_leaves_the_usual_number_and_a_wish_its_own() -> None:
    source = (SAMPLES / "digits-mlp.onnx").read_bytes()
    assert compile_model(source).schema.max_batch == 1_024
    assert compile_model(source, max_batch=7).program.max_rows == 7
    with pytest.raises(ModelFileError, match="max_batch"):
        compile_model(source, max_batch=0)
