"""What a reader gets: answers that are waited for, receipts, and signatures that are checked."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from oracle.client import OracleClient, Waiting, connect
from oracle.core.job import JobState
from oracle.core.receipt import Receipt
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_ADDRESS
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import (
    ConfigurationError,
    ContractReverted,
    InputError,
    NoAnswer,
    NoAnswerYet,
    NotFound,
    SignatureError,
    WrongChain,
)
from tests.support.world import DIGITS, OPG, World, until

UNKNOWN = b"\x0f" * 32


async def test_waiting_ends_when_time_is_up_and_says_where_the_request_stands(
    world: World,
) -> None:
    bound = await world.ask()
    unbound = await world.ask(fee=OPG, open_to_all=True)
    for made, state in (
        (bound, f"accepted: {world.operator} is bound to answer it"),
        (unbound, "requested: nobody has taken it yet"),
    ):
        with pytest.raises(
            NoAnswerYet, match=f"no answer after 0 s; the request is {state}"
        ) as caught:
            await world.client.wait(made.id, timeout=0)
        assert f"oracle reclaim 0x{made.id.hex()}" in (caught.value.hint or "")
        with pytest.raises(NoAnswerYet, match="has no answer"):
            await world.client.result(made.id)
        with pytest.raises(NoAnswerYet, match="no receipt"):
            await world.client.receipt(made.id)


async def test_what_nobody_took_is_cancelled_before_its_deadline_and_not_reclaimed(
    world: World,
) -> None:
    unbound = await world.ask(fee=OPG, open_to_all=True)
    with pytest.raises(ContractReverted, match="DeadlineNotPassed") as caught:
        await world.client.reclaim(unbound.id)
    hint = caught.value.hint or ""
    assert f"`oracle cancel 0x{unbound.id.hex()}`) gives the fee back at once" in hint
    assert "s more, until the deadline is over" in hint
    with pytest.raises(ContractReverted, match="DeadlineNotPassed") as caught:
        await world.client_of(Person.PAYEE).reclaim(unbound.id)
    assert (caught.value.hint or "").startswith("wait "), "who did not ask cannot cancel"


async def test_an_id_that_was_never_requested_is_not_found(world: World) -> None:
    client = world.client
    for reading in (client.wait, client.result, client.receipt, client.story):
        with pytest.raises(NotFound, match="has no request"):
            await reading(UNKNOWN)


async def test_waiting_for_a_request_that_ended_is_no_answer(world: World) -> None:
    silent = await world.ask(operator=world.operator)
    expired = await world.ask(fee=OPG, open_to_all=True)
    cancelled = await world.ask(fee=OPG, open_to_all=True)
    await world.client.cancel(cancelled.id)
    await world.chain.travel_past(max(silent.request.deadline, expired.request.deadline))
    for made in (silent, expired):
        await world.client.reclaim(made.id)
    for made, state in ((silent, "defaulted"), (expired, "expired"), (cancelled, "cancelled")):
        for reading in (world.client.wait, world.client.result, world.client.receipt):
            with pytest.raises(
                NoAnswer, match=state if reading == world.client.wait else "no "
            ) as no:
                await reading(made.id)
            assert not isinstance(no.value, NoAnswerYet)


async def test_waiting_ends_when_the_deadline_passes_on_the_chain(world: World) -> None:
    """And long before its own time is up; whoever asked, and whoever waits."""
    bound = await world.ask(operator=world.operator, time_to_answer=20)
    unbound = await world.ask(fee=OPG, open_to_all=True, time_to_answer=30)
    looks: list[Waiting] = []
    stranger = world.client_of(Person.WATCHER)
    waiting = asyncio.gather(
        *(
            client.wait(made.id, look=looks.append)
            for made in (bound, unbound)
            for client in (world.client, stranger)
        ),
        return_exceptions=True,
    )
    await until(lambda: asyncio.sleep(0, len(looks) >= 4))
    last = max(bound.request.deadline, unbound.request.deadline)
    await world.chain.travel_past(last)
    ended = await waiting
    now = await world.chain.time()
    for error, made in zip(ended, (bound, bound, unbound, unbound), strict=True):
        assert type(error) is NoAnswer
        late = now - made.request.deadline
        assert error.message == f"the deadline passed {late} s ago and nobody answered"
        assert error.cli_hint == f"`oracle reclaim 0x{made.id.hex()}` gets the fee back"
    told = {str(one).split(";")[0] for one in looks}
    assert told == {f"accepted by {world.operator[:6]}…", "accepted by nobody yet"}
    assert all("s left to answer" in str(one) for one in looks)


async def test_a_deadline_that_only_the_next_block_will_pass_is_told_at_the_end(
    world: World,
) -> None:
    """On a chain that mines on demand no block may ever say how late it is."""
    made = await world.ask(operator=world.operator, time_to_answer=20)
    await world.chain.rpc.request("evm_increaseTime", ["0x1c20"])
    with pytest.raises(NoAnswer, match="s ago and nobody answered"):
        await world.client.wait(made.id, timeout=0)


async def test_ids_are_taken_as_they_are_printed(world: World) -> None:
    made = await world.ask()
    printed = f"0x{made.id.hex()}"
    assert printed in str(made)
    async with world.node():
        answer = await world.client.wait(printed)
    client = world.client
    assert (await client.result(printed)).request_id == made.id == answer.request_id
    assert await client.story(printed) == await client.story(made.id)
    assert await client.state(printed) == await client.state(made.id)
    assert await client.receipt(printed) == await client.receipt(made.id)
    assert await client.offers("0x" + world.models[DIGITS].hex()) != []
    other = await world.ask(fee=OPG, open_to_all=True)
    await client.cancel("0x" + other.id.hex())
    with pytest.raises(InputError, match="nothing to reclaim"):
        await client.reclaim(printed)
    assert (
        repr(made.sent) == f"Sent(0x{made.sent.hash.hex()}, block {made.sent.mined.block_number})"
    )
    with pytest.raises(InputError, match="is nothing to wait for"):
        await client.wait(printed, until="settled")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is not a request id"):
        await client.wait(made)  # type: ignore[arg-type]
    for wrong in ("0x12", "digits-mlp", b"short"):
        for reading in (client.wait, client.result, client.receipt, client.story, client.state):
            with pytest.raises(InputError, match="is not a request id") as caught:
                await reading(wrong)
            assert "64 hex digits" in (caught.value.hint or "")


async def test_an_answer_can_be_had_before_it_is_final(world: World) -> None:
    made = await world.ask(window=60)
    async with world.node():
        early = await world.client.wait(made.id, until="answered")
        assert not early.final
        looks: list[Waiting] = []
        with pytest.raises(NoAnswerYet, match="no final answer after 0 s; the request is answered"):
            await world.client.wait(made.id, timeout=0, look=looks.append)
        assert [str(one).startswith("final in ") for one in looks] == [True]
        await world.chain.travel_past(early.settle_at)
        final = await world.client.wait(made.id)
        assert final.final
        await world.until_settled(made.id)
    assert str(early).startswith(f"answer of {world.operator}, not final before")
    assert "one wrong element, shown while it is not final, voids it" in str(early)
    assert "nobody showed a wrong element in its window" in str(final)
    assert early.outputs["label"].tolist() == final.outputs["label"].tolist()
    assert not final.outputs["label"].flags.writeable


async def receipts(world: World) -> tuple[Receipt, Receipt]:
    """One of an answer that came alone, and one of an answer that came in a batch."""
    alone, *batch = await world.ask_several(3)
    async with world.node():
        await world.until_settled(alone.id, *(made.id for made in batch))
    return await world.client.receipt(alone.id), await world.client.receipt(batch[0].id)


async def test_receipts_are_read_from_the_chain_and_prove_who_signed_what(world: World) -> None:
    alone, batched = await receipts(world)
    assert alone.batch == ()
    assert len(batched.batch) > 1
    for receipt in (alone, batched):
        await world.client.verify_signature(receipt)
        assert receipt.signer == signer_of(Person.SIGNER).address
        assert receipt.answer.operator == world.operator
        job = await world.job(receipt.answer.request_id)
        assert job is not None
        assert job.answer == receipt.answer
    assert alone.signature == (await signature(world, alone))

    others = tuple(one for one in batched.batch if one != batched.answer.struct_hash())
    tampered = replace(alone.answer, result_hash=b"\x01" * 32)
    stranger = signer_of(Person.WATCHER)
    own = stranger.sign_digest(alone.answer.digest(alone.domain))
    for wrong, why in (
        (replace(alone, answer=tampered), "signed by"),
        (replace(alone, signer=stranger.address), "signed by"),
        (replace(alone, signer=stranger.address, signature=own), "was never a signer of"),
        (replace(alone, domain=Domain(1, alone.domain.verifying_contract)), "another chain"),
        (replace(alone, domain=Domain(alone.domain.chain_id, ZERO_ADDRESS)), "another oracle"),
        (replace(alone, signature=alone.signature[:64] + b"\x00"), "27 or 28"),
        (replace(batched, batch=others), "not in the batch"),
        (replace(batched, batch=batched.batch[::-1]), "signed by"),
        (replace(batched, batch=()), "signed by"),
        (replace(batched, answer=alone.answer), "not in the batch"),
    ):
        with pytest.raises(SignatureError, match=why):
            await world.client.verify_signature(wrong)


async def signature(world: World, receipt: Receipt) -> bytes | None:
    job = await world.job(receipt.answer.request_id)
    assert job is not None
    assert job.state is JobState.SETTLED
    return job.signature


async def test_reading_needs_no_key_and_asking_does(world: World) -> None:
    reader = OracleClient(world.chain.rpc, world.deployment, None)
    made = await world.ask()
    assert (await reader.story(made.id)).operator == world.operator
    with pytest.raises(ConfigurationError, match="needs a key") as caught:
        await reader.cancel(made.id)
    assert "signer" in (caught.value.hint or "")
    assert "requester_keystore" in (caught.value.cli_hint or "")


async def test_connecting_checks_that_the_deployment_is_on_the_chain(world: World) -> None:
    path = world.settings.deployment_path
    async with connect(world.chain.url, path) as client:
        assert client.deployment == world.deployment
    with pytest.raises(ConfigurationError, match="no deployment file"):
        async with connect(world.chain.url, path.with_name("absent.json")):
            pass
    for other in (
        replace(world.deployment, chain_id=1),
        replace(world.deployment, genesis_hash=b"\x01" * 32),
        replace(world.deployment, oracle=ZERO_ADDRESS),
    ):
        with pytest.raises(WrongChain):
            async with connect(world.chain.url, other):
                pass


async def test_the_library_prints_nothing(world: World, tmp_path: Path) -> None:
    program = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from oracle.client import Deployment, OracleError, connect

async def main():
    other = replace(Deployment.load(Path(sys.argv[2])), chain_id=1)
    async with connect([sys.argv[1], sys.argv[1]], other):
        pass

try:
    asyncio.run(main())
except OracleError as error:
    print(type(error).__name__)
"""
    path = str(world.settings.deployment_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, world.chain.url, path, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert (out, err) == (b"WrongChain\n", b"")
