"""A dispute on a chain, with the court and the verifier that are deployed: each verb through its
binding, each event through its reader."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from oracle.chain.court_contract import CourtBinding, Disputed, decode_log, decode_logs
from oracle.chain.proof_coder import encode_place, encode_proof
from oracle.chain.sender import Sent, TransactionSender
from oracle.core import dispute as events
from oracle.core import merkle
from oracle.core.dispute import RevealDemand, SignedAnswer, announcement_of
from oracle.core.event import ChainEvent
from oracle.core.model import ModelTerms
from oracle.core.receipt import Answer, AnswerCommitment, answer_batch_digest
from oracle.core.request import Request, RequestState
from oracle.core.types import ZERO_ADDRESS, Tier
from oracle.court.commitment import commit
from oracle.court.opening import open_record, open_trace
from oracle.court.proof import Place
from oracle.court.proving import Prover
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import fund, register_model
from oracle.errors import ChainUnreachable, ContractReverted
from oracle.ports.contracts import AnswerItem
from oracle.program.encoding import encode
from tests.support.scene import BOND, INPUT, OPG, RESULT, SCHEMA, Scene, terms
from tests.support.small_programs import small_program, small_trace

Event = TypeVar("Event", bound=ChainEvent)

SALT = bytes(31) + b"s"
SHARE = BOND * 3 // 10


@dataclass(frozen=True, slots=True)
class Case:
    """An answer whose trace is wrong in every element, and who deals with it."""

    scene: Scene
    disputed: Disputed
    prover: Prover
    watcher: TransactionSender
    other: TransactionSender

    @property
    def court(self) -> CourtBinding:
        return self.scene.contracts.court

    @property
    def request(self) -> Request:
        return self.disputed.request

    @property
    def request_id(self) -> bytes:
        return self.request.id(self.scene.contracts.oracle.domain)

    def proof(self, position: int = 0) -> bytes:
        return encode_proof(self.prover.element(0, 0, position))

    def place(self, rows: int = 1) -> bytes:
        record = open_record(self.prover.encoded, 1)
        return encode_place(Place(self.prover.encoded.header, record, 0, rows, 0, 1, 2))

    async def send(self, sender: TransactionSender, calldata: bytes) -> Sent:
        return await sender.send(self.court.address, calldata)

    async def state(self) -> RequestState:
        return (await self.scene.contracts.oracle.state_of(self.request_id)).state

    async def demand(self, rows: int = 1) -> RevealDemand:
        deposit = await self.court.deposit_for(self.request_id, 2 * 256)
        calldata = self.court.demand_reveal_data(self.disputed, self.place(rows), deposit)
        (event,) = decode_logs((await self.send(self.watcher, calldata)).logs)
        assert isinstance(event, events.RevealDemanded)
        assert (event.request_id, event.demander) == (self.request_id, self.watcher.address)
        assert await self.court.is_pending(event.demand)
        return event.demand


@pytest.fixture
async def case(scene: Scene) -> Case:
    """Posted a moment ago, of a model in the exact tier."""
    program = small_program(tensors=((SCHEMA.inputs[0].element, 300),) * 2)
    encoded = encode(program)
    trace = small_trace(program)
    commitment = commit(program, encoded.root, trace)
    model_terms: ModelTerms = replace(
        terms(), program_root=encoded.root, tier=Tier.EXACT, challenge_window=60, reveal_window=10
    )
    contracts = scene.contracts
    model_id = await register_model(
        scene.owner, contracts, model_terms, name="copy", schema=SCHEMA, uri="file:///copy.onnx"
    )
    params = replace(await scene.params(), model_id=model_id, window=60)
    request = (await scene.request(params)).request
    await scene.accept(request)
    answer = Answer.of(
        request.id(contracts.oracle.domain),
        request,
        scene.owner.address,
        RESULT,
        commitment.trace_root,
    )
    signature = scene.signer.signer.sign_digest(answer.digest(contracts.oracle.domain))
    item = AnswerItem(request, RESULT, commitment.trace_root)
    await scene.signer.send(
        contracts.oracle.address,
        contracts.oracle.answer_data(item, scene.owner.address, signature),
    )
    watcher, other = (scene.chain.sender(index) for index in (Person.WATCHER, Person.RELAYER))
    treasurer = scene.chain.sender(Person.DEPLOYER)
    await fund(treasurer, contracts, watcher.address, opg=100 * OPG)
    await watcher.send(
        contracts.token.address,
        contracts.token.approve_data(contracts.court.address, 100 * OPG),
    )
    disputed = Disputed(request, AnswerCommitment.of(answer), scene.owner.address, model_terms)
    return Case(scene, disputed, Prover(program, encoded, trace, commitment), watcher, other)


async def test_an_announced_proof_is_paid_at_once(case: Case) -> None:
    court = case.court
    announcement = announcement_of(case.watcher.address, case.request_id, case.proof(), SALT)
    sent = await case.send(case.watcher, court.announce_data(announcement))
    assert decode_logs(sent.logs) == (), "it is about no request that anybody could name"
    assert await court.announced_at(announcement) == await case.scene.chain.time()
    await case.scene.chain.increase_time((await court.limits()).announcement_age)
    sent = await case.send(case.watcher, court.prove_fraud_data(case.disputed, case.proof(), SALT))
    proven = _only(sent, events.FraudProven)
    assert (proven.operator, proven.watcher) == (case.scene.owner.address, case.watcher.address)
    assert (proven.claim, proven.held) == (case.disputed.claim, 0)
    assert await case.state() is RequestState.SLASHED
    assert await case.scene.contracts.staking.claimable(case.watcher.address) == SHARE
    assert (await court.held_share(case.request_id)).holder == ZERO_ADDRESS
    with pytest.raises(ContractReverted) as refused:
        await case.send(case.other, court.prove_fraud_data(case.disputed, case.proof()))
    assert refused.value.name == "WrongState"


async def test_a_copied_proof_earns_nothing(case: Case) -> None:
    court = case.court
    announcement = announcement_of(case.watcher.address, case.request_id, case.proof(), SALT)
    await case.send(case.watcher, court.announce_data(announcement))
    await case.scene.chain.increase_time(1)
    sent = await case.send(case.other, court.prove_fraud_data(case.disputed, case.proof(1)))
    proven = _only(sent, events.FraudProven)
    assert (proven.watcher, proven.held) == (case.other.address, SHARE)
    sent = await case.send(
        case.watcher,
        court.claim_priority_data(case.request_id, proven.claim, case.proof(), SALT),
    )
    assert _only(sent, events.PriorityClaimed).holder == case.watcher.address
    held = await court.held_share(case.request_id)
    assert (held.holder, held.amount) == (case.watcher.address, SHARE)
    with pytest.raises(ContractReverted) as refused:
        await case.send(case.other, court.collect_data(case.request_id))
    assert refused.value.name == "PriorityNotOver"
    await case.scene.chain.travel_past(held.priority_until)
    sent = await case.send(case.other, court.collect_data(case.request_id))
    assert _only(sent, events.ShareCollected).amount == SHARE
    token = case.scene.contracts.token
    before = await token.balance_of(case.watcher.address)
    await case.send(case.watcher, court.claim_data(case.watcher.address))
    assert await token.balance_of(case.watcher.address) == before + SHARE


async def test_what_is_demanded_is_revealed(case: Case) -> None:
    court, scene = case.court, case.scene
    demand = await case.demand()
    assert (demand.leaves.tensor, demand.leaves.byte_count) == (1, 1200)
    assert await court.demands(case.request_id) == (1, 1)
    assert await case.state() is RequestState.REVEAL_PENDING
    prover = case.prover
    opening = open_trace(
        prover.program, prover.trace, prover.commitment, row=0, tensor=1, first=1, count=2
    )
    wrong = bytes(len(opening.data))
    with pytest.raises(ContractReverted) as refused:
        await case.send(scene.signer, court.reveal_data(case.request, demand, wrong, opening.path))
    assert refused.value.name == "NotRevealed"
    sent = await case.send(
        scene.signer, court.reveal_data(case.request, demand, opening.data, opening.path)
    )
    revealed = _only(sent, events.Revealed)
    assert (revealed.number, revealed.data) == (0, bytes(opening.data))
    assert revealed.path == tuple(opening.path)
    assert await case.state() is RequestState.ANSWERED
    payout = scene.chain.sender(Person.PAYOUT).address
    assert await court.claimable(payout) == demand.deposit // 2
    await case.send(case.other, court.burn_data())


async def test_a_demand_of_other_rows_is_dismissed(case: Case) -> None:
    demand = await case.demand(rows=2)
    levels = case.prover.commitment.levels
    calldata = case.court.dismiss_data(case.request, demand, 1, merkle.root_of(levels))
    dismissed = _only(await case.send(case.scene.signer, calldata), events.DemandDismissed)
    assert (dismissed.rows, dismissed.tree_root) == (1, merkle.root_of(levels))
    assert await case.state() is RequestState.ANSWERED


async def test_silence_is_slashed_and_the_other_deposit_returns(case: Case) -> None:
    court = case.court
    first, second = await case.demand(), await case.demand()
    await case.scene.chain.travel_past(second.deadline)
    sent = await case.send(case.other, court.reveal_timeout_data(case.request, first))
    assert _only(sent, events.RevealTimedOut).demander == case.watcher.address
    sent = await case.send(case.other, court.refund_demand_data(second))
    assert _only(sent, events.DemandRefunded).number == 1
    assert await court.claimable(case.watcher.address) == first.deposit + second.deposit
    assert await case.scene.contracts.staking.claimable(case.watcher.address) == SHARE


async def test_two_answers_are_one_too_many(case: Case) -> None:
    scene = case.scene
    domain, sign = scene.contracts.oracle.domain, scene.signer.signer.sign_digest
    answers = [
        Answer.of(case.request_id, case.request, scene.owner.address, result, bytes(32))
        for result in (RESULT, INPUT)
    ]
    alone = SignedAnswer(answers[0], sign(answers[0].digest(domain)))
    batch = (answers[1], replace(answers[1], request_id=bytes(32)))
    batched = SignedAnswer(
        answers[1],
        sign(answer_batch_digest(domain, batch)),
        tuple(answer.struct_hash() for answer in batch),
    )
    calldata = case.court.slash_equivocation_data(
        case.request, case.disputed.commitment, alone, batched
    )
    slashed = _only(await case.send(case.watcher, calldata), events.EquivocationSlashed)
    assert (slashed.first, slashed.second) == tuple(a.struct_hash() for a in answers)
    assert await case.state() is RequestState.SLASHED
    with pytest.raises(ContractReverted) as refused:
        await case.send(case.watcher, calldata)
    assert refused.value.name == "NothingAtStake"
    assert refused.value.arguments["state"] == "Slashed"


async def test_a_log_that_is_cut_short_is_refused(case: Case) -> None:
    calldata = case.court.prove_fraud_data(case.disputed, case.proof())
    for log in (await case.send(case.other, calldata)).logs:
        if log["address"].lower() != case.court.address.lower():
            continue
        with pytest.raises(ChainUnreachable, match="cannot be read"):
            decode_log({**log, "data": log["data"][:-64]})
        return
    pytest.fail("the court said nothing")


def _only(sent: Sent, kind: type[Event]) -> Event:
    """The one event of the court in a transaction."""
    (event,) = decode_logs(sent.logs)
    assert isinstance(event, kind)
    return event
