"""What an operator is told before its node serves: gas, models for its offers, a second node."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from oracle.bootstrap.model_fetch import fetch_model
from oracle.bootstrap.node import open_node
from oracle.bootstrap.readiness import COMFORTABLE_ANSWERS, lacks, signer_gas
from oracle.client.trace_reader import TraceReader
from oracle.core.operator import Offer
from oracle.core.types import Address, Tier
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import NotFound, StorageError
from oracle.inference.model_library import ModelLibrary
from tests.support.world import DIGITS, OPG, World, until


async def test_a_second_node_on_one_data_directory_is_refused_before_anything_else(
    world: World,
) -> None:
    async with world.node():
        # Even where nothing else would do: the claim comes first.
        broken = world.settings.model_copy(update={"signer_keystore": None})
        with pytest.raises(StorageError, match="a node runs on the data directory"):
            async with open_node(broken, world.operator):
                pass
    async with world.node():
        pass


async def test_a_node_that_has_all_it_needs_is_not_warned(world: World) -> None:
    signer = signer_of(Person.SIGNER).address
    library = ModelLibrary(world.settings.model_store)
    args = (world.deployment, world.operator, signer, library)
    assert await lacks(world.chain.rpc, *args) == []


async def test_a_signer_without_gas_is_named_with_what_to_send(world: World) -> None:
    signer = signer_of(Person.SIGNER).address
    await world.chain.set_balance(signer, 0)

    async def said() -> list[MutableMapping[str, Any]]:
        return [one for one in logs if one.get("kind") == "gas"]

    with capture_logs() as logs:
        async with world.node():
            (warned,) = await until(said)
    assert warned["log_level"] == "warning"
    assert signer in warned["event"]
    assert signer in warned["next"]
    gas = await signer_gas(world.chain.rpc, signer)
    assert gas.answers == 0
    await world.chain.set_balance(signer, gas.suggested_wei)
    assert (await signer_gas(world.chain.rpc, signer)).answers >= COMFORTABLE_ANSWERS * 9 // 10


async def test_an_offer_without_its_model_is_named_and_the_model_fetched_from_a_peer(
    world: World, tmp_path: Path
) -> None:
    model = await world.client.model(DIGITS)
    signer = signer_of(Person.SIGNER).address
    here = ModelLibrary(tmp_path / "empty")

    async def missing() -> set[str]:
        args = (world.deployment, world.operator, signer, here)
        found = await lacks(world.chain.rpc, *args)
        assert {one.kind for one in found} == {"model"}
        return {one.next_step for one in found}

    fetch = f"oracle model fetch 0x{model.id.hex()}"
    assert fetch in await missing()
    with pytest.raises(NotFound, match=f"nobody serves the file of {DIGITS}"):
        await fetch_model(world.client, here, model)
    async with world.node() as node:
        served = node._serving
        assert served is not None
        owner = world.chain.sender(Person.OWNER)
        staking = world.contracts.staking
        await owner.send(staking.address, staking.set_endpoint_data(served))
        fetched = await fetch_model(world.client, here, model)
        assert fetched.source == f"the endpoint {served}"
        assert here.has(model.terms.program_root)
        assert fetch not in await missing()
        assert (await fetch_model(world.client, here, model)).source is None


async def test_what_is_served_under_a_wrong_root_is_not_kept(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await world.client.model(DIGITS)
    here = ModelLibrary(tmp_path / "empty")
    async with world.node() as node:
        assert node._serving is not None
        library = ModelLibrary(world.settings.model_store)
        (other, *_) = set(library.programs()) - {model.terms.program_root}
        cheat = library.read_program(other)

        async def another(self: TraceReader, root: bytes, *, max_bytes: int = 0) -> bytes:
            return cheat

        monkeypatch.setattr(TraceReader, "program_file", another)
        with pytest.raises(NotFound, match=f"serves 0x{other.hex()} as 0x"):
            await fetch_model(world.client, here, model, node._serving)
    assert here.programs() == []
    assert model.terms.tier is not Tier.UNPROVEN


async def test_an_offer_for_what_was_never_registered_is_named(world: World) -> None:
    owner = world.chain.sender(Person.OWNER)
    staking = world.contracts.staking
    ghost = b"\x0e" * 32
    terms = Offer(OPG, OPG, 1, 30, 60, 0)
    await owner.send(staking.address, staking.set_offer_data(ghost, terms))
    library = ModelLibrary(world.settings.model_store)
    signer = Address(signer_of(Person.SIGNER).address)
    (found,) = await lacks(world.chain.rpc, world.deployment, world.operator, signer, library)
    assert "0x" + ghost.hex() in found.what
    assert "--capacity 0" in found.next_step
