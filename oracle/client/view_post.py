"""Opens an answer of a view to the court: posts the request that it answers, and the answer.

By the verbs that every request goes through, under the requester's key, and beside the operator,
who may do the same at the same time. If it has posted another answer than the one that it signed in
the view, both signatures convict it. Knows no gateway.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from oracle.chain.court_contract import CourtBinding
from oracle.core.dispute import SignedAnswer
from oracle.core.receipt import AnswerCommitment, recover
from oracle.core.request import RequestState
from oracle.core.signing import signature_over
from oracle.core.types import format_opg
from oracle.core.view_receipt import SavedView
from oracle.errors import ContractReverted, InputError, NoAnswer, SignatureError
from oracle.ports.contracts import AnswerItem

if TYPE_CHECKING:
    from oracle.client.client import OracleClient

_PATIENCE_SECONDS: Final = 60.0
"""The operator posts, too, and what it has sent is refused here before it is mined: so long a verb
that comes second is no error."""

_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a receipt. `contradicted`: the operator was convicted of two answers."""

    request_id: bytes
    state: RequestState
    settle_at: int
    transactions: tuple[bytes, ...]
    contradicted: bool = False


async def post(client: OracleClient, saved: SavedView) -> Posted:
    """Sends what is missing for the answer to stand on chain.

    Raises:
        InputError: another deployment's receipt, or another requester's.
        ContractReverted: the oracle refuses it: too late, too little money, no free stake.
        NoAnswer: the request ended without an answer.
    """
    domain = client.deployment.domain
    request = saved.receipt.request
    if saved.contracts.domain != domain:
        raise InputError("the receipt is of another chain or another oracle")
    if request.requester != client.sender.address:
        raise InputError(
            f"the receipt was given to {request.requester}, and this key is "
            f"{client.sender.address}",
            hint="only the caller of the view can post it: give its key",
        )
    await _require_signatures(client, saved)
    sent: list[bytes] = []
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while True:
        now = await client.state(saved.request_id)
        if now.state.terminal or now.state in (
            RequestState.ANSWERED,
            RequestState.REVEAL_PENDING,
        ):
            break
        try:
            sent.append(await _step(client, saved, now.state))
        except ContractReverted as reverted:
            if reverted.name != "WrongState" or time.monotonic() >= give_up_at:
                raise
            await asyncio.sleep(_LOOK_SECONDS)
    if now.state is not RequestState.SLASHED and await _is_contradicted(client, saved):
        sent.append(await _convict(client, saved))
        now = await client.state(saved.request_id)
        return Posted(saved.request_id, now.state, now.settle_at, tuple(sent), True)
    if now.state in (RequestState.CANCELLED, RequestState.EXPIRED, RequestState.DEFAULTED):
        raise NoAnswer(f"the request ended {now.state.name.lower()}, without an answer")
    return Posted(saved.request_id, now.state, now.settle_at, tuple(sent))


async def _step(client: OracleClient, saved: SavedView, state: RequestState) -> bytes:
    """The one verb that is next."""
    oracle, receipt, domain = client.oracle, saved.receipt, client.deployment.domain
    if state is RequestState.NONE:
        await _require_backing(client, saved)
        account = await oracle.account(client.sender.address)
        if account.balance < receipt.request.fee:
            await client.deposit(receipt.request.fee - account.balance)
        preimage = domain.preimage(receipt.request.struct_hash())
        signature = await signature_over(client.sender.signer, preimage)
        data = oracle.request_by_signature_data(receipt.request, saved.input, signature)
    elif state is RequestState.REQUESTED:
        data = oracle.accept_data(
            receipt.request, receipt.acceptance(domain), receipt.accept_signature
        )
    else:
        item = AnswerItem(receipt.request, saved.result, receipt.trace_root)
        data = oracle.answer_data(item, receipt.request.operator, receipt.answer_signature)
    return (await client.sender.send(oracle.address, data)).hash


async def _require_signatures(client: OracleClient, saved: SavedView) -> None:
    """Nothing is paid for a receipt that no court would look at."""
    domain, receipt = client.deployment.domain, saved.receipt
    for digest, signature in (
        (receipt.acceptance(domain).digest(domain), receipt.accept_signature),
        (receipt.answer(domain, saved.result).digest(domain), receipt.answer_signature),
    ):
        signer = recover(digest, signature)
        if not await client.staking.was_signer(receipt.request.operator, signer):
            raise SignatureError(
                f"{signer}, who signed the receipt, was never a signer of "
                f"{receipt.request.operator}"
            )


async def _require_backing(client: OracleClient, saved: SavedView) -> None:
    """Nor for one that its operator can no longer be bound by: the request could only expire."""
    request = saved.receipt.request
    free = (await client.staking.status(request.operator)).free
    if free < request.bond:
        raise InputError(
            f"the operator's free stake of {format_opg(free)} OPG no longer covers the bond of "
            f"{format_opg(request.bond)} OPG",
            hint="nothing was sent: what backs an answer in a view is locked when it is posted",
        )
    until = min(saved.receipt.accept_until, request.deadline)
    now = await client.rpc.next_timestamp()
    if now >= until:
        raise InputError(
            f"the receipt could be posted until Unix second {until}, and it is {now}",
            hint="nothing was sent: ask again, and post within the time that `oracle view` names",
        )


async def _is_contradicted(client: OracleClient, saved: SavedView) -> bool:
    answered = (await client.story(saved.request_id)).answered
    mine = saved.receipt.answer(client.deployment.domain, saved.result)
    return answered is not None and (
        (answered.result, answered.trace_root) != (saved.result, mine.trace_root)
    )


async def _convict(client: OracleClient, saved: SavedView) -> bytes:
    """Both answers of the operator, to the court."""
    domain, request = client.deployment.domain, saved.receipt.request
    posted = await client.receipt(saved.request_id)
    first = SignedAnswer(saved.receipt.answer(domain, saved.result), saved.receipt.answer_signature)
    second = SignedAnswer(posted.answer, posted.signature, posted.batch)
    court = CourtBinding(client.rpc, client.deployment.court)
    data = court.slash_equivocation_data(request, AnswerCommitment.of(posted.answer), first, second)
    return (await client.sender.send(court.address, data)).hash
