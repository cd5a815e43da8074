"""A request's story told to people: what happened, in which transaction, where money went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oracle.chain.revert_words import moment
from oracle.cli.court_story import CourtStory, read_court_story
from oracle.cli.not_taken import why_not_taken
from oracle.client import InferenceAnswer, OracleClient, Story
from oracle.client.notice import NOTICES, why_unheard
from oracle.core import event as events
from oracle.core.model import Model, error_bar
from oracle.core.receipt import Receipt
from oracle.core.request import DeliveryState, RequestState
from oracle.core.tensor import decode_inputs
from oracle.core.types import ZERO_ADDRESS, format_opg
from oracle.errors import NotFound, OracleError, TensorError


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the story."""

    block: int
    timestamp: int
    transaction: bytes
    gas_used: int | None
    text: str


async def tell(client: OracleClient, request_id: bytes) -> tuple[dict[str, Any], str]:
    """The story as facts by name and as text."""
    story = await client.story(request_id)
    court = await read_court_story(client, story)
    lines = await _lines(client, story, court)
    request = story.created.request
    state = await client.state(request_id)
    model = await client.registry.model(request.model_id)
    facts: dict[str, Any] = {
        "request": request_id,
        "state": state.state.name.lower(),
        "model": model.name,
        "tier": model.terms.tier.name.lower(),
        "requester": request.requester,
        "operator": story.operator,
        "consumer": None if request.consumer == ZERO_ADDRESS else request.consumer,
        "notice": state.delivery.name.lower(),
        "deadline": request.deadline,
        "window_seconds": request.window,
        "money": {
            "fee_opg": format_opg(request.fee),
            "bond_opg": format_opg(request.bond),
            "value_at_risk_opg": format_opg(request.value_at_risk),
            "earned_by_operator_opg": format_opg(story.earned),
            "refunded_opg": format_opg(story.refund),
            "penalty_opg": format_opg(_penalty(story)),
        },
        "conviction": court.conviction.facts() if court.conviction else None,
        "demands": [
            {
                "number": one.number,
                "demander": one.demander,
                "deposit_opg": format_opg(one.deposit),
                "deadline": one.deadline,
            }
            for one in court.demands.values()
        ],
        "events": [
            {
                "block": line.block,
                "time": line.timestamp,
                "transaction": line.transaction,
                "gas_used": line.gas_used,
                "text": line.text,
            }
            for line in lines
        ],
    }
    if state.delivery is DeliveryState.FAILED:
        facts["notice_failed"] = str(await why_unheard(client, story, state))
    empty = story.answered is None or not story.answered.result
    if empty and (why := _unusable(story, model)) is not None:
        facts["unusable_input"] = why
    elif state.state is RequestState.REQUESTED and (why := await why_not_taken(client, story)):
        facts["not_taken"] = why
    if story.answered is not None:
        answer = await client.result(request_id) if not _voided(story) else None
        if answer is not None:
            facts["answer"] = {
                "final": answer.final,
                "backing": answer.backing,
                "outputs": {name: array.tolist() for name, array in answer.outputs.items()},
                "error_bar": error_bar(answer.epsilon),
                "decisions": decision_facts(answer),
            }
        facts["receipt"] = await _receipt(client, request_id)
    return facts, _text(facts, lines)


def decision_facts(answer: InferenceAnswer) -> dict[str, list[dict[str, Any]]]:
    """By output, for each row, the best label and whether the error bar leaves it clear."""
    return {
        name: [{"label": one.label, "status": one.status.name.lower()} for one in rows]
        for name, rows in answer.decisions().items()
    }


def _unusable(story: Story, model: Model) -> str | None:
    """Why the model cannot take the request's input; None where it can."""
    try:
        decode_inputs(model.schema, story.created.input)
    except TensorError as error:
        return error.message
    return None


def _penalty(story: Story) -> int:
    return sum(
        event.penalty
        for event in story.events
        if isinstance(event, events.RequestDefaulted | events.AnswerVoided)
    )


def _voided(story: Story) -> bool:
    return story.find(events.AnswerVoided) is not None


async def _receipt(client: OracleClient, request_id: bytes) -> dict[str, Any]:
    try:
        receipt: Receipt = await client.receipt(request_id)
        await client.verify_signature(receipt)
    except NotFound as error:
        return {"verified": False, "why": error.message}
    except OracleError as error:
        return {"verified": False, "why": f"{type(error).__name__}: {error.message}"}
    return {
        "verified": True,
        "signer": receipt.signer,
        "signature": receipt.signature,
        "batch_of": len(receipt.batch) or 1,
        "input_hash": receipt.answer.input_hash,
        "result_hash": receipt.answer.result_hash,
        "trace_root": receipt.answer.trace_root,
    }


async def _lines(client: OracleClient, story: Story, court: CourtStory) -> list[Line]:
    """What oracle and court say of a request, in chain order."""
    told = [(event, _sentence(event, court)) for event in story.events]
    told += [(event, text) for event in court.events if (text := court.sentence(event))]
    told.sort(key=lambda one: one[0].position)
    return [await _line(client, event, text) for event, text in told]


async def _line(client: OracleClient, event: events.ChainEvent, text: str) -> Line:
    at = event.position
    block = await client.rpc.block(at.block_number)
    mined = await client.gateway.mined(at.transaction_hash)
    return Line(
        block=at.block_number,
        timestamp=block.timestamp if block else 0,
        transaction=at.transaction_hash,
        gas_used=mined.gas_used if mined else None,
        text=text,
    )


def _sentence(event: events.ChainEvent, court: CourtStory) -> str:
    match event:
        case events.RequestSeen():
            fee = format_opg(event.request.fee)
            return f"requested by {event.request.requester} for {fee} OPG"
        case events.RequestAccepted():
            return f"accepted by {event.operator}"
        case events.RequestAnswered():
            said = f"{len(event.result)} bytes" if event.result else "no output for this input"
            return f"answered by {event.operator}: {said}; final at {moment(event.settle_at)}"
        case events.RequestSettled():
            return f"settled: {format_opg(event.fee)} OPG to {event.payout}"
        case events.RequestCancelled():
            return f"cancelled; {format_opg(event.refund)} OPG back"
        case events.RequestExpired():
            return f"expired unaccepted; {format_opg(event.refund)} OPG back"
        case events.RequestDefaulted():
            return (
                f"{event.operator} stayed silent: {format_opg(event.refund)} OPG back, "
                f"{format_opg(event.penalty)} OPG slashed"
            )
        case events.AnswerVoided():
            return str(court.conviction)
        case events.AnswerSuspended():
            return "suspended: a reveal was demanded"
        case events.AnswerResumed():
            return f"revealed; final at {moment(event.settle_at)}"
        case events.NoticeDelivered():
            return f"{event.consumer} was told: {NOTICES[event.notice]}"
        case events.NoticeFailed():
            return f"{event.consumer} could not be told ({NOTICES[event.notice]})"
        case _:
            return type(event).__name__


def _text(facts: dict[str, Any], lines: list[Line]) -> str:
    money = facts["money"]
    text = [
        f"request 0x{facts['request'].hex()}",
        f"model {facts['model']}, tier {facts['tier']}; {facts['state']}",
        f"fee {money['fee_opg']} OPG, bond {money['bond_opg']} OPG, "
        f"earned {money['earned_by_operator_opg']}, refunded {money['refunded_opg']}, "
        f"slashed {money['penalty_opg']}",
        "",
    ]
    for line in lines:
        gas = f", {line.gas_used:,} gas" if line.gas_used is not None else ""
        text.append(f"{moment(line.timestamp)}  block {line.block}  {line.text}")
        text.append(f"{'':10}tx 0x{line.transaction.hex()}{gas}")
    if failed := facts.get("notice_failed"):
        text += ["", f"the notice failed; for another try (oracle notice): {failed}"]
    if not_taken := facts.get("not_taken"):
        text += ["", not_taken]
    if unusable := facts.get("unusable_input"):
        text += ["", f"{_consequence(facts['state'])}: {unusable}"]
    if answer := facts.get("answer"):
        text += [
            "",
            f"answer ({'final' if answer['final'] else 'not final yet'}; {answer['backing']})",
        ]
        text += [f"  {name}: {value}" for name, value in answer["outputs"].items()]
        if answer["outputs"]:
            text.append(f"  error bar: {answer['error_bar']}")
        else:
            text.append("  no output for this input")
        for name, rows in answer["decisions"].items():
            said = ", ".join(f"{row['label']} {row['status']}" for row in rows)
            text.append(f"  decision by {name}: {said}")
    if receipt := facts.get("receipt"):
        if receipt["verified"]:
            text += [
                "",
                f"receipt: signature of {receipt['signer']} verified"
                f" (batch of {receipt['batch_of']})",
            ]
        else:
            text += ["", f"receipt: NOT verified: {receipt['why']}"]
    return "\n".join(text)


def _consequence(state: str) -> str:
    """What comes of an input that the model cannot take."""
    match state:
        case "requested":
            return "no operator will take this input (oracle cancel gives the fee back)"
        case "accepted":
            return "the answer will be empty, as the model cannot take this input"
        case _:
            return "the model cannot take this input"
