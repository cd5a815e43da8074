"""An answer that was given in a view: what its operator signed, and the file that a caller keeps.

It answers a request that nobody has sent yet, so it has no place on the chain. Whoever has the
requester's key can give it one. Knows neither gateways nor contracts' calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from oracle.core.document import Reader, hexadecimal, written
from oracle.core.receipt import Accept, Answer, Receipt
from oracle.core.request import Request, data_hash
from oracle.core.saved_receipt import LARGEST_DOCUMENT, Contracts, read_request
from oracle.core.typed_data import Domain
from oracle.core.types import Address, Tier
from oracle.errors import InputError

KIND: Final = "view receipt"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class ViewReceipt:
    """What opens an answer to the court, besides the result and the requester's signature.

    Mirrors `contracts/src/periphery/IViewGateway.sol`. `accept_until` is the last second at which
    the acceptance may be used.
    """

    request: Request
    trace_root: bytes
    accept_until: int
    accept_signature: bytes
    answer_signature: bytes

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return (
            self.request.as_tuple(),
            self.trace_root,
            self.accept_until,
            self.accept_signature,
            self.answer_signature,
        )

    def acceptance(self, domain: Domain) -> Accept:
        """What the first signature is of."""
        return Accept(self.request.id(domain), self.request.operator, self.accept_until)

    def answer(self, domain: Domain, result: bytes) -> Answer:
        """What the second signature is of."""
        request = self.request
        return Answer.of(request.id(domain), request, request.operator, result, self.trace_root)

    def receipt(self, domain: Domain, result: bytes, tier: Tier, signer: Address) -> Receipt:
        """The same as of any answer, for `Receipt.verify`."""
        return Receipt(domain, self.answer(domain, result), tier, signer, self.answer_signature)


@dataclass(frozen=True, slots=True)
class SavedView:
    """A receipt of a view with what it is about: all that `oracle post` needs but the key."""

    contracts: Contracts
    input: bytes
    result: bytes
    receipt: ViewReceipt

    @property
    def request_id(self) -> bytes:
        """Under which it stands on chain once it is posted."""
        return self.receipt.request.id(self.contracts.domain)

    def to_json(self) -> str:
        """The document that `from_json` reads."""
        receipt = self.receipt
        document = {
            "kind": KIND,
            "format": FORMAT,
            "contracts": written(self.contracts),
            "request": {
                "id": hexadecimal(self.request_id),
                "terms": written(receipt.request),
                "input": hexadecimal(self.input),
            },
            "answer": {
                "result": hexadecimal(self.result),
                "trace_root": hexadecimal(receipt.trace_root),
                "signature": hexadecimal(receipt.answer_signature),
            },
            "acceptance": {
                "until": receipt.accept_until,
                "signature": hexadecimal(receipt.accept_signature),
            },
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SavedView:
        """Raises InputError for what is not of the form, or contradicts itself; names it."""
        if len(text) > LARGEST_DOCUMENT:
            raise InputError(f"a receipt has at most {LARGEST_DOCUMENT} characters")
        top = Reader.of(text, "the receipt")
        if top.taken("kind") != KIND or top.number("format") != FORMAT:
            raise InputError(
                f"this is no {KIND} of format {FORMAT}",
                hint="`oracle view --save FILE` writes one",
            )
        contracts, request = top.part("contracts"), top.part("request")
        answer, acceptance = top.part("answer"), top.part("acceptance")
        top.end()
        stated = request.data("id", 32)
        read = cls(
            contracts=Contracts(
                **contracts.numbers("chain_id"),
                **contracts.addresses("oracle", "registry", "staking", "token"),
                court=contracts.address_or_none("court"),
            ),
            input=request.data("input"),
            result=answer.data("result"),
            receipt=ViewReceipt(
                request=read_request(request.part("terms")),
                trace_root=answer.data("trace_root", 32),
                accept_until=acceptance.number("until"),
                accept_signature=acceptance.data("signature", 65),
                answer_signature=answer.data("signature", 65),
            ),
        )
        for part in (contracts, request, answer, acceptance):
            part.end()
        if read.request_id != stated:
            raise InputError("the receipt's request has other terms than its id")
        if data_hash(read.input) != read.receipt.request.input_hash:
            raise InputError("the receipt's input is not the one that its request names")
        return read
