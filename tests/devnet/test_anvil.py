"""The process: started, found, ended, and never somebody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from oracle.chain.rpc import Rpc
from oracle.devnet.anvil import ANVIL_VARIABLE, Anvil, AnvilOptions, find_anvil
from oracle.devnet.state import STATE_FILE, DevnetState
from oracle.errors import ConfigurationError
from tests.support.anvil import own_chain, random_chain_id
from tests.support.world import PATIENCE_SECONDS, until

pytestmark = pytest.mark.anvil


def gone(pid: int, seconds: float = PATIENCE_SECONDS) -> bool:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


async def test_options_reach_the_chain(tmp_path: Path) -> None:
    options = AnvilOptions(chain_id=random_chain_id(), gas_limit=25_000_000, slots_in_an_epoch=1)
    async with own_chain(tmp_path, options) as chain:
        assert chain.rpc.chain_id == options.chain_id
        head = await chain.rpc.request("eth_getBlockByNumber", ["latest", False])
        assert int(head["gasLimit"], 16) == 25_000_000
        await chain.mine(5)
        finalized = await chain.rpc.block("finalized")
        assert finalized is not None
        assert finalized.number > 0


async def test_mining_on_demand_and_by_the_clock(tmp_path: Path) -> None:
    options = AnvilOptions(chain_id=random_chain_id(), block_seconds=1)
    async with own_chain(tmp_path / "clock", options) as chain:

        async def mined() -> bool:
            return (await chain.head()).number > 0

        await until(mined)
    async with own_chain(tmp_path / "demand", AnvilOptions(block_seconds=0)) as chain:
        message = {"from": chain.sender(0).address, "to": chain.sender(1).address}
        await chain.rpc.request("eth_sendTransaction", [message])
        assert (await chain.head()).number == 0
        await chain.mine()
        assert (await chain.head()).number == 1


async def test_state_survives_stop_and_kill(tmp_path: Path) -> None:
    options = AnvilOptions(chain_id=random_chain_id(), state_file=tmp_path / "state.json")
    async with own_chain(tmp_path, options) as chain:
        await chain.mine(3)
        before = await chain.head()
        chain.restart()
        assert await chain.head() == before
        await chain.mine()
        later = await chain.head()

        async def written() -> bool:
            return later.number == _written(tmp_path / "state.json")

        await until(written)
        chain.kill()
        chain.restart()
        assert await chain.head() == later


def _written(state_file: Path) -> int | None:
    """The head in a state file; None while it is being written."""
    try:
        return int(json.loads(state_file.read_text())["block"]["number"], 16)
    except ValueError:
        return None


def test_no_anvil(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ANVIL_VARIABLE, str(tmp_path / "anvil"))
    with pytest.raises(ConfigurationError, match="no program") as missing:
        Anvil.start(AnvilOptions(), tmp_path / "anvil.log")
    assert missing.value.hint is not None
    assert "npm ci" in missing.value.hint


def test_the_native_program_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ANVIL_VARIABLE, raising=False)
    assert find_anvil().suffix != ".mjs"
    monkeypatch.setenv(ANVIL_VARIABLE, str(find_anvil()))
    assert find_anvil().exists()


def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    first = Anvil.start(AnvilOptions(), tmp_path / "first.log")
    try:
        with pytest.raises(ConfigurationError, match=f"port {first.port} is taken") as refused:
            Anvil.start(AnvilOptions(port=first.port), tmp_path / "second.log")
        assert refused.value.hint == "give another --port, or none for a free one"
    finally:
        first.kill()
    assert not first.running


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from oracle.devnet.anvil import Anvil, AnvilOptions
        print(Anvil.start(AnvilOptions(), Path(sys.argv[1])).pid, flush=True)
        time.sleep(600)
        """
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "anvil.log")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(pid)


async def test_remembered_and_ended(tmp_path: Path) -> None:
    anvil = Anvil.start(AnvilOptions(chain_id=random_chain_id()), tmp_path / "anvil.log")
    assert DevnetState.load(tmp_path) is None
    DevnetState.of(anvil, tmp_path / "anvil.log").save(tmp_path)
    state = DevnetState.load(tmp_path)
    assert state is not None
    assert state.running
    async with await Rpc.connect(state.url, chain_id=state.chain_id):
        pass
    assert state.stop(tmp_path)
    assert gone(anvil.pid)
    assert not state.stop(tmp_path)
    assert DevnetState.load(tmp_path) is None
    anvil.kill()


def test_a_suspended_devnet_is_ended_too(tmp_path: Path) -> None:
    anvil = Anvil.start(AnvilOptions(), tmp_path / "anvil.log")
    anvil.suspend()
    assert DevnetState.of(anvil, tmp_path / "anvil.log").stop(tmp_path)
    assert gone(anvil.pid)
    anvil.kill()


def test_another_process_is_never_ended(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "600"])
    try:
        made = psutil.Process(other.pid).create_time()
        for created_at in (made, made - 1_000):
            state = DevnetState(other.pid, created_at, 1, 1, "")
            assert not state.running
            assert not state.stop(tmp_path)
        assert other.poll() is None
        ours = DevnetState(os.getpid(), psutil.Process().create_time(), 1, 1, "")
        assert not ours.running
    finally:
        other.kill()
        other.wait()


def test_a_damaged_state_file(tmp_path: Path) -> None:
    for text in ("", "{}", "[]", '{"pid": "x"}'):
        (tmp_path / STATE_FILE).write_text(text)
        with pytest.raises(ConfigurationError, match="damaged"):
            DevnetState.load(tmp_path)
