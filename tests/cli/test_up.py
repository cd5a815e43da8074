"""`oracle up`: what is started again and what is not, signals, a hung node; and a real one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from oracle.bootstrap.up import Keeper, Kept, Patience
from oracle.devnet.state import DevnetState
from oracle.errors import BEYOND_RESTARTING
from oracle.storage.heartbeat import HeartbeatFile
from tests.support.failures import thorough
from tests.support.world import PATIENCE_SECONDS, until

QUICK = Patience(first_pause=0.05, longest_pause=0.2, stop_seconds=20)

READY = """
import os, signal, socket, sys, time
def tell(text):
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
    heard.close()
"""


class Lives:
    """A child whose lives are told by a script each, the last one again and again."""

    def __init__(self, folder: Path, *scripts: str, patience: Patience = QUICK) -> None:
        self.folder, self.said = folder, list[str]()
        for number, text in enumerate(scripts):
            (folder / f"{number}.py").write_text(READY + text)
        choose = (
            "import pathlib, runpy, sys; folder = pathlib.Path(sys.argv[1]);"
            "log = folder / 'lives'; log.open('a').write('x');"
            f"number = min(len(log.read_text()), {len(scripts)}) - 1;"
            "runpy.run_path(str(folder / f'{number}.py'), run_name='__main__')"
        )
        command = [sys.executable, "-c", choose, str(folder)]
        self.keeper = Keeper(command, patience, self.said.append)

    async def keep(self) -> Kept:
        return await asyncio.wait_for(self.keeper.keep(), PATIENCE_SECONDS)

    async def until_said(self, text: str) -> None:
        async def said() -> bool:
            return any(text in one for one in self.said)

        await until(said)


async def test_what_dies_is_started_again_until_it_ends_in_order(tmp_path: Path) -> None:
    lives = Lives(tmp_path, "sys.exit(6)", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(0)")
    assert await lives.keep() == Kept(exit_code=0, starts=3)
    told = "\n".join(lives.said)
    assert "the node ended with 6; it is started again in 0.05 s" in told
    assert "the node ended with 137; it is started again in 0.1 s" in told


@pytest.mark.parametrize("code", sorted(BEYOND_RESTARTING))
async def test_what_a_new_start_does_not_mend_ends_it(tmp_path: Path, code: int) -> None:
    lives = Lives(tmp_path, f"sys.exit({code})")
    assert await lives.keep() == Kept(exit_code=code, starts=1)
    assert "does not mend" in lives.said[-1]


def test_pauses_grow_up_to_the_longest() -> None:
    pauses = iter(Patience().pauses())
    assert [next(pauses) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_node_that_ran_for_long_begins_with_the_first_pause_again(tmp_path: Path) -> None:
    patient = Patience(first_pause=0.05, longest_pause=1, steady_seconds=0)
    lives = Lives(tmp_path, "sys.exit(1)", "sys.exit(1)", "sys.exit(0)", patience=patient)
    assert (await lives.keep()).starts == 3
    assert [one for one in lives.said if "again in" in one][-1].endswith("in 0.05 s")


WAITS = """
got = []
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda n, _: got.append(signal.Signals(n).name))
tell("READY=1\\nSTATUS=serving")
while not {"SIGTERM", "SIGINT"} & set(got):
    time.sleep(0.01)
(__import__("pathlib").Path(__file__).parent / "got").write_text(" ".join(got))
tell("STOPPING=1\\nSTATUS=draining")
sys.exit(9)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_are_passed_on_and_its_exit_code_is_ours(
    tmp_path: Path, number: signal.Signals
) -> None:
    lives = Lives(tmp_path, WAITS)
    keeping = asyncio.create_task(lives.keep())
    await lives.until_said("ready: serving")
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.sleep(0)
    os.kill(os.getpid(), number)
    assert await keeping == Kept(exit_code=9, starts=1)
    assert set((tmp_path / "got").read_text().split()) == {"SIGHUP", number.name}


async def test_a_request_to_end_is_heard_between_two_lives(tmp_path: Path) -> None:
    lives = Lives(tmp_path, "sys.exit(6)", patience=Patience(first_pause=60))
    keeping = asyncio.create_task(lives.keep())
    await lives.until_said("again in 60 s")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await keeping == Kept(exit_code=6, starts=1)


DEAF = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tell("READY=1")
time.sleep(600)
"""


async def test_a_node_that_does_not_end_is_killed(tmp_path: Path) -> None:
    lives = Lives(tmp_path, DEAF, patience=Patience(stop_seconds=0.1))
    keeping = asyncio.create_task(lives.keep())
    await lives.until_said("ready")
    os.kill(os.getpid(), signal.SIGTERM)
    assert (await keeping).exit_code == 137


async def test_a_node_that_ceases_to_report_is_killed_and_started_again(tmp_path: Path) -> None:
    hung = Patience(first_pause=0.05, watchdog_seconds=0.2)
    lives = Lives(tmp_path, DEAF, "sys.exit(0)", patience=hung)
    assert await lives.keep() == Kept(exit_code=0, starts=2)
    assert any("does not say that it lives" in one for one in lives.said)


# ---- a real node


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`oracle up` as a person calls it; what it leaves behind is ended."""
    environment = {name: value for name, value in os.environ.items() if "ORACLE_C" not in name}
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "oracle", "up", "--json", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
        state = DevnetState.load(folder / ".oracle" / "devnet")
        if state is not None:
            state.stop(folder / ".oracle" / "devnet")


@thorough
@pytest.mark.anvil
async def test_in_an_empty_folder_it_brings_a_devnet_and_keeps_a_node_on_it(tmp_path: Path) -> None:
    beat = HeartbeatFile(tmp_path / ".oracle" / "node.json")
    lives: list[int] = []

    async def another_life() -> bool:
        assert process.poll() is None, (tmp_path / "up.log").read_text()
        found = beat.read()
        if found is None or found.process_id in lives or not psutil.pid_exists(found.process_id):
            return False
        lives.append(found.process_id)
        return True

    with running(tmp_path) as process:
        await until(another_life)
        state = DevnetState.load(tmp_path / ".oracle" / "devnet")
        assert state is not None
        assert state.running
        os.kill(lives[0], signal.SIGKILL)
        await until(another_life)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, (tmp_path / "up.log").read_text()
    assert json.loads(out) == {"exit_code": 0, "starts": 2}
    assert not state.running
    log = (tmp_path / "up.log").read_text()
    assert "up: the node ended with 137; it is started again in 1 s" in log
    assert "up: the node is ready: serving" in log


async def test_settings_that_are_no_good_end_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").write_text('rpc_url = "http://127.0.0.1:1"\n')
    with running(tmp_path) as process:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 4
    assert json.loads(out) == {"exit_code": 4, "starts": 1}
    assert "settings name no operator" in (tmp_path / "up.log").read_text()


async def test_a_devnet_beside_another_chain_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").write_text('rpc_url = "http://127.0.0.1:1"\n')
    with running(tmp_path, "--with-devnet") as process:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (3, "")
    assert "settings name a chain" in (tmp_path / "up.log").read_text()
    assert not (tmp_path / ".oracle").exists()
