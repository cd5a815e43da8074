"""What must hold after every scenario, read afresh from the chain and from the database: V1 to V7.

    V1  each request that is live, payable and in time has one accepted answer, or an end with a
        reason in the job table
    V2  no request has cost more than one reverted transaction of ours
    V3  the job table is what a fresh reading of the canonical chain gives
    V4  nothing of ours is pending: the pool's nonce is the chain's
    V5  no two results of one request were ever signed and written down
    V6  escrow in = paid to operators + refunded + still open, to the base unit, and the job table
        has the same sum (`tests.support.books`)
    V7  a running node's health is green again; `until_red` is the other half

`settle_down` waits until a node has nothing left to do. Changes nothing.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil

from oracle.bootstrap.clock import SystemClock
from oracle.chain.codec import decode_logs
from oracle.chain.logs import LogScanner
from oracle.core import event as events
from oracle.core.job import Job, JobState
from oracle.core.transaction import Purpose, Transaction, TransactionState
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.devnet.accounts import Person, signer_of
from oracle.ports.health import Heartbeat
from oracle.service.watch import translate
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.lookup import Lookup
from oracle.storage.storage import Storage, open_storage
from tests.support.books import check_books
from tests.support.world import World, until

T = TypeVar("T")

_MISSED_BEATS_SECONDS = 7.0
"""Three beats of two seconds, and a little: a heartbeat that is older is red."""

_STANDS = {
    JobState.SEEN: "open",
    JobState.ADMITTED: "open",
    JobState.ACCEPTING: "open",
    JobState.ACCEPTED: "bound",
    JobState.COMPUTED: "bound",
    JobState.ANSWERING: "bound",
    JobState.FAILED: "bound",
    JobState.ANSWERED: "answered",
    JobState.SETTLING: "answered",
}
"""What the chain says of a request whose job stands in a state; the others are its own words."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything the invariants are about, read once."""

    world: World
    happened: tuple[events.ChainEvent, ...]
    jobs: dict[bytes, Job]
    transactions: dict[bytes, Sequence[Transaction]]
    cursor: events.BlockRef | None
    now: int

    @classmethod
    async def read(cls, world: World) -> Scene:
        stored, cursor = await standing_still(world, partial(_jobs, world))
        # After the cursor, so that everything is among it which the table was told of.
        happened = await _oracle_events(world)
        ids = [one.request_id for one in happened if isinstance(one, events.RequestSeen)]
        jobs = {job.request_id: job for job in stored}
        find = world.storage.transactions.transactions_for
        transactions = {one: await find(one) for one in {*ids, *jobs}}
        return cls(world, happened, jobs, transactions, cursor, await world.chain.time())


async def standing_still(
    world: World, read: Callable[[], Awaitable[T]]
) -> tuple[T, events.BlockRef | None]:
    """What is read of the table, and the cursor that goes with it, though a node reads on."""

    async def between_equal_looks() -> tuple[T, events.BlockRef | None] | None:
        before = await world.storage.jobs.cursor()
        found = await read()
        return (found, before) if before == await world.storage.jobs.cursor() else None

    seen = await until(between_equal_looks)
    assert seen is not None
    return seen


async def _jobs(world: World) -> Sequence[Job]:
    return await Lookup(world.storage.database).jobs([], 1_000_000)


async def check_invariants(
    world: World,
    *,
    quiet: bool = True,
    senders: Sequence[Address] = (signer_of(Person.SIGNER).address,),
) -> None:
    """Asserts V1 to V7.

    Args:
        quiet: whether a node had the time to finish everything (`settle_down`). Without, V1 is left
            out, and V3 is asked up to the block that was read last.
        senders: the keys that the nodes under test send with.
    """
    scene = await Scene.read(world)
    if quiet:
        check_every_request_has_its_end(scene)
    check_reverts(scene)
    await check_rescan(scene, to_head=quiet)
    await check_nonces(world, senders)
    check_one_result_each(scene)
    await check_books(world)
    await check_green(world)


async def settle_down(world: World) -> None:
    """Waits until everything that was read is finished, or cannot be, and nothing is open."""

    async def over() -> bool:
        busy = {
            JobState.SEEN,
            JobState.ADMITTED,
            JobState.ACCEPTING,
            JobState.ACCEPTED,
            JobState.COMPUTED,
            JobState.ANSWERING,
            JobState.SETTLING,
        }
        cursor = await world.storage.jobs.cursor()
        if cursor is None or cursor != await world.chain.head():
            return False
        # Read together: one that goes from one of these states to another is in each reading.
        unfinished = await world.storage.jobs.jobs(sorted({*busy, JobState.ANSWERED}), limit=1_000)
        if any(job.state is JobState.ANSWERED for job in unfinished):
            await world.chain.mine()  # its window ends by the chain's clock
        open_now = [
            one
            for person in (Person.SIGNER, Person.SECOND_SIGNER)
            for one in await world.storage.transactions.open_transactions(signer_of(person).address)
        ]
        return not open_now and not unfinished

    try:
        await until(over)
    except TimeoutError:
        latest = await Lookup(world.storage.database).jobs([], 20)
        stand = [(job.state.value, job.reason) for job in latest]
        raise AssertionError(f"never quiet: {stand}") from None


# ---- V1


def check_every_request_has_its_end(scene: Scene) -> None:
    """V1."""
    answers = Counter(
        one.request_id for one in scene.happened if isinstance(one, events.RequestAnswered)
    )
    assert not {one: count for one, count in answers.items() if count > 1}, "V1: two answers"
    for event in scene.happened:
        if not isinstance(event, events.RequestSeen) or not _concerns(scene, event):
            continue
        job = scene.jobs.get(event.request_id)
        assert job is not None, f"V1: 0x{event.request_id.hex()} was never seen"
        if answers[event.request_id]:
            continue
        assert job.state.terminal, f"V1: {job.state}, and nothing will come of it: {job.reason}"
        assert job.reason, f"V1: {job.state} without a reason"


def _concerns(scene: Scene, event: events.RequestSeen) -> bool:
    return event.request.operator in (ZERO_ADDRESS, scene.world.operator)


# ---- V2


def check_reverts(scene: Scene) -> None:
    """V2."""
    for request_id, sent in scene.transactions.items():
        reverted = [one for one in sent if one.state is TransactionState.REVERTED]
        assert len(reverted) <= 1, f"V2: 0x{request_id.hex()} cost {len(reverted)} reverts"


# ---- V3


async def check_rescan(scene: Scene, *, to_head: bool) -> None:
    """V3: reads the whole chain into a new database and compares what the chain decides."""
    world, cursor = scene.world, scene.cursor
    if cursor is None:
        assert not to_head, "V3: nothing was ever read"
        return
    head = await world.chain.head()
    canonical = await world.chain.rpc.block(cursor.number)
    if to_head:
        assert cursor == head, f"V3: read up to {cursor.number}, the head is {head.number}"
    elif canonical != cursor:
        return  # a reorg that nobody has had the time to read
    read = [one for one in scene.happened if one.position.block_number <= cursor.number]
    fresh = await _rescanned(world, read, cursor)
    found = {key: _facts(job) for key, job in scene.jobs.items()}
    expected = {key: _facts(job) for key, job in fresh.items()}
    for key, facts in expected.items():
        assert key in found, f"V3: 0x{key.hex()} is not in the job table"
        if scene.jobs[key].state is JobState.DECLINED:
            assert facts["stands"] in ("open", JobState.LOST), f"V3: declined, but {facts}"
            continue
        assert found[key] == facts, f"V3: 0x{key.hex()}"
    for key in found.keys() - expected.keys():
        state = scene.jobs[key].state
        assert state is JobState.ORPHANED, f"V3: 0x{key.hex()} is on no block, and {state}"


async def _rescanned(
    world: World, happened: Sequence[events.ChainEvent], last: events.BlockRef
) -> dict[bytes, Job]:
    with tempfile.TemporaryDirectory() as folder:
        storage: Storage = open_storage(str(Path(folder) / "fresh.sqlite"), SystemClock())
        try:
            seen, moves = translate(happened, world.operator)
            await storage.jobs.ingest(last, seen, moves)
            found = await Lookup(storage.database).jobs([], 1_000_000)
            return {job.request_id: job for job in found}
        finally:
            await storage.close()


def _facts(job: Job) -> dict[str, Any]:
    """What the chain decides of a job."""
    stands = _STANDS.get(job.state, job.state)
    return {
        "stands": stands,
        "request": job.request,
        "input": job.input,
        "place": (job.block_number, job.block_hash, job.log_index),
        "accepted": job.accepted,
        "blocks": (job.accepted_block, job.answered_block, job.settled_block, job.ended_block),
        "result": job.result if stands in ("answered", JobState.SETTLED) else None,
        "settle_at": job.settle_at,
        "fee_earned": job.fee_earned,
    }


# ---- V4


async def check_nonces(world: World, senders: Sequence[Address]) -> None:
    """V4."""
    for sender in senders:
        # In this order: what is sent and mined between the two looks is not pending.
        pending = await world.client.gateway.next_nonce(sender, pending=True)
        latest = await world.client.gateway.next_nonce(sender, pending=False)
        assert pending <= latest, f"V4: {pending - latest} transactions of {sender} are pending"
        waiting = (await world.chain.pool())["queued"].get(sender, {})
        assert not waiting, f"V4: transactions of {sender} wait for a nonce: {sorted(waiting)}"


# ---- V5


def check_one_result_each(scene: Scene) -> None:
    """V5: by every signed answer that was saved to be sent, on whichever fork, and by the logs."""
    signed: defaultdict[bytes, set[tuple[bytes, bytes]]] = defaultdict(set)
    for sent in scene.transactions.values():
        for one in sent:
            if one.purpose is Purpose.ANSWER:
                for request_id, claim in _claims(scene, one):
                    signed[request_id].add(claim)
    for event in scene.happened:
        if isinstance(event, events.RequestAnswered) and event.operator == scene.world.operator:
            signed[event.request_id].add((event.result, event.trace_root))
    for request_id, job in scene.jobs.items():
        if job.signature is not None and job.answer is not None:
            signed[request_id].add((job.result or b"", job.answer.trace_root))
    for request_id, claims in signed.items():
        assert len(claims) == 1, f"V5: 0x{request_id.hex()} has {len(claims)} signed results"


def _claims(scene: Scene, sent: Transaction) -> list[tuple[bytes, tuple[bytes, bytes]]]:
    """Request, result and trace root of each answer in a transaction's calldata."""
    functions = scene.world.contracts.oracle.abi.functions
    for name in ("answer", "answerBatch"):
        function = functions[name]
        if sent.call.data.startswith(function.selector):
            first = function.inputs.decode(sent.call.data, 4)[0]
            items = [first] if name == "answer" else first
            return [
                (request_id, (item[1], item[2]))
                for request_id, item in zip(_served(sent, items, scene), items, strict=True)
            ]
    raise AssertionError(f"an answer calls 0x{sent.call.data[:4].hex()}")


def _served(sent: Transaction, items: Sequence[Any], scene: Scene) -> list[bytes]:
    """The requests of the items, which stand in the same order."""
    assert len(items) == len(sent.request_ids)
    for item, request_id in zip(items, sent.request_ids, strict=True):
        assert scene.jobs[request_id].request.input_hash in item[0]
    return list(sent.request_ids)


# ---- V7


def heartbeat(world: World) -> Heartbeat | None:
    return HeartbeatFile(world.settings.data_dir / "node.json").read()


def is_green(world: World) -> bool:
    """Whether a node is alive, in time and without trouble, as `oracle node status` reads it."""
    beat = heartbeat(world)
    late = beat is not None and SystemClock().now() - beat.beat_at > _MISSED_BEATS_SECONDS
    return beat is not None and not late and not beat.trouble


async def check_green(world: World) -> None:
    """V7, of a node that runs and had the time to write its next beat."""
    beat = heartbeat(world)
    if beat is None or beat.ended or not psutil.pid_exists(beat.process_id):
        return
    try:
        await until_green(world)
    except TimeoutError:
        beat = heartbeat(world)
        raise AssertionError(f"V7: still red: {dict(beat.trouble) if beat else None}") from None


async def until_red(world: World, *, about: str) -> str:
    """What is wrong, in words that have these among them; V7: it shows."""

    async def red() -> str | None:
        beat = heartbeat(world)
        words = "; ".join(beat.trouble.values()) if beat is not None else ""
        return words if about in words else None

    found = await until(red)
    assert found
    return found


async def until_green(world: World) -> None:
    """V7: it is over, once whatever failed was tried again."""

    async def green() -> bool:
        return is_green(world)

    await until(green)


async def _oracle_events(world: World) -> tuple[events.ChainEvent, ...]:
    rpc, deployment = world.chain.rpc, world.deployment
    scanner = LogScanner(rpc, deployment.oracle)
    return decode_logs(await scanner.scan(deployment.deployed_block, (await rpc.latest()).number))
