"""From a wrong answer to its conviction: an operator that cheats and a watcher, on 1 s blocks.

The operator is a process of its own that runs cheaper copies of the models; the watcher has no
model and no file at first, and fetches what it needs from the operator. One answer at a time.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from oracle.bench.latency import BlockClock, block_clock
from oracle.bench.stage import Stage, stage, working
from oracle.bootstrap.devnet import OPG, keep_time, standing_offer, write_settings
from oracle.bootstrap.models import add_model, prepare_model
from oracle.bootstrap.sample_rows import read_rows
from oracle.bootstrap.watcher import OpenWatcher, open_watcher
from oracle.chain.court_contract import CourtBinding
from oracle.chain.wire import to_hex, to_int
from oracle.client import OracleClient
from oracle.core.case import Case, CaseState
from oracle.core.event import AnswerVoided
from oracle.core.tensor import encode_inputs
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from oracle.errors import InputError, NoAnswer
from oracle.inference.model_library import ModelLibrary
from oracle.inference.probe_rows import probe_rows
from oracle.ports.inference import Tensors
from oracle.settings_file import load
from oracle.watcher.policy import WatcherPolicy

Say = Callable[[str], None]

BLOCK_SECONDS: Final = 1
TARGET_SECONDS: Final = 10.0
"""What detection and conviction may take, and two blocks more."""

_VIOLATION = re.compile(r"\((\w+) .*\), tensor '(.*)', element (\d+)")
_WINDOW_SECONDS = 300
_PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Subject:
    """A registered model and a row of input."""

    name: str
    id: bytes
    inputs: Tensors


@dataclass(frozen=True, slots=True)
class Conviction:
    """What became of one wrong answer. Seconds are from when its block could be seen.

    Attributes:
        detection_seconds: to the watcher's having a proof.
        transaction_seconds: from there to the block that convicts.
        blocks: from the answer's block to the conviction's.
        found: what the watcher took to the court, in its words.
    """

    model: str
    detection_seconds: float
    transaction_seconds: float
    total_seconds: float
    blocks: int
    gas: int
    proof_bytes: int
    found: str

    @property
    def ok(self) -> bool:
        return self.total_seconds <= TARGET_SECONDS + 2 * BLOCK_SECONDS


@dataclass(frozen=True, slots=True)
class Convictions:
    """All of them, by proofs that nobody announced, and of the first model one that was announced.

    `announcement_seconds` is the least age of an announcement in this deployment.
    """

    of: list[Conviction]
    announced: Conviction
    announcement_seconds: int


async def measure(names: Sequence[str], files: Sequence[Path], cheat: str, say: Say) -> Convictions:
    """A wrong answer of each model, and its conviction.

    Args:
        names: of samples.
        files: further ONNX files; their one row of input is made up.
        cheat: the module that runs the dishonest operator, as `python -m` takes it.

    Raises:
        OracleError: an answer was not given, or not convicted.
    """
    say("models: a devnet with all of them")
    async with stage() as on:
        subjects = [_of_sample(on, name) for name in names]
        subjects += [await _of_file(on, file, say) for file in files]
        court = CourtBinding(on.devnet.rpc, on.contracts.deployment.court)
        age = (await court.limits()).announcement_age
        client = OracleClient(on.devnet.rpc, on.contracts.deployment, signer_of(Person.REQUESTER))
        async with working(on, program=(cheat,)), block_clock(on.devnet.rpc) as clock:
            await keep_time(on.devnet, BLOCK_SECONDS)
            first = subjects[0]
            async with _watching(on, "announcing", announce=True) as opened:
                announced = await _convicted(on, client, opened, clock, first, CaseState.CONVICTED)
            async with _watching(on, "opening-accounts") as opened:
                await _convicted(on, client, opened, clock, first)
            found = []
            async with _watching(on, "measured") as opened:
                for subject in subjects:
                    found.append(await _convicted(on, client, opened, clock, subject))
                    one = found[-1]
                    say(f"models: {one.model} in {one.total_seconds:.1f} s, {one.found}")
        return Convictions(found, announced, age)


def _of_sample(on: Stage, name: str) -> Subject:
    chosen = sample(name)
    schema = prepare_model(chosen.file, manifest=chosen.manifest()).schema
    (row,) = read_rows(chosen.held_out, schema, most=1)
    return Subject(name, on.ready.models[name], row)


async def _of_file(on: Stage, file: Path, say: Say) -> Subject:
    """Registers a model, and has the operator offer it."""
    say(f"models: preparing {file.name}")
    prepared = await asyncio.to_thread(prepare_model, file)
    rows = list(islice(probe_rows(prepared.schema), 1))
    size = len(encode_inputs(prepared.schema, rows[0]))
    most = (await on.contracts.oracle.limits()).max_input_bytes
    if size > most:
        raise InputError(
            f"a row of {file.name} has {size:,} bytes, and a request holds {most:,}",
            hint="give a model of smaller inputs, such as a network of smaller images",
        )
    owner, staking = on.sender(Person.OWNER), on.contracts.staking
    added = await add_model(
        prepared,
        ModelLibrary(on.settings.model_store),
        on.sender(Person.DEPLOYER),
        on.contracts,
        name=file.stem,
        uri="",
        challenge_window=_WINDOW_SECONDS,
        min_bond=10 * OPG,
    )
    await owner.send(staking.address, staking.set_offer_data(added.id, standing_offer()))
    return Subject(file.stem, added.id, rows[0])


@asynccontextmanager
async def _watching(on: Stage, name: str, *, announce: bool = False) -> AsyncIterator[OpenWatcher]:
    """A watcher of the answers to come, with a folder of its own."""
    folder = on.folder / name
    folder.mkdir()
    file = write_settings(
        folder,
        on.operator,
        {"requester": Person.WATCHER},
        serve_port=0,
        rpc_url=on.devnet.state.url,
        deployment=on.settings.deployment_path.absolute(),
    )
    # What it finds is told in the table.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    policy = WatcherPolicy(start_block=(await on.devnet.rpc.latest()).number, announce=announce)
    async with open_watcher(load(file), signer_of(Person.WATCHER), policy) as opened:
        running = asyncio.create_task(opened.watcher.run())
        try:
            yield opened
        finally:
            opened.watcher.stop()
            await running


async def _convicted(
    on: Stage,
    client: OracleClient,
    opened: OpenWatcher,
    clock: BlockClock,
    subject: Subject,
    end: CaseState = CaseState.HELD,
) -> Conviction:
    made = await client.request(
        subject.id, subject.inputs, operator=on.operator, window=_WINDOW_SECONDS
    )
    accused = await _case(opened, made.id, CaseState.ACCUSED)
    proven_at = time.monotonic()
    await _case(opened, made.id, end)
    story = await client.story(made.id)
    answered, voided = story.answered, story.find(AnswerVoided)
    assert answered is not None
    assert voided is not None
    first, last = answered.position.block_number, voided.position.block_number
    await clock.reach(last)
    receipt = await on.devnet.rpc.request(
        "eth_getTransactionReceipt", [to_hex(voided.position.transaction_hash)]
    )
    assert accused.proof is not None
    return Conviction(
        model=subject.name,
        detection_seconds=proven_at - clock.seen[first],
        transaction_seconds=clock.seen[last] - proven_at,
        total_seconds=clock.seconds_between(first, last),
        blocks=last - first,
        gas=to_int(receipt["gasUsed"]),
        proof_bytes=len(accused.proof),
        found=_short(accused.reason),
    )


def _short(reason: str) -> str:
    """Opcode, tensor and element of a violation; the whole reason where it is about none."""
    named = _VIOLATION.search(reason)
    return reason if named is None else "{} {} [{}]".format(*named.groups())


async def _case(opened: OpenWatcher, request_id: bytes, state: CaseState) -> Case:
    """The case of an answer when it gets to a state.

    Raises:
        NoAnswer: it does not, or it ends otherwise.
    """
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    case = None
    while time.monotonic() < give_up_at:
        cases = await opened.storage.cases.everything()
        case = next((one for one in cases if one.request_id == request_id), None)
        if case is not None and case.state is state:
            return case
        if case is not None and case.state.ended:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    found = "no answer was seen" if case is None else f"the case is {case.state}: {case.reason}"
    raise NoAnswer(f"a wrong answer was not convicted; {found}")
