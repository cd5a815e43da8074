"""What is to be checked: one request with its answer, as it was claimed.

It comes from the chain's own events or from a saved receipt; either way it is but a claim.
Responsible for bringing both into one form. Checks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.client.reader import OracleReader
from oracle.core.event import RequestAnswered
from oracle.core.receipt import Answer, Receipt
from oracle.core.request import Request
from oracle.core.saved_receipt import Contracts, Posted, RegisteredModel, SavedReceipt
from oracle.errors import NoAnswer, NotFound, SchemaError, SignatureError


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, where it was posted, and its receipt or the reason why there is none."""

    answer: Answer
    result: bytes
    posted: Posted
    receipt: Receipt | str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One request. `model` is the reason where it cannot be had."""

    contracts: Contracts
    request_id: bytes
    request: Request
    input: bytes
    answered: Answered | None
    model: RegisteredModel | str


def of_receipt(saved: SavedReceipt) -> Evidence:
    """What a saved receipt claims."""
    answered = Answered(saved.answer, saved.result, saved.posted, saved.receipt)
    return Evidence(
        contracts=saved.contracts,
        request_id=saved.request_id,
        request=saved.request,
        input=saved.input,
        answered=answered,
        model=saved.model,
    )


async def of_chain(reader: OracleReader, request_id: bytes) -> Evidence:
    """What the chain's events claim. Raises NotFound for an id that the oracle has never seen."""
    story = await reader.story(request_id)
    created = story.created
    model = await registered_model(reader, created.request.model_id)
    event = story.answered
    return Evidence(
        contracts=await contracts_of(reader),
        request_id=request_id,
        request=created.request,
        input=created.input,
        answered=None if event is None else await _answered(reader, created.request, event),
        model=model,
    )


async def save(reader: OracleReader, request_id: bytes) -> SavedReceipt:
    """The receipt of an answer as a file.

    Raises:
        NoAnswer: there is no answer.
        NotFound: no such request, or the signature cannot be read from the chain.
        SchemaError: the model's schema cannot be read.
    """
    evidence = await of_chain(reader, request_id)
    answered, model = evidence.answered, evidence.model
    if answered is None:
        raise NoAnswer("the request has no answer, so there is no receipt")
    if isinstance(model, str):
        raise NotFound(f"the receipt would lack its model: {model}")
    if isinstance(answered.receipt, str):
        raise NotFound(f"the receipt would lack its signature: {answered.receipt}")
    return SavedReceipt(
        contracts=evidence.contracts,
        request_id=request_id,
        request=evidence.request,
        input=evidence.input,
        answer=answered.answer,
        result=answered.result,
        signer=answered.receipt.signer,
        signature=answered.receipt.signature,
        batch=answered.receipt.batch,
        posted=answered.posted,
        model=model,
    )


async def contracts_of(reader: OracleReader) -> Contracts:
    """The deployment as its oracle says it is wired."""
    wiring = await reader.oracle.wiring()
    return Contracts(
        chain_id=reader.rpc.chain_id,
        oracle=reader.oracle.address,
        registry=wiring.registry,
        staking=wiring.staking,
        token=wiring.token,
        court=None if int(wiring.court, 16) == 0 else wiring.court,
    )


def posted_at(event: RequestAnswered) -> Posted:
    """Where an answer's event stands."""
    at = event.position
    return Posted(at.block_number, at.block_hash, at.transaction_hash, event.settle_at)


async def _answered(reader: OracleReader, request: Request, event: RequestAnswered) -> Answered:
    receipt: Receipt | str
    try:
        receipt = await reader.receipt(event.request_id)
        answer = receipt.answer
    except (NotFound, SignatureError) as error:
        receipt = error.message
        answer = _of_event(request, event)
    return Answered(answer, event.result, posted_at(event), receipt)


def _of_event(request: Request, event: RequestAnswered) -> Answer:
    return Answer.of(event.request_id, request, event.operator, event.result, event.trace_root)


async def registered_model(reader: OracleReader, model_id: bytes) -> RegisteredModel | str:
    """The registration of a model, or why there is none that can be read."""
    try:
        found = await reader.registry.model(model_id)
    except (NotFound, SchemaError) as error:
        return error.message
    return RegisteredModel(
        found.id, found.registrar, found.terms, found.name, found.schema, found.uri
    )
