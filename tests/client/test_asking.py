"""How a client asks: which model a name means, which offer is taken, and how the fee is paid."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from oracle.bootstrap.devnet import standing_offer
from oracle.client import OracleClient, connect
from oracle.core.operator import Offer
from oracle.core.types import Address, opg
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund, register_model, register_operator
from oracle.errors import ContractReverted, InputError, NotFound, TensorError
from tests.support.world import DIGITS, OPG, World, digit


async def second_operator(world: World, offer: Offer) -> Address:
    owner = world.chain.sender(Person.SECOND_OWNER)
    await fund(world.chain.sender(Person.DEPLOYER), world.contracts, owner.address, opg=1_000 * OPG)
    await register_operator(
        owner,
        world.contracts,
        signer=signer_of(Person.SECOND_SIGNER).address,
        payout=owner.address,
        bond=1_000 * OPG,
        offers={world.models[DIGITS]: offer},
    )
    return owner.address


async def penniless(world: World, opg: int = 0) -> OracleClient:
    """A client without an account at the oracle."""
    client = world.client_of(Person.PAYEE)
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, client.sender.address, opg=opg)
    return client


# ---- models


async def test_a_model_is_named_by_name_by_id_and_by_hex(world: World) -> None:
    by_id = await world.client.model(world.models[DIGITS])
    assert await world.client.model(DIGITS) == by_id
    assert await world.client.model("0x" + by_id.id.hex()) == by_id


async def test_what_names_no_model_is_refused(world: World) -> None:
    for unknown in ("no-such-model", b"\x0f" * 32, "0x" + "0f" * 32):
        with pytest.raises(NotFound):
            await world.client.model(unknown)
    with pytest.raises(InputError, match="is not a model id"):
        await world.client.model("0x" + "zz" * 32)


async def test_a_name_that_two_live_models_have_is_ambiguous(world: World) -> None:
    ours = await world.client.model(DIGITS)
    registrar = world.chain.sender(Person.RELAYER)
    twin = await register_model(
        registrar, world.contracts, ours.terms, name=DIGITS, schema=ours.schema, uri=""
    )
    with pytest.raises(InputError, match="2 live models are named") as caught:
        await world.ask()
    assert "0x" + twin.hex() in caught.value.message
    registry = world.contracts.registry
    await registrar.send(registry.address, registry.deprecate_data(twin))
    assert (await world.client.model(DIGITS)).id == ours.id
    with pytest.raises(InputError, match=f"0x{twin.hex()} was deprecated on .*, for good") as gone:
        await world.client.request(twin, [digit()])
    assert "retrain, for a new id" in (gone.value.hint or "")
    with pytest.raises(InputError, match="for good"):
        await world.client.view(twin, [digit()])
    with pytest.raises(ContractReverted, match="ModelNotLive"):
        await world.ask_bytes(digit().tobytes(), model_id=twin)


async def test_inputs_that_do_not_fit_are_refused_before_anything_is_paid(world: World) -> None:
    before = await world.client.oracle.account(world.client.sender.address)
    for wrong in (
        np.zeros((1, 63), np.float32),
        np.full((1, 64), np.nan, np.float32),
        np.zeros((1, 64), np.complex64),
    ):
        with pytest.raises(TensorError):
            await world.ask(wrong)
    with pytest.raises(TensorError, match="missing"):
        await world.client.request(DIGITS, {"other": digit()})
    assert await world.client.oracle.account(world.client.sender.address) == before


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"fee": "1"}, "fee is base units, an int, and not '1' (str)", 'opg("1") is 1 OPG'),
        ({"fee": 0.5}, "fee is base units, an int", None),
        ({"bond": True}, "bond is base units, an int", None),
        ({"value_at_risk": 25}, "value_at_risk of 25 base units is next to", 'opg("25") is 25 OPG'),
        ({"fee": 2**96}, "is not what a contract can hold", None),
        ({"fee": -1}, "is not what a contract can hold", None),
        ({"time_to_answer": "60"}, "time_to_answer is whole seconds", None),
        ({"window": 60.0}, "window is whole seconds", None),
        ({"window": 2**32, "fee": OPG, "open_to_all": True}, "does not fit", None),
        ({"callback_gas_limit": "1"}, "callback_gas_limit is units of gas", None),
        ({"operator": 7}, "operator is 7 (int), and not an address", None),
        ({"consumer": "0x12"}, "is not an address", None),
        ({"inputs": np.zeros(64)}, "the inputs are a ndarray, and neither", '{"pixels": array}'),
        ({"model": 3}, "3 (int) names no model", None),
    ],
)
async def test_arguments_of_another_kind_are_refused_by_name(
    world: World, given: dict[str, object], message: str, hint: str | None
) -> None:
    terms: dict[str, Any] = {"model": DIGITS, "inputs": [digit()], **given}
    with pytest.raises(InputError) as caught:
        await world.client.request(**terms)
    assert message in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


async def test_a_number_of_numpys_is_a_number(world: World) -> None:
    made = await world.ask(time_to_answer=np.int64(300), fee=np.uint64(OPG))
    assert (made.request.fee, made.accepted) == (OPG, True)


async def test_a_name_that_is_nearly_one_and_a_cut_id_are_told(world: World) -> None:
    for given, hint in (
        ("digits-mpl", "did you mean digits-mlp?"),
        ("0x1234", "an id is 0x and 64 hex digits, and this has 4"),
        ("0x" + "0f" * 32, "see `oracle model list`"),
    ):
        with pytest.raises(NotFound) as caught:
            await world.client.model(given)
        assert hint in (caught.value.hint or "")


async def test_a_risk_above_the_bond_is_told_what_to_do(world: World) -> None:
    with pytest.raises(ContractReverted, match="ValueAtRiskAboveBond") as caught:
        await world.ask(bond=20 * OPG, value_at_risk=30 * OPG)
    assert "raise the bond" in (caught.value.hint or "")


# ---- offers


async def test_the_cheapest_offer_that_takes_the_request_is_chosen(world: World) -> None:
    cheap = Offer(
        price=OPG // 2,
        max_bond=20 * OPG,
        capacity=1,
        min_time=60,
        max_window=60,
        max_callback_gas=0,
    )
    other = await second_operator(world, cheap)
    offers = await world.client.offers(world.models[DIGITS])
    assert [one.operator for one in offers] == [other, world.operator]
    hurried = await world.ask(time_to_answer=30)
    assert hurried.request.operator == world.operator
    for terms in ({"bond": 21 * OPG}, {"window": 61}, {"callback_gas_limit": 1}):
        beyond = await world.ask(**terms)
        assert (beyond.request.operator, beyond.accepted) == (world.operator, True)
    made = await world.ask()
    assert (made.request.operator, made.request.fee) == (other, OPG // 2)
    assert made.accepted
    full = await world.ask()
    assert full.request.operator == world.operator


async def test_an_offer_that_was_withdrawn_is_none(world: World) -> None:
    owner, staking = world.chain.sender(Person.OWNER), world.contracts.staking
    none = replace(standing_offer(), capacity=0)
    await owner.send(staking.address, staking.set_offer_data(world.models[DIGITS], none))
    assert await world.client.offers(world.models[DIGITS]) == []
    with pytest.raises(NotFound, match="there are none") as caught:
        await world.ask()
    assert "raise the fee" not in (caught.value.hint or "")
    assert "open to all with a fee" in (caught.value.hint or "")


async def test_a_request_that_no_offer_takes_names_those_there_are(world: World) -> None:
    with pytest.raises(NotFound, match=f"{world.operator} from 1 OPG") as caught:
        await world.ask(fee=OPG // 2)
    assert caught.value.hint == "raise the fee to 1 OPG"


@pytest.mark.parametrize(
    ("terms", "hint"),
    [
        ({"fee": 90_000 * OPG}, "lower the fee to 500 OPG: the bond is 20 times as much"),
        ({"value_at_risk": 10_001 * OPG}, "lower the bond, or the value at risk, to 10000 OPG"),
        ({"time_to_answer": 6}, "give 7 s to answer (--time-to-answer 7)"),
        ({"window": 3_601}, "shorten the window to 3600 s"),
        ({"callback_gas_limit": 500_001}, "lower the callback gas to 500000"),
    ],
)
async def test_what_would_have_to_change_is_said_by_its_cause(
    world: World, terms: dict[str, int], hint: str
) -> None:
    with pytest.raises(NotFound) as caught:
        await world.ask(**terms)
    assert caught.value.hint == hint


async def test_an_offer_that_is_full_is_waited_for(world: World) -> None:
    owner, staking = world.chain.sender(Person.OWNER), world.contracts.staking
    one = replace(standing_offer(), capacity=1)
    await owner.send(staking.address, staking.set_offer_data(world.models[DIGITS], one))
    await world.ask()
    with pytest.raises(NotFound, match="all of its 1 places are taken") as caught:
        await world.ask()
    assert (caught.value.hint or "").startswith("wait until one of its places is free")


async def test_each_bound_that_a_request_is_beyond_is_named(world: World) -> None:
    terms = {
        "fee": OPG // 2,
        "bond": 10_001 * OPG,
        "time_to_answer": 6,
        "window": 3_601,
        "callback_gas_limit": 500_001,
    }
    with pytest.raises(NotFound) as caught:
        await world.ask(**terms)
    for reason in (
        "the fee of 0.5 OPG is below its price of 1 OPG",
        "the bond of 10001 OPG is above its largest of 10000 OPG",
        "6 s to the deadline: its offer needs 2 s, and 5 s go for mining",
        "the challenge window of 3601 s is longer than its 3600 s",
        "the callback gas of 500001 is above its most of 500000",
    ):
        assert reason in caught.value.message


async def test_a_named_operators_request_says_why_its_offer_did_not_take_it(world: World) -> None:
    taken = await world.ask(operator=world.operator)
    assert (taken.accepted, taken.objections) == (True, ())
    left_open = await world.ask(operator=world.operator, callback_gas_limit=500_001)
    assert not left_open.accepted
    assert left_open.objections == ("the callback gas of 500001 is above its most of 500000",)
    with pytest.raises(NotFound, match="is not an operator") as caught:
        await world.ask(operator=world.client.sender.address, fee=OPG)
    assert "`oracle model show MODEL`" in (caught.value.hint or "")


async def test_the_bond_covers_fee_and_value_at_risk(world: World) -> None:
    assert (await world.ask()).request.bond == 20 * OPG
    assert (await world.ask(fee=3 * OPG)).request.bond == 60 * OPG
    assert (await world.ask(value_at_risk=500 * OPG)).request.bond == 500 * OPG
    with pytest.raises(ContractReverted, match="BondTooLow"):
        await world.ask(bond=OPG)


async def test_an_open_request_needs_a_fee_and_names_nobody(world: World) -> None:
    for terms in ({}, {"fee": OPG, "operator": world.operator}):
        with pytest.raises(InputError, match="needs a fee and names no operator") as caught:
            await world.ask(open_to_all=True, **terms)
        assert 'fee=opg("0.5")' in (caught.value.hint or "")
        assert "--fee 0.5" in (caught.value.cli_hint or "")


# ---- money


def test_an_amount_that_is_a_float_is_told_how_it_is_written() -> None:
    for given in (1.5, None, True):
        with pytest.raises(InputError, match="an amount of OPG is a str") as refused:
            opg(given)  # type: ignore[arg-type]
        assert 'opg("1.5")' in (refused.value.hint or "")


async def test_wrong_types_are_told_wherever_they_are_given(world: World) -> None:
    client = world.client
    with pytest.raises(InputError, match="timeout is seconds"):
        await client.wait(b"\x01" * 32, timeout="5")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no receipt"):
        await client.verify_signature("abc")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the signer is a str"):
        async with connect("http://127.0.0.1:1", world.deployment, "key"):  # type: ignore[arg-type]
            pass
    with pytest.raises(InputError, match="the deployment is"):
        async with connect("http://127.0.0.1:1", None):  # type: ignore[arg-type]
            pass
    with pytest.raises(NotFound, match="has no request") as unknown:
        await client.wait(b"\x01" * 32, timeout=1)
    assert "endpoint is of the right chain" in (unknown.value.hint or "")


async def test_a_deadline_counts_from_now_where_no_block_was_mined_for_hours(world: World) -> None:
    """Blocks are mined on demand here, so the head's time is that of the last transaction."""
    await world.chain.rpc.request("evm_increaseTime", ["0x1c20"])
    made = await world.ask()
    assert 480 <= made.request.deadline - await world.chain.time() <= 600


async def test_a_prepaid_account_is_used_before_the_allowance(world: World) -> None:
    client = await penniless(world, opg=3 * OPG)
    sender = client.sender.address
    await client.deposit(OPG)
    await client.request(DIGITS, [digit()])
    assert await client.token.balance_of(sender) == 2 * OPG
    assert (await client.oracle.account(sender)).balance == 0
    await client.request(DIGITS, [digit()])
    assert await client.token.balance_of(sender) == OPG
    assert await client.token.allowance(sender, client.oracle.address) == 0


async def test_requests_at_the_same_time_do_not_take_each_others_allowance(world: World) -> None:
    client = await penniless(world, opg=4 * OPG)
    made = await asyncio.gather(*(client.request(DIGITS, [digit(i)]) for i in range(4)))
    assert len({one.id for one in made}) == 4
    assert await client.token.balance_of(client.sender.address) == 0


async def test_a_requester_without_money_is_told_so(world: World) -> None:
    client = await penniless(world)
    with pytest.raises(ContractReverted):
        await client.request(DIGITS, [digit()])
    with pytest.raises(ContractReverted, match="BalanceTooLow"):
        await client.withdraw(OPG)


async def test_a_refund_can_be_withdrawn(world: World) -> None:
    client = await penniless(world, opg=OPG)
    made = await client.request(DIGITS, [digit()], fee=OPG, open_to_all=True)
    await client.cancel(made.id)
    await client.withdraw(OPG)
    assert await client.token.balance_of(client.sender.address) == OPG


async def test_only_the_requester_cancels_and_only_before_acceptance(world: World) -> None:
    made = await world.ask(fee=OPG, open_to_all=True)
    with pytest.raises(ContractReverted, match="NotRequester"):
        await world.client_of(Person.WATCHER).cancel(made.id)
    bound = await world.ask()
    with pytest.raises(ContractReverted, match="WrongState"):
        await world.client.cancel(bound.id)
