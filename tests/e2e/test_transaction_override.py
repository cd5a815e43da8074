"""`oracle tx bump` and `oracle tx cancel` beside a node that runs, on a chain that stands still."""

from __future__ import annotations

import pytest

from oracle.bootstrap.transaction_override import opened_override
from oracle.core.job import JobState
from oracle.core.transaction import Purpose, SendOutcome, TransactionState
from oracle.errors import ChainRefused, InputError, NotFound
from tests.support.failures import thorough
from tests.support.invariants import settle_down
from tests.support.world import World


async def stuck_nonce(world: World, request_id: bytes) -> int:
    await world.until_job(request_id, JobState.ANSWERING)
    (sent,) = await world.storage.transactions.transactions_for(request_id)
    return sent.nonce


async def test_a_stuck_transaction_is_made_dearer_by_hand_and_then_mined(world: World) -> None:
    made = await world.ask()
    await world.chain.automine(False)
    async with world.node():
        nonce = await stuck_nonce(world, made.id)
        async with opened_override(world.settings, nonce) as (override, stuck):
            attempt, outcome, _ = await override.bump(stuck)
        assert outcome is SendOutcome.ACCEPTED
        assert 10 * attempt.fees.max_fee >= 11 * stuck.attempts[-1].fees.max_fee
        await world.chain.mine()
        await world.chain.automine(True)
        await world.until_settled(made.id)
        await settle_down(world)  # that it was mined is written down after what it said
    (answer, _) = await world.storage.transactions.transactions_for(made.id)
    assert len(answer.attempts) == 2
    assert answer.mined is not None
    assert answer.mined.attempt_hash == attempt.hash
    async with opened_override(world.settings, nonce) as (override, mined):
        with pytest.raises(InputError, match="is mined"):
            await override.bump(mined)


@thorough
async def test_a_stuck_transaction_is_cancelled_and_its_job_is_sent_for_again(world: World) -> None:
    made = await world.ask()
    await world.chain.automine(False)
    async with world.node():
        nonce = await stuck_nonce(world, made.id)
        async with opened_override(world.settings, nonce) as (override, stuck):
            _, outcome, _ = await override.cancel(stuck)
        assert outcome is SendOutcome.ACCEPTED
        waiting = await world.until_job(made.id, JobState.COMPUTED)
        assert waiting.reason == "its transaction was cancelled by hand"
        await world.chain.mine()
        await world.chain.automine(True)
        await world.until_settled(made.id)
        await settle_down(world)
    first, *_ = sent = await world.storage.transactions.transactions_for(made.id)
    assert [one.purpose for one in sent] == [Purpose.ANSWER, Purpose.ANSWER, Purpose.SETTLE]
    assert first.state is TransactionState.ABANDONED
    assert sent[1].nonce == nonce + 1
    assert (await world.storage.jobs.totals()).reverted == 0


async def test_what_cannot_be_done_is_said_and_changes_nothing(world: World) -> None:
    made = await world.ask()
    await world.chain.automine(False)
    async with world.node():
        nonce = await stuck_nonce(world, made.id)
        capped = world.settings.model_copy(update={"max_fee_gwei": 0.000001})
        async with opened_override(capped, nonce) as (override, stuck):
            for verb in (override.bump, override.cancel):
                with pytest.raises(ChainRefused, match="within the cap"):
                    await verb(stuck)
        with pytest.raises(NotFound, match="no transaction of ours"):
            async with opened_override(world.settings, nonce + 7):
                pass
        (sent,) = await world.storage.transactions.transactions_for(made.id)
        assert len(sent.attempts) == 1
        await world.chain.mine()
        await world.chain.automine(True)
        await world.until_settled(made.id)
