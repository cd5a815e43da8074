"""Everything but the chain from an operator's own server: its trace, and its program."""

from __future__ import annotations

from pathlib import Path

from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.serving import open_serving
from oracle.bootstrap.verify import Options, verify_answer
from oracle.inference.model_library import ModelLibrary
from oracle.ports.inference import CommittedTrace
from oracle.ports.traces import TraceToKeep
from oracle.settings import Settings
from oracle.verify.report import Name, Verdict
from tests.support.scene import Scene
from tests.verify.support import committed, compiled, play, root, said
from tests.web.serving import Receipts


async def test_trace_and_program_come_from_the_announced_endpoint(
    scene: Scene, tmp_path: Path
) -> None:
    one = await play(scene)
    assert one.trace is not None
    operators = Settings.model_construct(data_dir=tmp_path / "operator")
    library = ModelLibrary(operators.model_store)
    library.add_program(compiled().file)
    deployment = tmp_path / "deployment.json"
    deployment.write_text(scene.contracts.deployment.to_json())
    readers = Settings.model_construct(
        data_dir=tmp_path / "reader",
        rpc_url=scene.chain.url,
        deployment=deployment,
        provider="cpu",
    )
    async with open_serving(operators, library, SystemClock(), Receipts()) as serving:
        assert serving.address is not None
        kept = CommittedTrace(committed(one.trace), root(), one.trace)
        await serving.traces.save([TraceToKeep(one.request_id, kept)])
        staking = scene.contracts.staking
        await scene.owner.send(staking.address, staking.set_endpoint_data(serving.address))
        for run in (True, False):
            report = await verify_answer(readers, one.request_id, Options(run=run))
            where = f"from the endpoint {serving.address}"
            assert f"the program {where} has the registered" in said(report, Name.MODEL)
            assert f"the trace {where}" in said(report, Name.TRACE)
            assert serving.address in said(report, Name.RECEIPT)
            wanted = Verdict.VERIFIED if run else Verdict.NOT_CHECKED
            assert report.verdict is wanted, report.text()
    gone = await verify_answer(readers, one.request_id, Options())
    assert gone.verdict is Verdict.NOT_CHECKED
    assert "not at hand" in said(gone, Name.MODEL)
