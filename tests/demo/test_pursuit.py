"""The second act's two processes, for real: what is told of them is what the chain has."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.bootstrap.devnet import free_port, write_settings
from oracle.bootstrap.worker import Worker
from oracle.chain.gateway import Gateway
from oracle.core.event import AnswerVoided
from oracle.demo.findings import Findings, is_watching, read_findings
from oracle.demo.pursuit import WATCH, Pursuit
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import OracleError
from tests.support.failures import thorough
from tests.support.watching import announce_endpoint
from tests.support.world import World

CHEAT = "scripts.dishonest_operator"
WINDOW_SECONDS = 600


async def pursued(world: World, folder: Path) -> Pursuit:
    """Both processes on a chain whose clock runs."""
    await world.chain.rpc.request("evm_setIntervalMining", [1])
    port = free_port()
    await announce_endpoint(world, f"http://127.0.0.1:{port}")
    file = world.write_settings(serve_port=port)
    cheat = await Worker.start(file, world.settings.data_dir, program=(CHEAT,))
    file = write_settings(
        folder,
        world.operator,
        {"watcher": Person.WATCHER},
        serve_port=0,
        rpc_url=world.chain.url,
        deployment=world.settings.deployment_path,
    )
    return Pursuit(cheat, Worker.spawn(file, folder / "watch.log", program=WATCH), folder)


async def test_nothing_is_found_before_the_watcher_has_a_table(tmp_path: Path) -> None:
    assert await read_findings(tmp_path, bytes(32)) == Findings()
    assert not await is_watching(tmp_path)


@thorough
async def test_a_conviction_is_told_with_its_element_its_numbers_and_its_gas(
    world: World, tmp_path: Path
) -> None:
    gateway = Gateway(world.chain.rpc)
    watcher = signer_of(Person.WATCHER).address
    before = await gateway.balance(watcher)
    pursuit = await pursued(world, tmp_path / "watcher")
    said: list[str] = []
    try:
        await pursuit.ready()
        assert await is_watching(pursuit.watcher_folder)
        made = await world.ask(window=WINDOW_SECONDS)
        found = await pursuit.follow(world.client, made.id, said.append)
    finally:
        await pursuit.clear()
        await world.chain.rpc.request("evm_setIntervalMining", [0])
    voided = (await world.client.story(made.id)).find(AnswerVoided)
    assert voided is not None
    assert found.announcement is not None
    assert found.proof is not None
    assert found.proof.attempt_hash == voided.position.transaction_hash
    assert found.cost_wei == before - await gateway.balance(watcher)
    answered, place, numbers, announced, paid = said
    assert answered.startswith("second operator: answered")
    assert place.startswith("watcher: a number that cannot be: row 0, instruction")
    assert "element" in place
    assert numbers.startswith("watcher: claimed ")
    assert "exact " in numbers
    assert "bound " in numbers
    age = (await world.contracts.court.limits()).announcement_age
    assert f"means to show it {age} s later" in announced
    assert f"{found.announcement.gas_used:,} gas for the announcement" in paid
    assert f"{found.proof.gas_used:,} gas for the proof" in paid
    assert (await read_findings(pursuit.watcher_folder, bytes(32))).wrong == ""


async def test_a_process_that_ended_is_named_with_the_end_of_its_log(
    world: World, tmp_path: Path
) -> None:
    pursuit = await pursued(world, tmp_path / "watcher")
    try:
        await pursuit.watcher.stop()
        with pytest.raises(OracleError, match="the watcher ended") as ended:
            await pursuit.follow(world.client, bytes(32), print)
        assert "watch.log" in (ended.value.hint or "")
    finally:
        await pursuit.clear()
        await world.chain.rpc.request("evm_setIntervalMining", [0])
