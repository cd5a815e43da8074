"""Receipts out of a node's stores: what is posted alone or in a batch, and what has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from oracle.bootstrap.receipts import NodeReceipts
from oracle.chain.oracle_contract import OracleBinding
from oracle.core.event import BlockRef, RequestSeen
from oracle.core.job import JobState, Trigger
from oracle.core.model import Model, ModelTerms
from oracle.core.receipt import answer_batch_digest
from oracle.core.saved_receipt import Contracts, SavedReceipt
from oracle.core.transaction import Call, Mined, Purpose
from oracle.core.typed_data import Domain
from oracle.core.types import Tier
from oracle.devnet.accounts import Person, signer_of
from oracle.ports.contracts import AnswerItem
from oracle.ports.jobs import JobMove, JobPatch
from oracle.storage import Storage
from tests.support.scene import SCHEMA

from .building import (
    ALICE,
    OPERATOR,
    ORACLE,
    answer_to,
    attempt,
    block,
    block_hash,
    bring_to,
    computed,
    mined,
    prepared,
    request,
    seen,
)

DOMAIN = Domain(31337, ORACLE)
SIGNER = signer_of(Person.SIGNER)
CONTRACTS = Contracts(31337, ORACLE, ALICE, ALICE, ALICE, None)
TERMS = ModelTerms(
    bytes(32), bytes(32), SCHEMA.schema_hash, Tier.ROUNDED, 5, 0, 10**18, epsilon=3 * 10**12
)
RESULT = b"result"


@dataclass
class Chain:
    """Blocks by their numbers, as `building.block` makes them, but for those that are replaced."""

    other: dict[int, BlockRef | None] = field(default_factory=dict)
    asked: int = 0

    async def block(self, number: int) -> BlockRef | None:
        self.asked += 1
        return self.other.get(number, block(number))


class Registry:
    async def model(self, model_id: bytes) -> Model:
        return Model(model_id, ALICE, TERMS, "digits", SCHEMA, "sample:digits", 1, 0)


def receipts(storage: Storage, chain: Any) -> NodeReceipts:
    return NodeReceipts(CONTRACTS, storage.jobs, storage.transactions, chain, Registry())


def asked(number: int, **terms: Any) -> RequestSeen:
    """A request whose id is the hash of its terms."""
    return seen(number, request_id=request(**terms).id(DOMAIN), **terms)


def calldata(events: Sequence[RequestSeen]) -> bytes:
    """As `service.answer` makes it, without a chain."""
    oracle = OracleBinding(SimpleNamespace(chain_id=DOMAIN.chain_id), ORACLE)  # type: ignore[arg-type]
    answers = [answer_to(event, RESULT) for event in events]
    items = [
        AnswerItem(event.request, RESULT, answer.trace_root)
        for event, answer in zip(events, answers, strict=True)
    ]
    if len(items) == 1:
        return oracle.answer_data(items[0], OPERATOR, SIGNER.sign_digest(answers[0].digest(DOMAIN)))
    signature = SIGNER.sign_digest(answer_batch_digest(DOMAIN, answers))
    return oracle.answer_batch_data(items, OPERATOR, signature)


async def post(storage: Storage, nonce: int, events: Sequence[RequestSeen], in_block: int) -> Mined:
    """Sends and mines one transaction with these answers."""
    tried = attempt()
    sent = await prepared(
        storage,
        nonce,
        call=Call(ORACLE, calldata(events), 200_000),
        request_ids=[event.request_id for event in events],
        attempt=tried,
    )
    at = mined(tried, in_block)
    await storage.transactions.record_mined(sent.id, at, ())
    return at


async def answered(storage: Storage, event: RequestSeen, in_block: int) -> None:
    await bring_to(storage, event, JobState.COMPUTED, **computed(event, RESULT))
    patch = JobPatch(settle_at=9_999_999_999, answered_block=in_block)
    await storage.jobs.move(
        [
            JobMove(event.request_id, Trigger.ANSWER_SENT),
            JobMove(event.request_id, Trigger.ANSWERED, patch),
        ]
    )


async def test_an_answer_posted_alone_or_in_a_batch_has_a_receipt(storage: Storage) -> None:
    alone, *batch = [asked(10 + number, nonce=number) for number in range(3)]
    for event in (alone, *batch):
        await answered(storage, event, 20 if event is alone else 30)
    await post(storage, 0, [alone], 20)
    together = await post(storage, 1, batch, 30)
    source = receipts(storage, Chain())
    one = await source.receipt(alone.request_id)
    assert one is not None
    one.receipt.verify()
    assert (one.signer, one.batch) == (SIGNER.address, ())
    two = await source.receipt(batch[1].request_id)
    assert two is not None
    two.receipt.verify()
    assert len(two.batch) == 2
    assert (two.request_id, two.request) == (batch[1].request_id, batch[1].request)
    assert (two.input, two.result) == (b"input", RESULT)
    assert (two.posted.transaction_hash, two.posted.block_hash) == (
        together.attempt_hash,
        block_hash(30),
    )
    # What the log said, not what a dispute has made of it since.
    assert two.posted.settle_at == block(30).timestamp + batch[1].request.window
    assert SavedReceipt.from_json(two.to_json()) == two
    assert two.model.terms.epsilon == 3 * 10**12


async def test_the_error_bar_is_in_the_document(storage: Storage) -> None:
    event = asked(10)
    await answered(storage, event, 20)
    await post(storage, 0, [event], 20)
    found = await receipts(storage, Chain()).receipt(event.request_id)
    assert found is not None
    assert f'"epsilon": {TERMS.epsilon}' in found.to_json()


async def test_without_a_mined_answer_there_is_no_receipt(storage: Storage) -> None:
    chain = Chain()
    source = receipts(storage, chain)
    event = asked(10)
    assert await source.receipt(event.request_id) is None
    await bring_to(storage, event, JobState.COMPUTED, **computed(event, RESULT))
    assert await source.receipt(event.request_id) is None
    other = asked(11, nonce=1)
    await answered(storage, other, 20)
    assert await source.receipt(other.request_id) is None, "its transaction is not known as mined"
    assert chain.asked == 0


async def test_only_the_transaction_of_the_answers_block_counts(storage: Storage) -> None:
    event = asked(10)
    await answered(storage, event, 30)
    await post(storage, 0, [event], 20)  # a batch that was mined without this item
    tried = attempt()
    sent = await prepared(storage, 1, purpose=Purpose.SETTLE, request_ids=[event.request_id],
                          attempt=tried)  # fmt: skip
    await storage.transactions.record_mined(sent.id, mined(tried, 30), ())
    source = receipts(storage, Chain())
    assert await source.receipt(event.request_id) is None
    at = await post(storage, 2, [event], 30)
    found = await source.receipt(event.request_id)
    assert found is not None
    assert found.posted.transaction_hash == at.attempt_hash


async def test_a_block_that_is_gone_has_no_receipt(storage: Storage) -> None:
    event = asked(10)
    await answered(storage, event, 20)
    await post(storage, 0, [event], 20)
    for there in (None, replace(block(20), hash=bytes(32))):
        assert await receipts(storage, Chain({20: there})).receipt(event.request_id) is None
