"""What joins a node to its traces: settings, the sweep, programs from the library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from oracle.bootstrap.serving import open_serving
from oracle.errors import NotFound
from oracle.inference.model_library import ModelLibrary
from oracle.inference.published_programs import PublishedPrograms
from oracle.ports.inference import CommittedTrace
from oracle.ports.traces import TraceToKeep
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root
from oracle.program.leaf_size import choose_leaf_bytes
from oracle.program.manifest import ProgramManifest
from oracle.settings import Settings
from tests.web.serving import COMMITMENT, PROGRAM, REQUEST, ROOT, TRACE, Receipts, StoppedClock

MODEL = Path(__file__).parents[2] / "models" / "wine-forest.onnx"


async def test_programs_come_from_the_library(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path)
    programs = PublishedPrograms(library, remembered=1)
    for call in (programs.program, programs.file):
        with pytest.raises(NotFound, match="is not stored here"):
            await call(bytes(32))
    compiled = compile_model(MODEL.read_bytes())
    root = library.add_program(compiled.file)
    assert await programs.file(root) == compiled.file
    with pytest.raises(NotFound, match="has no manifest"):
        await programs.manifest(root)
    manifest = ProgramManifest.of(compiled, name=MODEL.name, certificate={"epsilon": 1e-6})
    library.add_manifest(manifest)
    library.add_manifest(replace(manifest, certificate=None))
    assert await programs.manifest(root) == manifest, "a certificate is not lost to none"
    loaded = await programs.program(root)
    assert program_root(loaded) == root
    assert await programs.program(root) is loaded
    assert choose_leaf_bytes(loaded.row_trace_bytes) == 256


async def test_a_node_serves_what_it_keeps_and_lets_go_of_the_port(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    library = ModelLibrary(settings.model_store)
    for _ in range(2):
        async with open_serving(settings, library, StoppedClock(), Receipts()) as serving:
            assert serving.address is not None
            assert serving.address.startswith("http://127.0.0.1:")
            committed = CommittedTrace(COMMITMENT.trace_root, ROOT, TRACE)
            await serving.traces.save([TraceToKeep(REQUEST, committed)])
            async with aiohttp.ClientSession(serving.address) as session:
                url = f"/traces/0x{COMMITMENT.trace_root.hex()}"
                async with session.get(url + "/data") as response:
                    assert len(await response.read()) == 3 * PROGRAM.row_trace_bytes
                async with session.get(url) as response:
                    assert response.status == 404, "its program is not here"
