"""Keys elsewhere and keys that change: nothing is lost, nothing is signed that should not be."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oracle.chain.key_claim import keys_claimed
from oracle.chain.keystore import CHEAP_ITERATIONS, create_keystore
from oracle.core.job import JobState
from oracle.core.receipt import recover
from oracle.core.transaction import Purpose
from oracle.core.types import Address
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.errors import KeyInUse, KeystoreError
from oracle.storage.heartbeat import HeartbeatFile
from tests.support.failures import thorough
from tests.support.invariants import settle_down
from tests.support.signer_server import SignerServer
from tests.support.world import World, digit, until

FIRST = signer_of(Person.SIGNER).address
SECOND = signer_of(Person.SECOND_SIGNER).address


@pytest.fixture
async def server(world: World) -> AsyncIterator[SignerServer]:
    """A remote signer with the operator's hot key."""
    keys = world.settings
    assert keys.password_file is not None
    assert keys.signer_keystore is not None
    made = SignerServer(keys.password_file, keys.signer_keystore)
    await made.start()
    yield made
    made.kill()


def remote(server: SignerServer) -> dict[str, object]:
    return {"signer_keystore": None, "signer_url": server.url, "signer_address": FIRST}


def heartbeat(world: World) -> dict[str, str]:
    trouble: dict[str, str] = json.loads((world.settings.data_dir / "node.json").read_text())[
        "trouble"
    ]
    return trouble


async def spends(world: World, sender: Address) -> int:
    return await world.client.gateway.next_nonce(sender, pending=True)


async def test_a_node_waits_for_its_remote_signer_and_goes_on(
    world: World, server: SignerServer
) -> None:
    node = await world.process(**remote(server))
    await world.until_settled((await world.ask()).id)
    # Away before the result is signed: it is computed once, and waits with its result.
    server.kill()
    waiting = [(await world.ask(digit(index))).id for index in range(1, 4)]

    async def computed() -> bool:
        jobs = [await world.job(one) for one in waiting]
        return all(job is not None and job.result is not None for job in jobs)

    await until(computed)
    assert "no signature from" in await until(lambda: trouble(world, "infer"))
    before = [await world.until_job(one, JobState.ACCEPTED) for one in waiting]
    assert {job.signature for job in before} == {None}
    assert all("no signature from" in (job.reason or "") for job in before)
    spent = await spends(world, FIRST)
    # A node that dies meanwhile finds the results where it left them.
    await node.kill()
    node = await world.process(**remote(server))
    assert await spends(world, FIRST) == spent
    await server.start()
    after = await world.until_settled(*waiting)
    assert [job.inference_seconds for job in after] == [job.inference_seconds for job in before]
    assert [job.session for job in after] == [job.session for job in before]
    # Suspended while there is something to post and to settle.
    late = [(await world.ask(digit(index))).id for index in range(4, 6)]
    server.signal(signal.SIGSTOP)
    await asyncio.sleep(0.5)
    server.signal(signal.SIGCONT)
    await world.until_settled(*late)
    await until(lambda: healthy(world))
    assert (await world.storage.jobs.totals()).reverted == 0


async def trouble(world: World, step: str) -> str | None:
    return heartbeat(world).get(step)


async def healthy(world: World) -> bool:
    return not heartbeat(world)


async def test_a_signer_with_another_key_is_believed_nothing(
    world: World, server: SignerServer
) -> None:
    await world.process(**remote(server))
    await world.until_settled((await world.ask()).id)
    keys = world.settings
    assert keys.signer_keystore is not None
    assert keys.owner_keystore is not None
    server.kill()
    await server.start("--liar", keystores=(keys.signer_keystore, keys.owner_keystore))
    spent = await spends(world, FIRST)
    made = await world.ask(digit(1))

    async def alerted() -> bool:
        return "signed with the key of" in heartbeat(world).get("infer", "")

    await until(alerted)
    job = await world.until_job(made.id, JobState.ACCEPTED)
    assert job.signature is None
    assert await spends(world, FIRST) == spent
    # Mended, the same result is signed.
    server.kill()
    await server.start()
    (settled,) = await world.until_settled(made.id)
    await until(lambda: healthy(world))
    assert settled.signature is not None
    assert settled.answer is not None
    domain = world.contracts.oracle.domain
    assert recover(settled.answer.digest(domain), settled.signature) == FIRST


async def test_a_node_starts_without_its_remote_signer_but_not_without_its_key(
    world: World, server: SignerServer
) -> None:
    server.kill()
    made = await world.ask()
    async with world.node(**remote(server)):
        await world.until_job(made.id, JobState.ACCEPTED)
        await server.start()
        await world.until_settled(made.id)
    with pytest.raises(KeystoreError, match=r"the signer of .* is"):
        async with world.node(
            signer_keystore=world.settings.owner_keystore, next_signer_keystore=None
        ):
            pass


# ---- rotation


def second_keystore(world: World) -> Path:
    path = world.settings.data_dir / "keys" / "second.json"
    assert world.settings.password_file is not None
    password = world.settings.password_file.read_text().splitlines()[0]
    secret = secret_of(Person.SECOND_SIGNER)
    create_keystore(path, password, secret=secret, iterations=CHEAP_ITERATIONS)
    return path


async def rotate(world: World) -> int:
    """The owner announces the second key; the Unix second from which it signs."""
    owner = world.chain.sender(Person.OWNER)
    staking = world.contracts.staking
    sent = await owner.send(staking.address, staking.rotate_signer_data(SECOND))
    block = await world.chain.rpc.block(sent.mined.block_number)
    assert block is not None
    return block.timestamp + await staking.signer_delay()


QUICK_LOOKS = {"signer_check_seconds": 0.5, "handover_seconds": 4.0}


async def reached(asked: list[bytes], count: int) -> bool:
    return len(asked) >= count


async def past(world: World, unix_seconds: int) -> bool:
    return await world.chain.time() > unix_seconds


async def test_the_signer_changes_under_load_and_no_request_is_lost(world: World) -> None:
    """Told by a SIGHUP; asked all the while, some by name and some of anybody."""
    worker = await world.worker(**QUICK_LOOKS, log_level="info")
    asked: list[bytes] = []
    effective_at = 0
    over = asyncio.Event()

    async def ask_on() -> None:
        while not over.is_set():
            offered = len(asked) % 3 != 0
            terms = {} if offered else {"operator": None}
            asked.append((await world.ask(digit(len(asked) % 40), **terms)).id)
            await asyncio.sleep(0.1)

    asking = asyncio.create_task(ask_on())
    try:
        effective_at = await rotate(world)
        await until(lambda: said(worker.log_file, "another signer is announced"))
        assert "next_signer_keystore" in worker.log_file.read_text()
        world.write_settings(
            **QUICK_LOOKS, log_level="info", next_signer_keystore=second_keystore(world)
        )
        worker.process.send_signal(signal.SIGHUP)
        await until(lambda: said(worker.log_file, "keys read again"))
        await until(lambda: said(worker.log_file, "signer changed"))
        before = len(asked)
        await until(lambda: reached(asked, max(20, before + 5)))
        # What is asked last is asked of the second key: more than its first second has passed.
        await until(lambda: past(world, effective_at))
    finally:
        over.set()
        await asking
    settled = await world.until_settled(*asked)
    await settle_down(world)  # that an answer was mined is written down after what it said
    totals = await world.storage.jobs.totals()
    assert totals.reverted == 0
    assert len(settled) == len(asked)
    senders = set()
    for job in settled:
        sent = await world.storage.transactions.transactions_for(job.request_id)
        (answer,) = [one for one in sent if one.purpose is Purpose.ANSWER]
        senders.add(answer.sender)
        assert answer.mined is not None
        block = await world.chain.rpc.block(answer.mined.block_number)
        assert block is not None
        assert (answer.sender == SECOND) == (block.timestamp >= effective_at)
    assert senders == {FIRST, SECOND}


async def said(log: Path, what: str) -> bool:
    return what in log.read_text()  # noqa: ASYNC240 - takes no time


async def test_what_else_has_changed_in_the_settings_is_said_to_wait(world: World) -> None:
    worker = await world.worker(log_level="info")
    await until(lambda: said(worker.log_file, "leading"))
    world.write_settings(log_level="info", answer_batch=7, next_signer_keystore=None)
    worker.process.send_signal(signal.SIGHUP)
    await until(lambda: said(worker.log_file, "keys read again"))
    (line,) = [
        one for one in worker.log_file.read_text().splitlines() if "wait for a restart" in one
    ]
    assert "answer_batch" in line
    assert "keystore" not in line

    async def waiting() -> list[str] | None:
        beat = HeartbeatFile(world.settings.data_dir / "node.json").read()
        return None if beat is None else list(beat.settings_waiting)

    async def waits(*names: str) -> bool:
        return await waiting() == list(names)

    await until(lambda: waits("answer_batch"))
    world.write_settings(log_level="info", next_signer_keystore=None)
    worker.process.send_signal(signal.SIGHUP)
    await until(waits)


async def test_what_a_former_key_left_open_is_not_lost_without_it(world: World) -> None:
    """Signed by the first key, dropped from the pool; started again with the second key alone."""
    node = await world.process()
    await world.chain.automine(False)
    oracle = world.contracts.oracle
    params = await world.params()
    request = oracle.request_data(params, digit().tobytes())
    requester = signer_of(Person.REQUESTER).address
    message = {"from": requester, "to": oracle.address, "data": "0x" + request.hex()}
    await world.chain.rpc.request("eth_sendTransaction", [message])
    await world.chain.mine()

    async def posted() -> list[bytes]:
        open_now = await world.storage.transactions.open_transactions(FIRST)
        return [one.attempts[0].hash for one in open_now]

    (lost,) = await until(posted)
    await node.kill()
    await world.chain.rpc.request("anvil_dropTransaction", ["0x" + lost.hex()])
    await world.chain.automine(True)
    (sent,) = await world.storage.transactions.open_transactions(FIRST)
    await rotate(world)
    await world.chain.increase_time(await world.contracts.staking.signer_delay() + 1)
    async with world.node(signer_keystore=second_keystore(world), **QUICK_LOOKS):
        (settled,) = await world.until_settled(*sent.request_ids)
        await settle_down(world)
    assert settled.answer is not None
    totals = await world.storage.jobs.totals()
    assert totals.reverted <= 1
    assert not await world.storage.transactions.open_transactions(FIRST)


async def test_a_key_without_gas_costs_no_answer_while_the_former_is_here(world: World) -> None:
    await world.chain.set_balance(SECOND, 0)
    async with world.node(**QUICK_LOOKS, next_signer_keystore=second_keystore(world)):
        await rotate(world)
        await world.chain.increase_time(await world.contracts.staking.signer_delay() + 1)
        made = await world.ask()
        (settled,) = await world.until_settled(made.id)
        poor = await until(lambda: transactions_trouble(world))
        assert f"{SECOND} has no gas" in poor
        await world.chain.set_balance(SECOND, 10**18)
        await until(lambda: healthy(world))
        await world.until_settled((await world.ask(digit(1))).id)
        assert await spends(world, SECOND) > 0
    sent = await world.storage.transactions.transactions_for(made.id)
    assert {one.sender for one in sent} == {FIRST}
    assert settled.answer is not None
    assert settled.signature is not None


async def transactions_trouble(world: World) -> str | None:
    return heartbeat(world).get("transactions")


@thorough
async def test_a_keystore_is_replaced_under_a_running_node(world: World) -> None:
    """Nothing changes until it is told; then what is no good is refused, and the rest taken up."""
    assert world.settings.signer_keystore is not None
    keystore = world.settings.data_dir / "keys" / "hot.json"
    keystore.parent.mkdir()
    good = world.settings.signer_keystore.read_text()
    keystore.touch(0o600)
    keystore.write_text(good)
    log = world.settings.data_dir / "node.log"
    worker = await world.worker(signer_keystore=keystore, log_level="info", **QUICK_LOOKS)
    told = 0

    async def answers(index: int) -> None:
        await world.until_settled((await world.ask(digit(index))).id)

    async def tell(expected: str) -> None:
        nonlocal told
        worker.process.send_signal(signal.SIGHUP)
        told += 1
        await until(lambda: said_often(log, "keys not read again", told))
        assert expected in log.read_text()

    await answers(0)
    for text, mode, expected in (
        ("half a keyst", 0o600, "is not a keystore"),
        (good, 0o644, "is open to others"),
        (good.replace('"mac": "', '"mac": "00'), 0o600, "cannot decrypt"),
    ):
        keystore.write_text(text)
        keystore.chmod(mode)
        await tell(expected)
        await answers(told)
    keystore.unlink()
    await tell("there is no keystore")
    await answers(told)
    # The next key in the place of the present one is as good as one that is named apart.
    keystore.write_text(second_keystore(world).read_text())
    keystore.chmod(0o600)
    genesis = world.deployment.genesis_hash
    async with keys_claimed(world.deployment.chain_id, genesis, [SECOND], "another database"):
        await tell("for another database")
    worker.process.send_signal(signal.SIGHUP)
    await until(lambda: said(log, "keys read again"))
    with pytest.raises(KeyInUse):
        async with keys_claimed(world.deployment.chain_id, genesis, [SECOND], "another database"):
            pass
    await answers(7)
    await rotate(world)
    await world.chain.increase_time(await world.contracts.staking.signer_delay() + 1)
    await until(lambda: said(log, "signer changed"))
    await answers(8)
    assert (await world.storage.jobs.totals()).reverted == 0


async def said_often(log: Path, what: str, times: int) -> bool:
    return log.read_text().count(what) >= times  # noqa: ASYNC240 - takes no time
