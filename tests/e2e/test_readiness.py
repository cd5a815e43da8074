"""What an operator is told before its node serves: gas, models for its offers, a second node."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from oracle.bootstrap.backup import restore
from oracle.bootstrap.devnet import standing_offer
from oracle.bootstrap.doctor import Doctor
from oracle.bootstrap.finding import CheckStatus, Finding
from oracle.bootstrap.model_fetch import fetch_model
from oracle.bootstrap.node import open_node
from oracle.bootstrap.readiness import COMFORTABLE_ANSWERS, fault_of, lacks, signer_gas
from oracle.chain.logs import LogScanner
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.wire import RawLog
from oracle.client import market
from oracle.client.trace_reader import TraceReader
from oracle.core.job import JobState
from oracle.core.model import ADD_AGAIN, Model
from oracle.core.operator import Offer
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Address, Tier, format_opg
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import register_model
from oracle.errors import ConfigurationError, NotFound, StorageError
from oracle.inference.model_library import ModelLibrary
from oracle.service.funds import GAS_OF_AN_ANSWER
from oracle.storage.heartbeat import HeartbeatFile
from tests.support.watching import free_port
from tests.support.world import DIGITS, OPG, World, digit, until

STRANGER = signer_of(Person.WATCHER).address


async def test_a_second_node_on_one_data_directory_is_refused_before_anything_else(
    world: World,
) -> None:
    async with world.node():
        # Even where nothing else would do: the claim comes first.
        broken = world.settings.model_copy(update={"signer_keystore": None})
        with pytest.raises(StorageError, match="a node runs on the data directory") as refused:
            async with open_node(broken, world.operator):
                pass
        assert "several workers" in (refused.value.hint or "")
        with pytest.raises(StorageError, match="a node runs on the data directory") as refused:
            restore(world.settings, world.settings.data_dir / "copy.sqlite")
        assert refused.value.hint == "end it first: `oracle node stop`"
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
    assert (gas.answers, gas.reveals, gas.enough) == (0, 0, False)
    await world.chain.set_balance(signer, gas.suggested_wei)
    gas = await signer_gas(world.chain.rpc, signer)
    assert gas.answers >= COMFORTABLE_ANSWERS * 9 // 10
    assert gas.enough
    await world.chain.set_balance(signer, 21 * GAS_OF_AN_ANSWER * gas.price_wei)
    poor = await signer_gas(world.chain.rpc, signer)
    assert (poor.reveals, poor.enough) == (0, False), "none is kept for a trace"
    assert poor.largest_answers == 0
    assert "or for 0 of the largest demands" in poor.in_words


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
        assert here.has(model.terms.program_root, model.terms.tier)
        assert fetch not in await missing()
        alone = await fetch_failure(world, ModelLibrary(tmp_path / "other"), model)
        assert "no other operator" in alone.message, "one's own endpoint is not asked"
        assert "--from URL" in (alone.hint or "")
        mine = replace(model, registrar=world.operator)
        alone = await fetch_failure(world, ModelLibrary(tmp_path / "other"), mine)
        assert (alone.hint or "").startswith(f"you registered it: {ADD_AGAIN}")
        assert (await fetch_model(world.client, here, model)).source is None


async def test_a_program_that_is_registered_as_a_plain_file_is_not_here(world: World) -> None:
    """Anybody may register the root of one as the SHA-256 of another."""
    digits, here = await world.client.model(DIGITS), ModelLibrary(world.settings.model_store)
    terms = replace(digits.terms, tier=Tier.UNPROVEN, profile_hash=ZERO_BYTES32, reveal_window=0)
    owner, staking = world.chain.sender(Person.OWNER), world.contracts.staking
    copy = await register_model(
        owner, world.contracts, terms, name="copy", schema=digits.schema, uri=""
    )
    model = await world.client.model(copy)
    assert await fault_of(model, here) == "the model is not here"
    await owner.send(staking.address, staking.set_offer_data(copy, standing_offer()))
    signer = signer_of(Person.SIGNER).address
    (found,) = await lacks(world.chain.rpc, world.deployment, world.operator, signer, here)
    assert (found.kind, found.model_id) == ("model", copy)
    with pytest.raises(NotFound, match=f"nobody serves the file of copy \\(0x{copy.hex()}"):
        await fetch_model(world.client, here, model)
    async with world.node():
        await world.ask()  # the program is loaded, under its own tier
        made = await world.ask_bytes(digit().tobytes(), model_id=copy, operator=ZERO_ADDRESS)
        job = await world.until_job(made.id, JobState.DECLINED)
    assert job.reason == "the model's file is not in this node's store"


async def test_who_registered_a_model_is_told_to_add_it_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_registered = RegistryBinding.model

    async def mine(self: RegistryBinding, model_id: bytes) -> Model:
        return replace(await as_registered(self, model_id), registrar=world.operator)

    monkeypatch.setattr(RegistryBinding, "model", mine)
    signer, here = signer_of(Person.SIGNER).address, ModelLibrary(tmp_path / "empty")
    found = await lacks(world.chain.rpc, world.deployment, world.operator, signer, here)
    assert {one.next_step for one in found} == {ADD_AGAIN}


async def fetch_failure(world: World, library: ModelLibrary, model: Model) -> NotFound:
    with pytest.raises(NotFound) as refused:
        await fetch_model(world.client, library, model, operator=world.operator)
    return refused.value


async def test_a_model_on_offer_that_is_not_here_is_trouble_until_it_is(
    world: World, tmp_path: Path
) -> None:
    async with world.node(data_dir=tmp_path / "bare", operator=world.operator) as node:
        told = node.heartbeat().trouble["models"]
        assert "there is an offer for digits-mlp" in told
        assert "the model is not here" in told
        assert "no trouble" not in node.summary()
        for root in (library := ModelLibrary(world.settings.model_store)).programs():
            ModelLibrary(tmp_path / "bare" / "models").add_program(library.read_program(root))
        offers = node._steps["offers"]

        async def mended() -> bool:
            offers.doorbell.set()
            return "models" not in node.heartbeat().trouble

        await until(mended)


async def test_an_offer_that_is_set_while_the_node_runs_is_looked_at_too(
    world: World, tmp_path: Path
) -> None:
    owner, staking = world.chain.sender(Person.OWNER), world.contracts.staking
    model = await world.client.model(DIGITS)
    root, shown = model.terms.program_root, f"0x{model.id.hex()}"
    standing = await staking.offer(world.operator, model.id)
    whole = ModelLibrary(world.settings.model_store)
    here = ModelLibrary(tmp_path / "own" / "models")
    for one in whole.programs():
        if one != root:
            here.add_program(whole.read_program(one))

    async def offer(terms: Offer) -> None:
        await owner.send(staking.address, staking.set_offer_data(model.id, terms))

    await offer(replace(standing, capacity=0))
    settings = {"data_dir": tmp_path / "own", "operator": world.operator}
    async with world.node(**settings) as node, aiohttp.ClientSession() as http:
        steps, page = node._steps, node.private
        assert page is not None
        assert "models" not in node.heartbeat().trouble

        async def looked(expected: str | None) -> bool:
            steps["offers"].doorbell.set()
            told = node.heartbeat().trouble.get("models")
            return told is None if expected is None else expected in (told or "")

        async def shows(text: str) -> bool:
            async with http.get(page) as answer:
                return text in await answer.text()

        assert await until(lambda: shows("All is well"))
        with capture_logs() as logs:
            await offer(standing)
            await until(lambda: looked("the model is not here"))
            (reason,) = node.vitals().wanting
            assert (DIGITS in reason.what, reason.next_step) == (
                True,
                f"oracle model fetch {shown}",
            )
            async with http.get(f"{page}/health") as answer:
                said = await answer.json()
                assert (answer.status, said["status"]) == (200, "wanting")
                assert said["wanting"][0]["next"] == reason.next_step
            assert not await shows("All is well")
            assert await shows(reason.next_step)
            here.program_path(root).write_bytes(whole.read_program(root)[:1_000])
            await until(lambda: looked("is damaged"))
            here.add_program(whole.read_program(root))
            await until(lambda: looked(None))
        warned = [one["next"] for one in logs if one.get("kind") == "model"]
        assert warned == [f"oracle model fetch {shown}"] * 2, "once of each lack"
        assert node.vitals().wanting == ()


async def test_logs_of_offers_are_read_once_and_a_withdrawn_offer_is_seen(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market, "_UNSURE_BLOCKS", 2)
    spans: list[tuple[int, int]] = []
    scan = LogScanner.scan

    async def noted(self: LogScanner, first: int, last: int, topics: Any = ()) -> list[RawLog]:
        spans.append((first, last))
        return await scan(self, first, last, topics)

    monkeypatch.setattr(LogScanner, "scan", noted)
    world = own_world
    owner, staking = world.chain.sender(Person.OWNER), world.contracts.staking
    deployed = world.deployment.deployed_block
    offers = market.OwnOffers(world.chain.rpc, staking, world.operator, deployed)
    standing = await offers.standing()
    digits = world.models[DIGITS]
    withdrawn = replace(standing[digits], capacity=0)
    await owner.send(staking.address, staking.set_offer_data(digits, withdrawn))
    await owner.send(staking.address, staking.set_offer_data(b"\x0e" * 32, standing[digits]))
    again = await offers.standing()
    assert set(again) == {*standing, b"\x0e" * 32} - {digits}
    (first, second) = spans
    assert (first[0], second[0]) == (deployed, first[1] - 1)
    asked: list[bytes] = []
    offer = staking.offer

    async def asked_for(operator: Address, model_id: bytes, *, block: int) -> Offer:
        asked.append(model_id)
        return await offer(operator, model_id, block=block)

    monkeypatch.setattr(staking, "offer", asked_for)
    assert await offers.standing() == again
    assert asked == [], "nothing has changed"
    await world.chain.reorg(1)
    await world.chain.mine()
    assert b"\x0e" * 32 not in await offers.standing()
    assert asked == [b"\x0e" * 32]


async def test_the_doctor_looks_into_the_files_of_models(world: World, tmp_path: Path) -> None:
    model = await world.client.model(DIGITS)
    root = model.terms.program_root
    whole, here = ModelLibrary(world.settings.model_store), ModelLibrary(tmp_path / "models")
    for one in whole.programs():
        here.add_program(whole.read_program(one))
    settings = world.settings.model_copy(update={"data_dir": tmp_path})

    async def models() -> list[Finding]:
        found = [one async for one in Doctor(settings).examine()]
        return [one for one in found if one.check == "offers and models"]

    assert [one.status for one in await models()] == [CheckStatus.GOOD]
    here.program_path(root).chmod(0o644)
    here.program_path(root).write_bytes(whole.read_program(root)[:1_000])
    (bad,) = await models()
    assert bad.status is CheckStatus.BAD
    assert DIGITS in bad.found
    assert f"the file {here.program_path(root)} is damaged" in bad.found
    assert bad.mend == f"oracle model fetch 0x{model.id.hex()}"


async def test_an_operator_that_is_not_registered_is_told_so_and_leaves_nothing(
    world: World, tmp_path: Path
) -> None:
    settings = world.settings.model_copy(update={"data_dir": tmp_path / "new"})
    with pytest.raises(ConfigurationError, match="is not registered as an operator on chain") as no:
        async with open_node(settings, Address(STRANGER)):
            pass
    assert no.value.hint == "`oracle operator init`"
    for changes in ({"signer_keystore": None}, {"deployment": tmp_path / "none.json"}):
        wrong = world.settings.model_copy(update={"data_dir": tmp_path / "nothing", **changes})
        with pytest.raises(ConfigurationError):
            async with open_node(wrong, world.operator):
                pass
    assert not (tmp_path / "nothing").exists()


async def test_the_doctor_names_a_port_that_is_taken(world: World) -> None:
    taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        for name in ("serve", "private"):
            settings = world.settings.model_copy(update={f"{name}_port": port})
            found = {one.check: one async for one in Doctor(settings).examine()}
            assert found["ports"].status is CheckStatus.BAD
            assert f"cannot serve on 127.0.0.1:{port}" in found["ports"].found
            assert f"{name}_port" in (found["ports"].mend or "")
            async with world.node(private=False):  # what is free matters to no node that runs
                running = {one.check: one async for one in Doctor(settings).examine()}
            assert running["ports"].status is CheckStatus.WARNING
            assert "the node that runs here has others" in running["ports"].found
    both = world.settings.model_copy(update={"serve_port": port, "private_port": port})
    found = {one.check: one async for one in Doctor(both).examine()}
    assert found["ports"].status is CheckStatus.BAD


async def test_the_doctor_sees_settings_that_changed_since_the_node_started(world: World) -> None:
    private, other = free_port(), free_port()

    async def ports(**changes: Any) -> Finding:
        settings = world.settings.model_copy(update={"private_port": private} | changes)
        found = {one.check: one async for one in Doctor(settings).examine()}
        return found["ports"]

    async with world.node(private_port=private) as node:
        serving = node.heartbeat().serving
        assert serving is not None

        async def written() -> bool:
            beat = HeartbeatFile(world.settings.data_dir / "node.json").read()
            return beat is not None and beat.private == node.private

        assert await until(written)
        for same in ({}, {"private_port": 0}, {"private_host": "localhost"}):
            assert (await ports(**same)).status is CheckStatus.GOOD
        changed = await ports(private_port=other)
        assert changed.status is CheckStatus.WARNING
        assert f"private_port are 127.0.0.1:{other}, and it serves {node.private}" in changed.found
        assert "serve_port" not in changed.found
        assert "at its next start" in (changed.mend or "")
        assert "private is off" in (await ports(private=False)).found
        changed = await ports(serve_host="0.0.0.0", serve_port=int(serving.rpartition(":")[2]))
        assert "serve_host and serve_port are 0.0.0.0:" in changed.found


async def test_the_doctor_warns_of_offers_that_no_request_can_match(world: World) -> None:
    async def found(check: str) -> list[Finding]:
        every = [one async for one in Doctor(world.settings).examine()]
        return [one for one in every if one.check == check]

    owner, staking = world.chain.sender(Person.OWNER), world.contracts.staking
    model = await world.client.model(DIGITS)
    least, window = model.terms.min_bond, model.terms.challenge_window
    await owner.send(staking.address, staking.set_endpoint_data(""))
    (announced,) = await found("announced endpoint")
    assert announced.status is CheckStatus.WARNING
    assert "oracle operator endpoint" in (announced.mend or "")
    await owner.send(staking.address, staking.set_endpoint_data("http://127.0.0.1:9301"))
    (announced,) = await found("announced endpoint")
    assert (announced.status, announced.found) == (CheckStatus.GOOD, "http://127.0.0.1:9301")
    assert [one.status for one in await found("offers and models")] == [CheckStatus.GOOD]
    assert [one.status for one in await found("stake")] == [CheckStatus.GOOD]
    narrow = Offer(0, least - 1, 1, 30, window - 1, 0)
    await owner.send(staking.address, staking.set_offer_data(model.id, narrow))
    warned = await found("offers and models")
    assert {one.status for one in warned} == {CheckStatus.WARNING}
    assert {DIGITS in one.found for one in warned} == {True}
    assert any(f"--max-bond {format_opg(least)}" in (one.mend or "") for one in warned)
    assert any(f"--max-window {window}" in (one.mend or "") for one in warned)
    # A request at its price would lock more than all the stake there is.
    stake = (await staking.status(world.operator)).stake
    dear = Offer(stake // 10, 2 * stake, 1, 30, window, 0)
    await owner.send(staking.address, staking.set_offer_data(model.id, dear))
    (stake_,) = await found("stake")
    assert stake_.status is CheckStatus.WARNING
    assert f"{DIGITS} locks {format_opg(2 * stake)} at least" in stake_.found
    assert "oracle operator bond" in (stake_.mend or "")


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
