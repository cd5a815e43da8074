"""A reorg un-mines what we sent: the same bytes again, and nothing is earned twice."""

from __future__ import annotations

from oracle.core.job import JobState
from oracle.core.transaction import Purpose, TransactionState
from tests.chaos.acts import SIGNER, answers_to, foreign, raw_of, sent_for, states
from tests.support.failures import failure, thorough
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import OPG, World, until


@thorough
@failure(2, "only the answer vanishes")
async def test_an_answer_that_is_unmined_is_sent_again_with_the_same_bytes(arena: World) -> None:
    await arena.process()
    made = await arena.ask()
    answered = await arena.until_job(made.id, JobState.ANSWERED)
    (before,) = await answers_to(arena, made.id)
    await arena.chain.reorg(1)
    (settled,) = await arena.until_settled(made.id)
    assert settled.signature == answered.signature
    await settle_down(arena)
    (after,) = await answers_to(arena, made.id)
    assert raw_of(after) == raw_of(before)
    await check_invariants(arena)


@failure(2, "the request is mined again, the answer is not")
async def test_a_request_that_is_mined_again_alone_gets_the_same_answer_again(
    arena: World,
) -> None:
    made = await arena.ask()
    request = await arena.chain.raw_transaction(made.sent.hash)
    await arena.process()
    answered = await arena.until_job(made.id, JobState.ANSWERED)
    (before,) = await answers_to(arena, made.id)
    await arena.chain.reorg(2, [(request, 1)])
    (settled,) = await arena.until_settled(made.id)
    assert (settled.signature, settled.session) == (answered.signature, answered.session)
    await settle_down(arena)
    (after,) = await answers_to(arena, made.id)
    assert raw_of(after) == raw_of(before)
    await check_invariants(arena)


@failure(2, "and somebody else's transaction takes our nonce")
async def test_an_answer_whose_nonce_is_taken_on_the_new_fork_is_sent_with_another(
    arena: World,
) -> None:
    await arena.process()
    made = await arena.ask()
    answered = await arena.until_job(made.id, JobState.ANSWERED)
    (before,) = await answers_to(arena, made.id)
    await arena.chain.reorg(1, [(await foreign(arena, before.nonce), 0)])
    (settled,) = await arena.until_settled(made.id)
    assert settled.signature == answered.signature
    await settle_down(arena)
    sent = await answers_to(arena, made.id)
    assert states(sent) == [TransactionState.ABANDONED, TransactionState.MINED]
    assert sent[1].nonce == before.nonce + 1
    assert len(arena.logged("somebody else sends with this node's key")) == 1
    await check_invariants(arena)


@thorough
@failure(2, "the settlement vanishes")
async def test_a_settlement_that_is_unmined_earns_its_fee_once(arena: World) -> None:
    earlier = (await arena.storage.jobs.totals()).fees_earned
    await arena.process()
    made = await arena.ask()
    await arena.until_settled(made.id)
    await arena.chain.reorg(1)
    await arena.until_job(made.id, JobState.SETTLING)
    await arena.until_settled(made.id)
    await settle_down(arena)
    job = await arena.job(made.id)
    assert job is not None
    assert job.fee_earned == OPG
    assert earlier == 0
    await check_invariants(arena)


@thorough
@failure(2, "answer and settlement vanish")
async def test_an_answer_and_its_settlement_are_sent_again_and_earn_once(arena: World) -> None:
    await arena.process()
    made = await arena.ask()
    await arena.until_settled(made.id)
    await settle_down(arena)
    head = (await arena.chain.head()).number
    answered = await arena.job(made.id)
    assert answered is not None
    assert answered.answered_block is not None
    await arena.chain.reorg(head - answered.answered_block + 1)
    await arena.until_settled(made.id)
    await settle_down(arena)
    sent = await sent_for(arena, made.id)
    answer, *settlements = [one.purpose for one in sent]
    assert answer is Purpose.ANSWER
    # The first settlement has its nonce, and may come before the new answer's window is over: then
    # it is mined without an effect, and another one earns the fee.
    assert settlements in ([Purpose.SETTLE], [Purpose.SETTLE] * 2)
    job = await arena.job(made.id)
    assert job is not None
    assert job.fee_earned == OPG
    await check_invariants(arena)


@thorough
@failure(2, "the transaction that took our nonce vanishes in its turn")
async def test_a_nonce_that_a_reorg_gives_back_is_used_up(arena: World) -> None:
    """What was given up for it is not sent again: what came after it would wait for ever."""
    await arena.process()
    made = await arena.ask()
    await arena.until_job(made.id, JobState.ANSWERED)
    (before,) = await answers_to(arena, made.id)
    await arena.chain.reorg(1, [(await foreign(arena, before.nonce), 0)])

    async def answered_again() -> bool:
        sent = await answers_to(arena, made.id)
        return states(sent) == [TransactionState.ABANDONED, TransactionState.MINED]

    await until(answered_again)
    head = (await arena.chain.head()).number
    again = (await answers_to(arena, made.id))[1]
    assert again.mined is not None
    # Both blocks vanish: the stranger's, and that of our answer with the nonce after it.
    await arena.chain.reorg(head - again.mined.block_number + 2)
    await arena.until_settled(made.id)
    await settle_down(arena)
    assert await arena.client.gateway.next_nonce(SIGNER.address, pending=False) >= before.nonce + 3
    assert len(arena.logged("nonce gap")) == 1
    await check_invariants(arena)
