"""A notice that a consumer could not be told: why, and having it delivered again.

Asks the chain what the consumer's hook would do now. Knows of no consumer in particular; those of
our base contract can hear a notice with more gas than was promised (`hearAgain`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from oracle.chain import abi
from oracle.chain.codec import decode_logs
from oracle.chain.rpc import RpcRefusal
from oracle.chain.sender import Sent
from oracle.client.story import Story
from oracle.core.event import NoticeDelivered
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import DeliveryState, Request, RequestState, data_hash
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Address
from oracle.errors import ChainRefused, ContractReverted, InputError
from oracle.ports.contracts import OnChainRequest

if TYPE_CHECKING:
    from oracle.client.client import OracleClient
    from oracle.client.reader import OracleReader

NOTICES: Final = ("answered, not final", "final", "voided")
"""What a notice says, by its number."""

_ANSWERED, _FINAL, _VOIDED = range(3)
_TRANSACTION_GAS: Final = 21_000


@dataclass(frozen=True, slots=True)
class Told:
    """A notice that was delivered again: whether it was heard, and which it is."""

    request_id: bytes
    consumer: Address
    notice: str
    delivered: bool
    sent: Sent


@dataclass(frozen=True, slots=True)
class Unheard:
    """Why a consumer does not hear a notice, as far as the chain can say now.

    Attributes:
        promised: gas that each notice of the request gets.
        needed: about what the hook would use; None where it reverts, or nobody knows.
        reverts: what it reverts with; None where it does not.
        code: whether there is a contract at all.
    """

    consumer: Address
    promised: int
    needed: int | None = None
    reverts: str | None = None
    code: bool = True

    @property
    def hopeless(self) -> bool:
        """Delivered again as it was, it would surely fail again."""
        too_much = self.needed is not None and self.needed > self.promised
        return not self.code or self.reverts is not None or too_much

    def __str__(self) -> str:
        if not self.code:
            return f"there is no contract at {self.consumer}"
        if self.reverts is not None:
            return f"its contract refuses: {self.reverts}"
        if self.needed is None:
            return "nothing speaks against another try"
        if self.hopeless:
            return f"it needs about {self.needed:,} gas, and the request promised {self.promised:,}"
        return f"it would be heard now: it needs about {self.needed:,} of {self.promised:,} gas"


async def deliver(client: OracleClient, request_id: bytes, *, all_gas: bool) -> Told:
    """Delivers a failed notice again; see `OracleClient.deliver_notice`."""
    story, state = await client.story(request_id), await client.state(request_id)
    request = story.created.request
    _require_open(request, state)
    if all_gas:
        contract, encode = request.consumer, abi.load("InferenceConsumer").functions["hearAgain"]
        data = encode.encode(request.as_tuple(), _commitment(story).as_tuple(), _result(story))
    else:
        await _require_hope(client, story, state)
        contract = client.oracle.address
        data = client.oracle.retry_notice_data(request, _commitment(story), _result(story))
    sent = await client.sender.send(contract, data)
    ours = [one for one in sent.logs if one["address"].lower() == client.oracle.address.lower()]
    heard = any(isinstance(event, NoticeDelivered) for event in decode_logs(ours))
    return Told(request_id, request.consumer, NOTICES[_due(state)], heard, sent)


async def why_unheard(reader: OracleReader, story: Story, state: OnChainRequest) -> Unheard:
    """What the consumer would do with the notice that failed, now."""
    request = story.created.request
    unheard = Unheard(request.consumer, request.callback_gas_limit)
    if not await reader.rpc.code(request.consumer):
        return Unheard(request.consumer, request.callback_gas_limit, code=False)
    hook = abi.load("IInferenceConsumer").functions["onInferenceNotice"]
    due = _due(state)
    result = b"" if due == _VOIDED else _result(story)
    data = hook.encode(story.created.request_id, due, request.model_id, result)
    try:
        gas = await reader.gateway.estimate_gas(reader.oracle.address, request.consumer, data)
    except ContractReverted as reverted:
        return Unheard(unheard.consumer, unheard.promised, reverts=reverted.message)
    except RpcRefusal:
        return unheard  # a node may refuse to have a contract call
    return Unheard(
        unheard.consumer, unheard.promised, needed=_of_the_hook(gas, data, unheard.promised)
    )


async def _require_hope(reader: OracleReader, story: Story, state: OnChainRequest) -> None:
    why = await why_unheard(reader, story, state)
    if not why.hopeless:
        return
    message = f"the notice would fail again: {why}"
    if why.needed is None:
        raise ChainRefused(message, hint="deliver it when the contract is there and takes it")
    more = "a contract that inherits InferenceConsumer hears it with all the gas of a transaction"
    raise ChainRefused(
        message,
        hint=f"{more}: deliver_notice(all_gas=True)",
        cli_hint=f"{more}: --all-gas",
    )


def _require_open(request: Request, state: OnChainRequest) -> None:
    if request.consumer == ZERO_ADDRESS:
        raise InputError("the request names no consumer, so nobody is told of it")
    if state.delivery is DeliveryState.DELIVERED:
        raise InputError(f"{request.consumer} has been told already")
    if state.delivery is not DeliveryState.FAILED:
        raise InputError(
            f"no notice of it has failed: the request is {state.state.name.lower()}",
            hint="its consumer is told when it ends",
        )
    if state.state is RequestState.REVEAL_PENDING:
        raise InputError(
            "the answer is under dispute", hint="its notice can be delivered when that is over"
        )


def _due(state: OnChainRequest) -> int:
    """The number of the notice that is due."""
    match state.state:
        case RequestState.SETTLED:
            return _FINAL
        case RequestState.ANSWERED | RequestState.REVEAL_PENDING:
            return _ANSWERED
        case _:
            return _VOIDED


def _commitment(story: Story) -> AnswerCommitment:
    """Of the answer; of a request without one, which the oracle does not look at."""
    answered = story.answered
    if answered is None:
        return AnswerCommitment(ZERO_ADDRESS, ZERO_BYTES32, ZERO_BYTES32)
    return AnswerCommitment(answered.operator, data_hash(answered.result), answered.trace_root)


def _result(story: Story) -> bytes:
    return story.answered.result if story.answered is not None else b""


def _of_the_hook(gas: int, data: bytes, promised: int) -> int | None:
    """What a call's estimate leaves for the hook; None where the price of its bytes hides it."""
    nothing = data.count(0)
    something = len(data) - nothing
    used = gas - (_TRANSACTION_GAS + 4 * nothing + 16 * something)
    used = max(0, used - gas // 50)  # an estimate may be a little above what it takes
    hidden = gas <= _TRANSACTION_GAS + 10 * nothing + 40 * something  # the least for such bytes
    return None if hidden and used > promised else used
