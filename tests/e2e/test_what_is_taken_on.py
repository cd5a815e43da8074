"""What a node takes on and what it leaves alone, and what it says where a model has no output."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from eth_utils.crypto import keccak

from oracle.bootstrap.devnet import standing_offer
from oracle.bootstrap.verify import LocalRunner
from oracle.cli.output import jsonable
from oracle.cli.request import answer_facts
from oracle.client.reader import OracleReader
from oracle.core.job import JobState
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.request import RequestState
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Tier
from oracle.court.check import check_trace
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import register_model
from oracle.inference.model_library import ModelLibrary
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root
from oracle.program.profile import profile_hash
from oracle.verify.evidence import of_receipt, save
from oracle.verify.facts import read_facts
from oracle.verify.places import Folder
from oracle.verify.report import Verdict
from oracle.verify.sources import Sources
from oracle.verify.verify import verify
from tests.inference.graphs import inverse_root
from tests.support.world import DIGITS, OPG, PATIENTS, World, digit, until

NOT_A_NUMBER = np.full((1, 64), np.nan, np.float32).tobytes()
UNANSWERABLE = {"of the wrong length": b"\x00" * 7, "of NaN": NOT_A_NUMBER}


@pytest.mark.parametrize("what", UNANSWERABLE)
async def test_a_bound_operator_says_that_there_is_no_output_for_an_input(
    world: World, what: str
) -> None:
    async with world.node():
        made = await world.ask_bytes(UNANSWERABLE[what])
        (job,) = await world.until_settled(made.id)
    answer = await world.client.result(made.id)
    assert answer.result == b""
    assert not answer.answerable
    assert job.fee_earned == OPG
    await world.client.verify_signature(await world.client.receipt(made.id))


@pytest.mark.parametrize("what", UNANSWERABLE)
async def test_an_open_request_with_an_input_that_has_no_output_is_declined(
    world: World, what: str
) -> None:
    async with world.node():
        made = await world.ask_bytes(UNANSWERABLE[what], operator=ZERO_ADDRESS)
        job = await world.until_job(made.id, JobState.DECLINED)
    assert job.reason is not None
    assert "cannot be decoded" in job.reason
    assert await world.state(made.id) is RequestState.REQUESTED


async def test_nan_of_a_provable_model_is_its_result(world: World) -> None:
    """Answered with its bits, judged by its trace, and settled."""
    compiled = compile_model(inverse_root().SerializeToString(), tier=Tier.ROUNDED)
    ModelLibrary(world.settings.model_store.resolve()).add_program(compiled.file)
    contracts, owner = world.contracts, world.chain.sender(Person.OWNER)
    digits = await world.client.model(DIGITS)
    terms = replace(
        digits.terms,
        program_root=program_root(compiled.program),
        profile_hash=profile_hash(Tier.ROUNDED),
        schema_hash=compiled.schema.schema_hash,
        tier=Tier.ROUNDED,
    )
    model_id = await register_model(
        owner, contracts, terms, name="inverse-root", schema=compiled.schema, uri=""
    )
    staking = contracts.staking
    await owner.send(staking.address, staking.set_offer_data(model_id, standing_offer()))
    values = np.array([[4, 1, 0.25], [1, -1, 0]], np.float32)
    async with world.node():
        made = await world.ask_bytes(values.tobytes(), model_id=model_id)
        (job,) = await world.until_settled(made.id)
    answer = await world.client.result(made.id)
    assert answer.answerable
    expected = [[0.5, 1, 2], [1, np.nan, np.inf]]
    np.testing.assert_array_equal(answer.outputs["y"], np.array(expected, np.float32))
    (clear, ambiguous) = answer.decisions()["y"]
    assert (ambiguous.clear, ambiguous.margin) == (False, None)
    assert clear.label == 2
    assert jsonable(answer_facts(answer, as_json=True))["outputs"]["y"][1] == [1, "NaN", "Infinity"]
    assert job.fee_earned == OPG

    sources = Sources(
        files=(Folder(lambda root, tier: compiled.file),),
        traces=(),
        runner=LocalRunner(world.settings),
        judge=check_trace,
    )
    reader = OracleReader(world.chain.rpc, world.deployment)
    saved = await save(reader, made.id)
    one, asked = saved.answer, saved.request
    facts = await read_facts(
        reader, saved.contracts, made.id, asked.model_id, one.operator, saved.posted.block_number
    )
    report = await verify(of_receipt(saved), facts, sources)
    assert report.verdict is Verdict.VERIFIED, report.text()


async def test_garbage_does_not_hold_up_a_good_neighbour(world: World) -> None:
    bad = await world.ask_bytes(NOT_A_NUMBER)
    good = await world.ask()
    async with world.node():
        await world.until_settled(bad.id, good.id)
    assert (await world.client.result(good.id)).answerable


async def test_a_fee_below_the_minimum_is_declined(world: World) -> None:
    async with world.node(minimum_fee_opg="1.5"):
        low = await world.ask(fee=OPG, open_to_all=True)
        job = await world.until_job(low.id, JobState.DECLINED)
        enough = await world.ask(fee=OPG + OPG // 2, open_to_all=True)
        await world.until_settled(enough.id)
    assert job.reason == "the fee of 1 OPG is below the minimum of 1.5 OPG"


async def test_an_open_request_below_the_own_offer_is_declined(world: World) -> None:
    async with world.node():
        low = await world.ask(fee=OPG - 1, open_to_all=True)
        job = await world.until_job(low.id, JobState.DECLINED)
        enough = await world.ask(fee=OPG, open_to_all=True)
        await world.until_settled(enough.id)
    assert (job.reason or "").endswith("is below the 1 OPG of this operator's own offer")


async def test_a_deadline_that_is_too_close_is_declined(world: World) -> None:
    async with world.node(answer_margin_seconds=60):
        made = await world.ask(fee=OPG, open_to_all=True, time_to_answer=30)
        job = await world.until_job(made.id, JobState.DECLINED)
    assert job.reason is not None
    assert "60 s are needed" in job.reason


async def test_a_bond_above_the_free_stake_is_declined(world: World) -> None:
    async with world.node():
        made = await world.ask(fee=OPG, open_to_all=True, bond=100_001 * OPG)
        job = await world.until_job(made.id, JobState.DECLINED)
    assert job.reason is not None
    assert "above the free stake of 100000 OPG" in job.reason


async def test_a_fee_that_gas_would_eat_is_declined(world: World) -> None:
    async with world.node(wei_per_opg=1):
        made = await world.ask(fee=OPG, open_to_all=True)
        job = await world.until_job(made.id, JobState.DECLINED)
    assert job.reason is not None
    assert job.reason.startswith("unprofitable: the fee is worth 1 wei")


async def test_a_declined_request_that_names_us_is_served_once_we_are_bound(world: World) -> None:
    """Our own offer may bind us to what we would have declined."""
    async with world.node(minimum_fee_opg="10"):
        made = await world.ask()
        assert made.accepted
        await world.until_settled(made.id)


async def test_a_strangers_copy_of_our_model_is_declined(world: World) -> None:
    """One of its terms could be a window to reveal in which no honest operator shows anything."""
    registrar, digits = world.chain.sender(Person.RELAYER), await world.client.model(DIGITS)
    terms = replace(digits.terms, reveal_window=1)
    copy = await register_model(
        registrar, world.contracts, terms, name=DIGITS, schema=digits.schema, uri=""
    )
    free = (await world.contracts.staking.status(world.operator)).free
    async with world.node():
        for asked_of in (ZERO_ADDRESS, world.operator):
            made = await world.ask_bytes(
                digit().tobytes(), model_id=copy, operator=asked_of, fee=0, bond=free
            )
            job = await world.until_job(made.id, JobState.DECLINED)
            assert job.reason == "this operator has no standing offer for the model"


async def test_a_bond_above_the_own_offers_largest_is_declined(world: World) -> None:
    offer = await world.contracts.staking.offer(world.operator, world.models[DIGITS])
    async with world.node():
        made = await world.ask_bytes(
            digit().tobytes(), operator=ZERO_ADDRESS, bond=offer.max_bond + 1
        )
        job = await world.until_job(made.id, JobState.DECLINED)
    assert (job.reason or "").endswith(
        "above the largest of 10000 OPG of this operator's own offer"
    )


async def test_models_that_nobody_can_use_are_declined_and_hold_up_nothing(world: World) -> None:
    registrar = world.chain.sender(Person.RELAYER)
    digits = await world.client.model(DIGITS)
    absent = replace(digits.terms, program_root=b"\x01" * 32)
    absent_id = await register_model(
        registrar, world.contracts, absent, name="absent", schema=digits.schema, uri=""
    )
    garbled = ModelTerms(
        program_root=b"\x02" * 32,
        profile_hash=ZERO_BYTES32,
        schema_hash=keccak(text="no schema"),
        tier=Tier.UNPROVEN,
        challenge_window=1,
        reveal_window=0,
        min_bond=OPG,
        epsilon=UNCERTIFIED,
    )
    registry = world.contracts.registry
    await registrar.send(
        registry.address,
        registry.encode("register", garbled.as_tuple(), "garbled", "no schema", ""),
    )
    garbled_id = garbled.model_id(registrar.address)
    owner, staking = world.chain.sender(Person.OWNER), world.contracts.staking
    for offered in (absent_id, garbled_id):  # or nobody would look for them
        await owner.send(staking.address, staking.set_offer_data(offered, standing_offer()))
    async with world.node():
        image = digit().tobytes()
        first = await world.ask_bytes(image, model_id=absent_id, operator=ZERO_ADDRESS)
        second = await world.ask_bytes(image, model_id=garbled_id, operator=ZERO_ADDRESS)
        good = await world.ask_bytes(image, operator=ZERO_ADDRESS)
        await world.until_settled(good.id)
        missing = await world.until_job(first.id, JobState.DECLINED)
        unreadable = await world.until_job(second.id, JobState.DECLINED)
    assert missing.reason == "the model's file is not in this node's store"
    assert unreadable.reason is not None
    assert unreadable.reason.startswith("the model cannot be used")


async def test_a_bound_node_waits_for_a_missing_model_and_serves_the_others(world: World) -> None:
    full = ModelLibrary(world.settings.model_store.resolve())
    here = world.settings.model_store
    here.unlink()
    here.mkdir()
    programs = here / "programs"
    programs.mkdir()
    terms = {name: (await world.client.model(name)).terms for name in (DIGITS, PATIENTS)}
    shutil.copy(full.program_path(terms[DIGITS].program_root), programs)
    patient = await world.ask_bytes(
        np.zeros((1, 30), np.float32).tobytes(), model_id=world.models[PATIENTS]
    )
    image = await world.ask()
    assert patient.accepted
    async with world.node():
        await world.until_settled(image.id)

        async def tried() -> bool:
            waiting = await world.until_job(patient.id, JobState.ACCEPTED)
            return waiting.attempts > 0

        await until(tried)
        shutil.copy(full.program_path(terms[PATIENTS].program_root), programs)
        await world.until_settled(patient.id)
    assert (await world.client.result(patient.id)).answerable


async def test_an_offer_of_limited_capacity_leaves_the_rest_to_be_accepted(world: World) -> None:
    owner = world.chain.sender(Person.OWNER)
    staking = world.contracts.staking
    small = replace(standing_offer(), capacity=1)
    await owner.send(staking.address, staking.set_offer_data(world.models[DIGITS], small))
    first = await world.ask(operator=world.operator)
    second = await world.ask(operator=world.operator)
    assert (first.accepted, second.accepted) == (True, False)
    async with world.node():
        await world.until_settled(first.id, second.id)
