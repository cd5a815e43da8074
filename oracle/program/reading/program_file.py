"""Reads a program file: its metadata, and every node by its rule, or the file is refused.

Responsible for what a file says beside its nodes (tier, leaf size, most rows, source, layouts), and
for the interface of the program. Its tables are made by `reader`.
"""

from __future__ import annotations

from typing import Final

import onnx

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.instruction import Program
from oracle.program.reading.reader import Layouts, Reading, rule_for

SHA256_BYTES: Final = 32


def read_program(model: onnx.ModelProto, *, layouts: Layouts | None = None) -> Program:
    """The instructions of a program file.

    `layouts` says in which order of axes tensors are committed, by name; what it leaves out is
    row-major. Without it, they are read from the file's own metadata.

    Raises:
        ProgramError: the file is not in the dialect, or a node has no rule.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        tier = Tier(int(metadata["oracle.tier"]))
        leaf_bytes = int(metadata["oracle.leaf_bytes"])
        source = bytes.fromhex(metadata["oracle.source_sha256"])
        max_rows = int(metadata["oracle.max_rows"])
        if layouts is None:
            layouts = _parse_layouts(metadata.get("oracle.layouts", ""))
    except (KeyError, ValueError) as error:
        raise ProgramError(f"the file is not a program: its metadata lacks {error}") from error
    if tier is Tier.UNPROVEN or leaf_bytes < 1 or max_rows < 1 or len(source) != SHA256_BYTES:
        raise ProgramError("the file is not a program: its metadata is out of range")
    reading = Reading(model, tier, layouts)
    output_names = [entry.name for entry in model.graph.output]
    for node in model.graph.node:
        try:
            rule_for(node)(reading, node)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ProgramError(
                f"{node.op_type} ({node.output[:1]}) is malformed: {error}"
            ) from error
    by_name = {info.name: number for number, info in enumerate(reading.tensors)}
    missing = [name for name in output_names if name not in by_name]
    if missing:
        raise ProgramError(f"outputs are not committed: {missing}")
    for name in (*(entry.name for entry in model.graph.input), *output_names):
        layout = reading.tensors[by_name[name]].layout
        if layout != tuple(range(len(layout))):
            raise ProgramError(f"{name!r} is not committed in row-major order")
    return Program(
        tier=tier,
        leaf_bytes=leaf_bytes,
        source_sha256=source,
        tensors=tuple(reading.tensors),
        constants=tuple(reading.constants),
        constant_values=tuple(reading.constant_values),
        instructions=tuple(reading.instructions),
        inputs=tuple(range(len(model.graph.input))),
        outputs=tuple(by_name[name] for name in output_names),
        max_rows=max_rows,
    )


def write_layouts(layouts: Layouts) -> str:
    """The metadata text of layouts: `name=1,0;...`, sorted; names are hex of UTF-8."""
    return ";".join(
        f"{name.encode().hex()}={','.join(map(str, layout))}"
        for name, layout in sorted(layouts.items())
    )


def _parse_layouts(text: str) -> dict[str, tuple[int, ...]]:
    entries = [entry.partition("=") for entry in text.split(";") if entry]
    return {
        bytes.fromhex(name).decode(): tuple(int(axis) for axis in axes.split(","))
        for name, _, axes in entries
    }
