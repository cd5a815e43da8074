"""Operators, models and the token through their bindings, on a real chain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from oracle.chain.registry_contract import RegistryBinding
from oracle.client.endpoint import endpoint_of
from oracle.core.model import UNCERTIFIED
from oracle.core.operator import Offer
from oracle.core.types import ZERO_ADDRESS, Tier, address
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import fund, register_model, register_operator
from oracle.errors import ConfigurationError, ContractReverted, NotFound, SchemaError
from tests.support.scene import OPG, SCHEMA, STAKE, Scene, terms


async def test_operator_status(scene: Scene) -> None:
    status = await scene.contracts.staking.status(scene.owner.address)
    assert status.operator == scene.owner.address
    assert status.signer == scene.signer.address
    assert status.payout == scene.chain.sender(Person.PAYOUT).address
    assert (status.stake, status.locked, status.free) == (STAKE, 0, STAKE)
    with pytest.raises(NotFound):
        await scene.contracts.staking.status(scene.requester.address)


async def test_registering_again_changes_nothing_or_refuses(scene: Scene) -> None:
    signer, payout = scene.signer.address, scene.chain.sender(Person.PAYOUT).address
    nonce = await scene.owner.gateway.next_nonce(scene.owner.address, pending=True)
    await register_operator(scene.owner, scene.contracts, bond=STAKE, signer=signer, payout=payout)
    assert await scene.owner.gateway.next_nonce(scene.owner.address, pending=True) == nonce
    with pytest.raises(ConfigurationError, match="has signer"):
        await register_operator(
            scene.owner, scene.contracts, bond=0, signer=scene.owner.address, payout=payout
        )


async def test_stake_leaves_after_the_exit_delay(scene: Scene) -> None:
    staking, owner = scene.contracts.staking, scene.owner
    await owner.send(staking.address, staking.unbond_data(40 * OPG))
    await owner.send(staking.address, staking.unbond_data(2 * OPG))
    first, second = await staking.unbondings(owner.address)
    assert (first.index, first.amount, second.index, second.amount) == (0, 40 * OPG, 1, 2 * OPG)
    status = await staking.status(owner.address)
    assert (status.stake, status.free) == (STAKE, STAKE - 42 * OPG)
    with pytest.raises(ContractReverted) as early:
        await owner.send(staking.address, staking.withdraw_data(0))
    assert early.value.name == "UnbondingNotOver"
    assert early.value.arguments["availableAt"] == first.available_at

    await scene.chain.increase_time(await staking.exit_delay())
    before = await scene.contracts.token.balance_of(owner.address)
    await owner.send(staking.address, staking.withdraw_data(0))
    assert await scene.contracts.token.balance_of(owner.address) == before + 40 * OPG
    assert [exit.index for exit in await staking.unbondings(owner.address)] == [1]


async def test_signer_rotates_after_its_delay(scene: Scene) -> None:
    staking, owner = scene.contracts.staking, scene.owner
    new = scene.chain.sender(Person.SECOND_SIGNER).address
    await owner.send(staking.address, staking.rotate_signer_data(new))
    assert await staking.signer_of(owner.address) == scene.signer.address
    await scene.chain.increase_time(await staking.signer_delay())
    assert await staking.signer_of(owner.address) == new
    assert await staking.was_signer(owner.address, scene.signer.address)
    assert not await staking.was_signer(owner.address, scene.requester.address)


async def test_payout_can_be_changed(scene: Scene) -> None:
    staking = scene.contracts.staking
    payee = scene.chain.sender(Person.PAYEE).address
    await scene.owner.send(staking.address, staking.set_payout_data(payee))
    assert (await staking.status(scene.owner.address)).payout == payee


async def test_the_latest_endpoint_is_read(scene: Scene) -> None:
    staking, rpc, operator = scene.contracts.staking, scene.chain.rpc, scene.owner.address
    assert await endpoint_of(rpc, staking, operator, 0) is None
    for told, read in (
        ("https://first.example", "https://first.example"),
        ("http://second.example:8443/oracle?x=1", "http://second.example:8443/oracle?x=1"),
        ("javascript:alert(1)", None),
        ("https://third.example", "https://third.example"),
        ("", None),
    ):
        await scene.owner.send(staking.address, staking.set_endpoint_data(told))
        assert await endpoint_of(rpc, staking, operator, 0) == read
    assert await endpoint_of(rpc, staking, scene.requester.address, 0) is None
    with pytest.raises(ContractReverted, match="EndpointTooLong"):
        await scene.owner.send(staking.address, staking.set_endpoint_data("h" * 257))
    with pytest.raises(ContractReverted, match="OperatorUnknown"):
        await scene.requester.send(staking.address, staking.set_endpoint_data("https://a.example"))


async def test_an_offer_of_no_capacity_is_none(scene: Scene) -> None:
    staking, owner = scene.contracts.staking, scene.owner
    offer = Offer(1, 2, 3, 4, 5, 6)
    largest = Offer(2**80 - 1, 2**88 - 1, 2**16 - 1, 2**24 - 1, 2**24 - 1, 2**24 - 1)
    for wanted in (offer, largest, Offer(0, 0, 0, 0, 0, 0)):
        await owner.send(staking.address, staking.set_offer_data(scene.model_id, wanted))
        assert await staking.offer(owner.address, scene.model_id) == wanted


async def test_model_comes_back_as_registered(scene: Scene) -> None:
    model = await scene.contracts.registry.model(scene.model_id)
    assert model.id == scene.model_id == terms().model_id(scene.owner.address)
    assert (model.registrar, model.terms, model.schema) == (scene.owner.address, terms(), SCHEMA)
    assert (model.name, model.uri) == ("test", "file:///test.onnx")
    assert model.live
    assert 0 < model.registered_at <= await scene.chain.time()
    assert [found.id for found in await scene.contracts.registry.models()] == [scene.model_id]
    with pytest.raises(NotFound, match="0x0909"):
        await scene.contracts.registry.model(b"\x09" * 32)


async def test_models_that_are_looked_up_together_take_one_reading_of_the_logs(
    scene: Scene,
) -> None:
    at = scene.contracts.registry.address
    second = await register_model(
        scene.owner, scene.contracts, terms(2), name="second", schema=SCHEMA, uri=""
    )
    registry = RegistryBinding(scene.chain.rpc, at)

    def readings() -> int:
        (endpoint,) = scene.chain.rpc.reports()
        return endpoint["calls"].get("eth_getLogs", 0)

    before = readings()
    await registry.look_up([scene.model_id, second])
    names = [(await registry.model(one)).name for one in (scene.model_id, second)]
    assert names == ["test", "second"]
    assert readings() - before == 1
    await registry.look_up([scene.model_id, second])
    assert readings() - before == 1, "they are known"


async def test_deprecation_is_seen_though_the_model_is_cached(scene: Scene) -> None:
    at = scene.contracts.registry.address
    registry = RegistryBinding(scene.chain.rpc, at, fresh_seconds=0)
    assert (await registry.model(scene.model_id)).live
    with pytest.raises(ContractReverted, match="NotRegistrar"):
        await scene.requester.send(at, registry.deprecate_data(scene.model_id))
    await scene.owner.send(at, registry.deprecate_data(scene.model_id))
    assert not (await registry.model(scene.model_id)).live
    with pytest.raises(ContractReverted) as refused:
        await scene.request()
    assert refused.value.name == "ModelNotLive"
    assert refused.value.arguments == {"modelId": scene.model_id}


async def test_a_model_undone_by_a_reorg_is_forgotten(scene: Scene) -> None:
    registry = RegistryBinding(scene.chain.rpc, scene.contracts.registry.address, fresh_seconds=0)
    snapshot = await scene.chain.snapshot()
    calldata = registry.register_data(terms(2), "two", SCHEMA, "")
    await scene.owner.send(registry.address, calldata)
    model_id = terms(2).model_id(scene.owner.address)
    assert (await registry.model(model_id)).name == "two"
    await scene.chain.revert(snapshot)
    with pytest.raises(NotFound):
        await registry.model(model_id)


async def test_a_schema_nobody_can_follow(scene: Scene) -> None:
    registry = scene.contracts.registry
    values = list(terms(3).as_tuple())
    text = "what schema?"
    values[2] = keccak(text=text)
    calldata = registry.encode("register", values, "bad", text, "")
    receipt = await scene.owner.send(registry.address, calldata)
    model_id = bytes.fromhex(receipt.logs[0]["topics"][1][2:])
    with pytest.raises(SchemaError):
        await registry.model(model_id)
    assert [found.id for found in await registry.models()] == [scene.model_id]


async def test_any_tier_and_its_error_bar_come_back_without_a_court(scene: Scene) -> None:
    registry = scene.contracts.registry
    for tier, epsilon in ((Tier.EXACT, 0), (Tier.ROUNDED, 10**15), (Tier.NATIVE, UNCERTIFIED)):
        registered = replace(terms(4), tier=tier, epsilon=epsilon, reveal_window=5)
        calldata = registry.register_data(registered, tier.name, SCHEMA, "")
        await scene.owner.send(registry.address, calldata)
        model_id = registered.model_id(scene.owner.address)
        assert (await registry.model(model_id)).terms == registered
        assert await registry.view("epsilonOf", model_id) == epsilon
    assert await registry.view("epsilonOf", b"\x09" * 32) == UNCERTIFIED


async def test_token(scene: Scene) -> None:
    token = scene.contracts.token
    assert await token.symbol() == "OPG"
    assert await token.total_supply() == 10**27
    payee = scene.chain.sender(Person.PAYEE).address
    await scene.requester.send(token.address, token.transfer_data(payee, 5))
    assert await token.balance_of(payee) == 5
    await scene.requester.send(token.address, token.approve_data(payee, 6))
    assert await token.allowance(scene.requester.address, payee) == 6


async def test_funding_tops_up(scene: Scene) -> None:
    treasurer = scene.chain.sender(Person.DEPLOYER)
    stranger = address(ZERO_ADDRESS[:-2] + "77")
    for _ in range(2):
        await fund(treasurer, scene.contracts, stranger, opg=7 * OPG, wei=10**18)
        assert await scene.contracts.token.balance_of(stranger) == 7 * OPG
        assert await treasurer.gateway.balance(stranger) == 10**18


async def test_oracle_facts(scene: Scene) -> None:
    oracle, deployment = scene.contracts.oracle, scene.contracts.deployment
    wiring = await oracle.wiring()
    assert (wiring.token, wiring.staking, wiring.registry, wiring.court) == (
        deployment.token,
        deployment.staking,
        deployment.registry,
        deployment.court,
    )
    limits = await oracle.limits()
    assert (limits.max_ttl, limits.max_window) == (3600, 600)
    assert await oracle.minimum_bond(scene.model_id, 3 * OPG) == 60 * OPG
    assert await oracle.minimum_bond(scene.model_id, 0) == OPG
    request = scene.signed_terms(await scene.params())
    assert await oracle.dispute_limit(request) == request.deadline + request.window + 60
