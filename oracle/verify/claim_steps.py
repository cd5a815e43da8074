"""Steps 1 to 3 and 7: the request, the receipt, what it binds, and what became of the money.

Compares what is claimed with itself (hashes, the signature) and with the chain. Looks at no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from oracle.core.event import AnswerVoided, Position, RequestAnswered, RequestSettled
from oracle.core.request import RequestState, data_hash
from oracle.core.types import ZERO_ADDRESS, format_opg
from oracle.errors import SignatureError
from oracle.verify.evidence import Answered, Evidence, posted_at
from oracle.verify.facts import ChainFacts, NotReached
from oracle.verify.report import Finding, Name, Step, failed, held, moot, passed, unchecked, wrong
from oracle.verify.signers import signer_at

Facts = ChainFacts | NotReached


def check_request(evidence: Evidence, facts: Facts) -> Step:
    """The terms hash to the id, and the chain has such a request."""
    return Step(Name.REQUEST, tuple(_request(evidence, facts)))


def check_receipt(evidence: Evidence, facts: Facts) -> Step:
    """The operator's signer of that block signed the answer that the chain has."""
    return Step(Name.RECEIPT, tuple(_receipt(evidence, facts)))


def check_binding(evidence: Evidence, facts: Facts) -> Step:
    """What is signed is this request, this model, this input and this result."""
    return Step(Name.BINDING, tuple(_binding(evidence, facts)))


def check_settlement(evidence: Evidence, facts: Facts) -> Step:
    """Where the request and its money stand, and whether anybody can judge it."""
    return Step(Name.SETTLEMENT, tuple(_settlement(evidence, facts)))


def _request(evidence: Evidence, facts: Facts) -> Iterator[Finding]:
    actual = evidence.request.id(evidence.contracts.domain)
    yield held(
        actual == evidence.request_id,
        "its terms hash to its id",
        f"its terms hash to {_short(actual)} on chain {evidence.contracts.chain_id} "
        f"at {evidence.contracts.oracle}, which is not its id",
    )
    if isinstance(facts, NotReached):
        yield unchecked(f"{facts.reason}: whether the oracle has this request")
        return
    if facts.story is None:
        yield failed(f"the oracle {facts.contracts.oracle} has no such request")
        return
    created = facts.story.created
    if created.request != evidence.request:
        yield failed("the oracle's request of this id has other terms")
    state = facts.state.state.name.lower().replace("_", " ")
    yield passed(f"found in block {created.position.block_number}; it is {state}")


def _receipt(evidence: Evidence, facts: Facts) -> Iterator[Finding]:
    answered = evidence.answered
    if answered is None:
        yield unchecked("the request has no answer")
        return
    if isinstance(answered.receipt, str):
        yield unchecked(answered.receipt)
    else:
        try:
            answered.receipt.verify()
            batch = len(answered.receipt.batch)
            came = f", one of a batch of {batch}" if batch else ""
            yield passed(f"signed by {answered.receipt.signer}{came}")
        except SignatureError as error:
            yield failed(f"the signature does not hold: {error.message}")
    if isinstance(facts, NotReached):
        yield unchecked(f"{facts.reason}: whether the chain has this answer, and whose key it was")
        return
    yield held(
        evidence.contracts.staking == facts.contracts.staking,
        f"operators' keys and stakes are in {facts.contracts.staking}",
        f"the oracle keeps stakes in {facts.contracts.staking}, "
        f"the receipt names {evidence.contracts.staking}",
    )
    event = facts.answered
    if event is None:
        yield failed("the chain has no answer to this request")
        return
    yield from _same_answer(answered, event, facts)
    yield from _whose_key(answered, event, facts)
    yield from _who(evidence, answered, facts)


def _same_answer(
    answered: Answered, event: RequestAnswered, facts: ChainFacts
) -> Iterator[Finding]:
    claimed, posted, actual = answered.answer, answered.posted, posted_at(event)
    differing = [
        name
        for name, one, other in (
            ("operator", claimed.operator, event.operator),
            ("trace root", claimed.trace_root, event.trace_root),
            ("result", claimed.result_hash, data_hash(event.result)),
            ("block number", posted.block_number, actual.block_number),
            ("block hash", posted.block_hash, actual.block_hash),
            ("transaction", posted.transaction_hash, actual.transaction_hash),
            ("time of settlement", posted.settle_at, actual.settle_at),
        )
        if one != other
    ]
    if differing:
        yield failed(f"the chain's answer has another {', '.join(differing)}")
    elif facts.answer_block is None or facts.answer_block.hash != posted.block_hash:
        yield failed(f"block {posted.block_number} of the chain is another one than the answer's")
    else:
        yield passed(
            f"the chain has this answer in block {posted.block_number}, "
            f"transaction 0x{posted.transaction_hash.hex()}"
        )


def _whose_key(answered: Answered, event: RequestAnswered, facts: ChainFacts) -> Iterator[Finding]:
    receipt, operator = answered.receipt, answered.answer.operator
    if isinstance(receipt, str) or facts.operator is None or facts.answer_block is None:
        return
    number = event.position.block_number
    valid = _signer_at(facts, event.position)
    if valid == receipt.signer:
        current = facts.operator.status.signer if facts.operator.status else None
        since = "" if current == valid else f"; it is {current} now"
        yield passed(f"that was the signer of {operator} in block {number}{since}")
    elif valid is None:
        yield failed(f"{operator} had no signer in block {number}")
    else:
        yield failed(
            f"{receipt.signer} was not the signer of {operator} in block {number}: that was {valid}"
        )


def _signer_at(facts: ChainFacts, position: Position) -> str | None:
    """The operator's key at a log's place, if any."""
    if facts.operator is None or facts.answer_block is None:
        return None
    return signer_at(facts.operator.keys, position, facts.answer_block.timestamp)


def _who(evidence: Evidence, answered: Answered, facts: ChainFacts) -> Iterator[Finding]:
    if facts.operator is None or facts.operator.status is None:
        yield failed(f"{answered.answer.operator} is not an operator")
        return
    status = facts.operator.status
    where = facts.operator.endpoint or "no endpoint announced"
    yield passed(
        f"answered by {status.operator} (its owner's address); bond "
        f"{format_opg(evidence.request.bond)} OPG for this answer, stake "
        f"{format_opg(status.stake)} OPG now, {format_opg(status.locked)} of it locked; {where}"
    )


def _binding(evidence: Evidence, facts: Facts) -> Iterator[Finding]:
    answered = evidence.answered
    if answered is None:
        yield unchecked("the request has no answer")
        return
    request, answer = evidence.request, answered.answer
    named = request.operator
    yield held(
        answer.request_id == evidence.request_id,
        "it names this request",
        f"it is signed for the request {_short(answer.request_id)}",
    )
    yield held(
        answer.model_id == request.model_id,
        "it names the model that was asked",
        f"{_short(request.model_id)} was asked, it is signed for the model "
        f"{_short(answer.model_id)}",
    )
    input_hash = data_hash(evidence.input)
    if input_hash != request.input_hash:
        yield failed(
            f"the input of {len(evidence.input)} bytes hashes to {_short(input_hash)}, "
            f"the request is for {_short(request.input_hash)}"
        )
    yield held(
        answer.input_hash == input_hash,
        f"input hash: SHA-256 of the request's {len(evidence.input)} bytes",
        f"the input hashes to {_short(input_hash)}, it is signed for {_short(answer.input_hash)}",
    )
    result_hash = data_hash(answered.result)
    yield held(
        answer.result_hash == result_hash,
        f"result hash: SHA-256 of the result's {len(answered.result)} bytes",
        f"the result hashes to {_short(result_hash)}, it is signed for "
        f"{_short(answer.result_hash)}",
    )
    if named not in (ZERO_ADDRESS, answer.operator):
        yield failed(f"the request is to {named}, it is signed for {answer.operator}")
    accepted = None if isinstance(facts, NotReached) or not facts.story else facts.story.operator
    if accepted is not None and accepted != answer.operator:
        yield failed(f"the request was accepted by {accepted}, not by {answer.operator}")


def _settlement(evidence: Evidence, facts: Facts) -> Iterator[Finding]:
    if isinstance(facts, NotReached):
        yield unchecked(facts.reason)
        return
    for name, claimed, actual in (
        ("pays in", evidence.contracts.token, facts.contracts.token),
        ("has the court", evidence.contracts.court, facts.contracts.court),
    ):
        if claimed != actual:
            yield failed(f"the oracle {name} {actual}, the receipt names {claimed}")
    if facts.story is not None:
        yield _money(facts)
    if facts.contracts.court is None:
        yield moot(
            "this deployment has no court: a wrong answer can be shown to anybody, and slashed "
            "by nobody"
        )
    else:
        yield passed(f"the court that may void an answer is {facts.contracts.court}")


def _money(facts: ChainFacts) -> Finding:
    story, state = facts.story, facts.state
    assert story is not None
    settled, voided = story.find(RequestSettled), story.find(AnswerVoided)
    match state.state:
        case RequestState.SETTLED if settled is not None:
            return passed(f"settled: {format_opg(settled.fee)} OPG to {settled.payout}")
        case RequestState.SLASHED if voided is not None:
            return wrong(
                f"voided by the court, on the proof of {voided.watcher}: "
                f"{format_opg(voided.penalty)} OPG slashed, {format_opg(voided.refund)} OPG back"
            )
        case RequestState.ANSWERED if facts.now >= state.settle_at:
            return passed("final, not settled yet: the fee waits for whoever settles")
        case RequestState.ANSWERED:
            return passed(f"not final before {_time(state.settle_at)}; the fee is in escrow")
        case RequestState.REVEAL_PENDING:
            return passed("a part of the trace was demanded; the fee is in escrow")
        case RequestState.REQUESTED | RequestState.ACCEPTED:
            return passed("not answered yet; the fee is in escrow")
        case RequestState.CANCELLED | RequestState.EXPIRED | RequestState.DEFAULTED:
            name = state.state.name.lower()
            return passed(f"{name} without an answer: {format_opg(story.refund)} OPG back")
        case other:
            return failed(f"the oracle says {other.name.lower()}, and its logs do not say so")


def _short(value: bytes) -> str:
    return f"0x{value.hex()[:16]}…"


def _time(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
