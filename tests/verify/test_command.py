"""`oracle verify` and `oracle receipt` as a person types them, on a real chain."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oracle.cli.main import app
from oracle.inference.model_library import ModelLibrary
from oracle.verify.trace_file import write_trace
from tests.support.scene import Scene
from tests.verify.support import compiled, digits, honest, play, source


@dataclass(frozen=True)
class Command:
    """The command line with the settings of one folder."""

    folder: Path

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        config = str(self.folder / "oracle.toml")
        result = await asyncio.to_thread(CliRunner().invoke, app, ["--config", config, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    async def json(self, exit_code: int, *arguments: str) -> dict[str, Any]:
        code, out, err = await self.run(*arguments, "--json")
        assert code == exit_code, out + err
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def command(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in [one for one in os.environ if one.startswith("ORACLE_") and one != "ORACLE_ANVIL"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    deployment = tmp_path / "deployment.json"
    deployment.write_text(scene.contracts.deployment.to_json())
    lines = {
        "data_dir": tmp_path / "data",
        "rpc_url": scene.chain.url,
        "deployment": deployment,
        "provider": "cpu",
    }
    text = "".join(f"{name} = {json.dumps(str(value))}\n" for name, value in lines.items())
    (tmp_path / "oracle.toml").write_text(text)
    ModelLibrary(tmp_path / "data" / "models").add_program(compiled().file)
    return Command(tmp_path)


async def test_a_request_is_verified_and_its_receipt_kept(scene: Scene, command: Command) -> None:
    one = await play(scene)
    request = "0x" + one.request_id.hex()
    code, out, err = await command.run("verify", request)
    assert code == 0, out + err
    assert out.count("✓") >= 12
    assert "✗" not in out
    assert out.rstrip().endswith("verified: everything that there is to check holds")

    file = command.folder / "receipt.json"
    code, out, err = await command.run("receipt", request, "--save", str(file))
    assert code == 0, err
    assert f"oracle verify {file}" in out
    facts = await command.json(0, "verify", str(file))
    assert facts["verdict"] == "verified"
    assert [step["step"] for step in facts["steps"]] == [
        "request", "receipt", "binding", "model", "trace", "run", "settlement",
    ]  # fmt: skip
    offline = await command.json(22, "verify", str(file), "--offline")
    assert offline["verdict"] == "not checked"


async def test_files_can_be_named(scene: Scene, command: Command) -> None:
    one = await play(scene)
    assert one.trace is not None
    paths = {name: command.folder / name for name in ("model", "source", "trace", "receipt")}
    paths["model"].write_bytes(compiled().file)
    paths["source"].write_bytes(source())
    paths["trace"].write_bytes(write_trace(one.trace))
    paths["receipt"].write_text(one.saved.to_json())
    options = [
        part for name in ("model", "source", "trace") for part in (f"--{name}", str(paths[name]))
    ]
    code, out, err = await command.run("verify", str(paths["receipt"]), *options, "--no-run")
    assert code == 22, out + err
    assert f"the trace from {paths['trace']}" in out
    assert "compiling the source here gives the same" in out
    assert "no violated element" in out
    paths["trace"].write_bytes(write_trace(honest(digits(first=9))[2]))
    code, out, _ = await command.run("verify", str(paths["receipt"]), *options)
    assert code == 21
    assert "gives another trace" in out


async def test_an_operator_is_found_by_the_endpoint_it_announced(
    scene: Scene, command: Command
) -> None:
    one = await play(scene)
    staking = scene.contracts.staking
    await scene.owner.send(staking.address, staking.set_endpoint_data("http://127.0.0.1:1"))
    facts = await command.json(22, "verify", "0x" + one.request_id.hex(), "--no-run")
    texts = [found["text"] for step in facts["steps"] for found in step["findings"]]
    assert any("the endpoint http://127.0.0.1:1 does not give it" in text for text in texts)


async def test_wrong_answers_and_forged_receipts_have_exit_codes_of_their_own(
    scene: Scene, command: Command
) -> None:
    one = await play(scene, result=b"")
    facts = await command.json(20, "verify", "0x" + one.request_id.hex())
    assert facts["verdict"] == "wrong answer"
    file = command.folder / "forged.json"
    file.write_text(one.saved.to_json().replace('"value_at_risk": 0', '"value_at_risk": 1'))
    facts = await command.json(21, "verify", str(file))
    assert facts["verdict"] == "not as claimed"


async def test_what_is_neither_an_id_nor_a_receipt_is_refused(
    scene: Scene, command: Command
) -> None:
    nothing = command.folder / "nothing"
    nothing.write_bytes(b"\xff")
    for arguments, code, words in (
        (("verify", "0x1234"), 3, "is not a request id"),
        (("verify", str(nothing)), 3, "is not a saved receipt"),
        (("verify", "0x" + "0f" * 32), 7, "has no request"),
        (("verify", "0x" + "0f" * 32, "--offline"), 4, "nothing without a chain"),
        (("receipt", "0x" + "0f" * 32, "--save", "x"), 7, "has no request"),
    ):
        found, out, err = await command.run(*arguments)
        assert (found, out) == (code, ""), err
        assert words in err
    asked = await scene.request()
    found, _, err = await command.run("receipt", "0x" + asked.request_id.hex(), "--save", "x")
    assert (found, "no answer" in err) == (8, True)


async def test_without_a_chain_a_receipt_still_says_what_it_can(
    scene: Scene, command: Command
) -> None:
    one = await play(scene)
    file = command.folder / "receipt.json"
    file.write_text(one.saved.to_json())
    for url in ("http://127.0.0.1:1", ""):
        settings = (command.folder / "oracle.toml").read_text()
        line = next(line for line in settings.splitlines() if line.startswith("rpc_url"))
        changed = f'rpc_url = "{url}"' if url else ""
        (command.folder / "oracle.toml").write_text(settings.replace(line, changed))
        facts = await command.json(22, "verify", str(file))
        texts = [found["text"] for step in facts["steps"] for found in step["findings"]]
        assert any("the chain is not to be had" in text for text in texts)
        (command.folder / "oracle.toml").write_text(settings)
