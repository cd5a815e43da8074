"""Receipts from chain data: the signature that came with an answer, and what it covers.

The oracle has checked the signature before it took the answer; this reads it back from the calldata
of that transaction, so that anyone can check it again. Knows nothing of models.
"""

from __future__ import annotations

from typing import Any

from oracle.chain import abi
from oracle.chain.coder import UnreadableData
from oracle.chain.rpc import Rpc
from oracle.chain.wire import to_bytes
from oracle.core.event import RequestAnswered
from oracle.core.receipt import Answer, Receipt, answer_batch_digest, recover
from oracle.core.request import Request
from oracle.core.typed_data import Domain
from oracle.core.types import Address, Tier
from oracle.errors import NotFound


async def read_receipt(rpc: Rpc, domain: Domain, answered: RequestAnswered, tier: Tier) -> Receipt:
    """The receipt of an answer, from the transaction that posted it.

    Raises:
        NotFound: the answer was posted by way of another contract, whose calldata this does not
            know how to read, or the node has lost the transaction.
        SignatureError: the calldata holds no signature; no oracle of ours took this answer.
    """
    found = await rpc.request(
        "eth_getTransactionByHash", ["0x" + answered.position.transaction_hash.hex()]
    )
    if found is None:
        raise NotFound("the node does not have the transaction that posted the answer")
    return posted_receipt(to_bytes(found["input"]), domain, answered.request_id, tier)


def posted_receipt(calldata: bytes, domain: Domain, request_id: bytes, tier: Tier) -> Receipt:
    """The receipt of one answer in the calldata that posted it. Raises as `read_receipt`."""
    answers, signature, is_batch = _posted(calldata, domain)
    answer = next((one for one in answers if one.request_id == request_id), None)
    if answer is None:
        raise NotFound("the transaction that posted the answer does not hold it in the open")
    digest = answer_batch_digest(domain, answers) if is_batch else answer.digest(domain)
    return Receipt(
        domain=domain,
        answer=answer,
        tier=tier,
        signer=recover(digest, signature),
        signature=signature,
        batch=tuple(one.struct_hash() for one in answers) if is_batch else (),
    )


def _posted(calldata: bytes, domain: Domain) -> tuple[list[Answer], bytes, bool]:
    functions = abi.load("InferenceOracle").functions
    for name in ("answer", "answerBatch"):
        function = functions[name]
        if calldata[:4] != function.selector:
            continue
        try:
            items, operator, signature = function.inputs.decode(calldata, 4)
        except UnreadableData:
            break
        is_batch = name == "answerBatch"
        members = items if is_batch else [items]
        return [_answer(item, operator, domain) for item in members], signature, is_batch
    raise NotFound(
        "the answer was posted through another contract; its signature cannot be read back",
        hint="the oracle checked it when it took the answer",
    )


def _answer(item: tuple[Any, ...], operator: Address, domain: Domain) -> Answer:
    terms, result, trace_root = item
    request = Request(*terms)
    return Answer.of(request.id(domain), request, operator, result, trace_root)
