"""The `AnswerViews` contract (ERC-3668): its verbs and views, and what goes to gateways and back.

For whoever looks an answer up in a view, and for the node whose gateway gives it. Fetches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.chain import abi
from oracle.chain.binding import Binding, call
from oracle.chain.coder import UnreadableData, tuple_coder
from oracle.chain.rpc import Rpc
from oracle.core.request import Request
from oracle.core.types import Address, Tier
from oracle.core.view_receipt import ViewReceipt
from oracle.core.voucher import Payment
from oracle.errors import ChainUnreachable, ContractReverted, InputError, PaymentInvalid
from oracle.ports.views import ViewQuestion

_LOOKUP = "OffchainLookup"
_CALLBACK = tuple_coder([{"type": "bytes"}, {"type": "bytes"}])
_PAYMENT = tuple_coder([{"type": "uint256"}, {"type": "bytes"}])

_LARGEST_PAYMENT = 512


@dataclass(frozen=True, slots=True)
class OffchainLookup:
    """What a view asks its caller to fetch (ERC-3668)."""

    sender: Address
    urls: tuple[str, ...]
    call_data: bytes
    callback: bytes
    extra_data: bytes

    def callback_data(self, response: bytes) -> bytes:
        """Calldata that hands what a gateway gave to the contract."""
        return self.callback + _CALLBACK.encode((response, self.extra_data))


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """What the contract returned after its checks. `epsilon` has 18 decimals."""

    result: bytes
    request_id: bytes
    tier: Tier
    epsilon: int
    receipt: ViewReceipt


class ViewsBinding(Binding):
    """One deployed `AnswerViews`."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        super().__init__(rpc, "AnswerViews", address)

    def set_gateways_data(self, urls: list[str]) -> bytes:
        """Sent by the operator's owner; no URL withdraws them."""
        return self.encode("setGateways", urls)

    async def gateways_of(self, operator: Address) -> tuple[str, ...]:
        urls: tuple[str, ...] = await self.view("gatewaysOf", operator)
        return urls

    async def lookup(
        self, caller: Address, operator: Address, model_id: bytes, data: bytes
    ) -> OffchainLookup:
        """Where the answer is to be fetched.

        Raises:
            ContractReverted: the operator has no gateways, or the input can be no request's.
        """
        calldata = self.encode("answerOf", operator, model_id, data)
        try:
            await call(self._rpc, self.address, calldata, sender=caller)
        except ContractReverted as reverted:
            if reverted.name != _LOOKUP:
                raise
            lookup = OffchainLookup(*reverted.arguments.values())
            if lookup.sender != self.address:
                raise ChainUnreachable(f"{self.address} asks for {lookup.sender}") from None
            return lookup
        raise ChainUnreachable(
            f"answerOf at {self.address} returned, which it never does",
            hint="check the address in the deployment file",
        )

    async def checked(
        self, caller: Address, lookup: OffchainLookup, response: bytes
    ) -> CheckedAnswer:
        """The answer, if the contract takes it.

        Raises:
            ContractReverted: it does not, and why.
        """
        calldata = lookup.callback_data(response)
        returned = await call(self._rpc, self.address, calldata, sender=caller)
        try:
            result, request_id, tier, epsilon, receipt = self.abi.functions[
                "answerCallback"
            ].decode(returned)
            terms, *rest = receipt
            return CheckedAnswer(
                result, request_id, Tier(tier), epsilon, ViewReceipt(Request(*terms), *rest)
            )
        except (UnreadableData, ValueError) as error:
            raise ChainUnreachable(f"answerCallback returned something else: {error}") from error


def read_question(calldata: bytes) -> ViewQuestion:
    """What a gateway is asked.

    Raises:
        InputError: it cannot be read.
        PaymentInvalid: all but the payment can.
    """
    functions = abi.load("IViewGateway").functions
    free, paid = functions["answer"], functions["answerPaid"]
    selector = calldata[:4]
    if selector not in (free.selector, paid.selector):
        raise InputError(
            "data is no call of answer(address,address,bytes32,bytes), nor of answerPaid"
        )
    try:
        if selector == free.selector:
            return ViewQuestion(*free.inputs.decode(calldata, 4))
        caller, operator, model_id, data, payment = paid.inputs.decode(calldata, 4)
    except UnreadableData as error:
        raise InputError(f"data cannot be read: {error}") from None
    return ViewQuestion(caller, operator, model_id, data, read_payment(payment))


def write_question(question: ViewQuestion) -> bytes:
    """The same as calldata, as the contract hands it out."""
    functions = abi.load("IViewGateway").functions
    asked = (question.caller, question.operator, question.model_id, question.input)
    if question.payment is None:
        return functions["answer"].encode(*asked)
    return functions["answerPaid"].encode(*asked, write_payment(question.payment))


def read_payment(payment: bytes) -> Payment:
    """A voucher's total and signature. Raises PaymentInvalid."""
    try:
        if len(payment) > _LARGEST_PAYMENT:
            raise UnreadableData(f"{len(payment)} bytes")
        return Payment(*_PAYMENT.decode(payment, 0))
    except UnreadableData as error:
        raise PaymentInvalid(
            f"the payment is not the ABI encoding of (uint256 total, bytes signature): {error}"
        ) from None


def write_payment(payment: Payment) -> bytes:
    """What `answerOfPaid` takes."""
    return _PAYMENT.encode((payment.total, payment.signature))


def write_response(result: bytes, receipt: ViewReceipt) -> bytes:
    """What a gateway answers."""
    return abi.load("IViewGateway").functions["answer"].outputs.encode((result, receipt.as_tuple()))


def read_response(response: bytes) -> tuple[bytes, ViewReceipt]:
    """What a gateway answered, not checked. Raises InputError."""
    try:
        result, (terms, *rest) = abi.load("IViewGateway").functions["answer"].decode(response)
        return result, ViewReceipt(Request(*terms), *rest)
    except UnreadableData as error:
        raise InputError(f"the gateway's answer cannot be read: {error}") from None
