"""What scenes with watchers are made of: cheats, models with reveals, and watchers in this process.

The chain is a `World`'s; the fixture `court` of `tests.e2e` gives its watcher money and lets its
clock run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from oracle.bootstrap.devnet import free_port as free_port
from oracle.bootstrap.devnet import standing_offer
from oracle.bootstrap.node import open_node
from oracle.bootstrap.parts import Instrument
from oracle.bootstrap.watcher import OpenWatcher, open_watcher
from oracle.chain.court_contract import Disputed, decode_logs
from oracle.chain.proof_coder import encode_place
from oracle.client import Requested
from oracle.core.case import Case
from oracle.core.dispute import RevealDemand, RevealDemanded
from oracle.core.job import JobState
from oracle.core.receipt import Answer, AnswerCommitment
from oracle.core.request import RequestState
from oracle.court.opening import open_record
from oracle.court.proof import Place
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund, register_model
from oracle.inference.model_library import ModelLibrary
from oracle.ports.contracts import AnswerItem
from oracle.program.compile import load_program
from oracle.program.encoding import encode
from oracle.settings import Settings
from oracle.watcher.policy import WatcherPolicy
from scripts.dishonest_operator import dishonest
from tests.support.world import DIGITS, OPG, World, digit, until

WATCHER = signer_of(Person.WATCHER)
WINDOW_SECONDS = 120
"""Long beside what a conviction takes on a busy machine: the clock of the chain runs on."""

REVEAL_SECONDS = 20

_ANSWERED = (
    RequestState.ANSWERED,
    RequestState.REVEAL_PENDING,
    RequestState.SLASHED,
    RequestState.SETTLED,
)


async def announce_endpoint(world: World, url: str) -> None:
    staking = world.contracts.staking
    owner = world.chain.sender(Person.OWNER)
    await owner.send(staking.address, staking.set_endpoint_data(url))


async def revealing(
    world: World,
    name: str = DIGITS,
    *,
    window: int = WINDOW_SECONDS,
    reveal: int = REVEAL_SECONDS,
) -> bytes:
    """A sample model with a window to reveal, and the operator's offer for it."""
    contracts, owner = world.contracts, world.chain.sender(Person.OWNER)
    model = await contracts.registry.model(world.models[name])
    terms = replace(model.terms, challenge_window=window, reveal_window=reveal)
    model_id = await register_model(
        owner, contracts, terms, name=f"{name}-revealed", schema=model.schema, uri=""
    )
    await owner.send(
        contracts.staking.address, contracts.staking.set_offer_data(model_id, standing_offer())
    )
    return model_id


@asynccontextmanager
async def cheat(
    world: World, instrument: Instrument = dishonest, **changes: Any
) -> AsyncIterator[None]:
    """A node that runs cheaper models by default, and serves what it commits to."""
    settings = world.settings.model_copy(update=changes)
    async with open_node(settings, world.operator, instrument=instrument) as node:
        running = asyncio.create_task(node.run())
        try:
            yield
        finally:
            node.stop()
            await running


async def asked(
    world: World,
    model: bytes | None = None,
    row: NDArray[Any] | None = None,
    *,
    window: int = WINDOW_SECONDS,
    time_to_answer: int = 600,
) -> Requested:
    """A request of one row, by default an image of a digit; answered."""
    made = await world.client.request(
        model or world.models[DIGITS],
        [digit() if row is None else row],
        operator=world.operator,
        window=window,
        time_to_answer=time_to_answer,
    )

    async def answered() -> bool:
        # Not that state alone: where the window is short, a look may come when it is over.
        return await world.state(made.id) in _ANSWERED

    await until(answered)
    return made


def watcher_settings(world: World, name: str = "first") -> Settings:
    folder = world.settings.data_dir / f"watching-{name}"
    folder.mkdir(exist_ok=True)
    models = folder / "models"
    if not models.exists():
        models.symlink_to(world.settings.model_store)
    return world.settings.model_copy(update={"data_dir": folder})


def policy(world: World, **changes: Any) -> WatcherPolicy:
    return replace(WatcherPolicy(start_block=world.deployment.deployed_block), **changes)


@asynccontextmanager
async def watching(world: World, **changes: Any) -> AsyncIterator[OpenWatcher]:
    settings = watcher_settings(world)
    async with open_watcher(settings, WATCHER, policy(world, **changes)) as opened:
        running = asyncio.create_task(opened.watcher.run())
        try:
            yield opened
        finally:
            opened.watcher.stop()
            await running


async def decided(opened: OpenWatcher, request_id: bytes) -> Case:
    """The case of an answer, when it has ended."""

    async def there() -> Case | None:
        cases = await opened.storage.cases.everything()
        return next(
            (one for one in cases if one.request_id == request_id and one.state.ended), None
        )

    try:
        found = await until(there)
    except TimeoutError:
        raise AssertionError(await opened.storage.cases.everything()) from None
    assert found is not None
    return found


async def slashed(world: World, made: Requested) -> None:
    """The operator has lost the bond, and the requester has its fee back."""
    assert await world.state(made.id) is RequestState.SLASHED
    story = await world.client.story(made.id)
    assert story.refund == made.request.fee
    share = await world.contracts.staking.claimable(made.request.requester)
    assert share == made.request.bond // 5
    await world.until_job(made.id, JobState.SLASHED)


async def demanded(world: World, made: Requested, rows: int) -> RevealDemand:
    """A stranger's demand for the first leaf of the first output."""
    sender, contracts = world.chain.sender(Person.RELAYER), world.contracts
    await fund(world.chain.sender(Person.DEPLOYER), contracts, sender.address, opg=100 * OPG)
    story = await world.client.story(made.id)
    assert story.answered is not None
    answered = story.answered
    answer = Answer.of(
        made.id, made.request, answered.operator, answered.result, answered.trace_root
    )
    model = await contracts.registry.model(made.request.model_id)
    library = ModelLibrary(world.settings.model_store)
    program = load_program(library.read_program(model.terms.program_root))
    encoded = encode(program)
    record = open_record(encoded, program.producer[program.outputs[0]] + 1)
    place = encode_place(Place(encoded.header, record, 0, rows, 0, 0, 1))
    disputed = Disputed(made.request, AnswerCommitment.of(answer), model.registrar, model.terms)
    approval = contracts.token.approve_data(contracts.court.address, 100 * OPG)
    await sender.send(contracts.token.address, approval)
    calldata = contracts.court.demand_reveal_data(disputed, place, 50 * OPG)
    (event,) = decode_logs((await sender.send(contracts.court.address, calldata)).logs)
    assert isinstance(event, RevealDemanded)
    return event.demand


async def claimed_result(
    world: World, made: Requested, *, result: bytes, trace_root: bytes
) -> None:
    """The operator's key signs what it is told to, without a node."""
    oracle, signer = world.contracts.oracle, world.chain.sender(Person.SIGNER)
    answer = Answer.of(made.id, made.request, world.operator, result, trace_root)
    signature = signer_of(Person.SIGNER).sign_digest(answer.digest(oracle.domain))
    item = AnswerItem(made.request, result, trace_root)
    await signer.send(oracle.address, oracle.answer_data(item, world.operator, signature))
    assert await world.state(made.id) is RequestState.ANSWERED
