"""A receipt as a file: all that a reader keeps of an answer, to check it without who gave it.

Responsible for the JSON document, read strictly and written in one way. It checks the form of what
it reads, and nothing of what the document claims: that is what `oracle verify` is for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from oracle.core.document import Reader, hexadecimal, written
from oracle.core.model import ModelTerms
from oracle.core.receipt import Answer, Receipt
from oracle.core.request import Request
from oracle.core.schema import ModelSchema
from oracle.core.typed_data import Domain
from oracle.core.types import Address, Tier
from oracle.errors import InputError

FORMAT: Final = 1
LARGEST_DOCUMENT: Final = 64 * 2**20
"""Characters; inputs and results that fit a transaction are far below it."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """The deployment that an answer was given to. `court` is None where it has none."""

    chain_id: int
    oracle: Address
    registry: Address
    staking: Address
    token: Address
    court: Address | None

    @property
    def domain(self) -> Domain:
        return Domain(self.chain_id, self.oracle)


@dataclass(frozen=True, slots=True)
class Posted:
    """Where an answer stands on the chain; `settle_at` is the Unix second it was to be final."""

    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    settle_at: int


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model as its registration says: what its id is the hash of, and what that binds."""

    id: bytes
    registrar: Address
    terms: ModelTerms
    name: str
    schema: ModelSchema
    uri: str


@dataclass(frozen=True, slots=True)
class SavedReceipt:
    """One answered request with all that its signature binds.

    `batch` holds the struct hashes of the batch that was signed as one, in order; it is empty where
    the answer was signed alone.
    """

    contracts: Contracts
    request_id: bytes
    request: Request
    input: bytes
    answer: Answer
    result: bytes
    signer: Address
    signature: bytes
    batch: tuple[bytes, ...]
    posted: Posted
    model: RegisteredModel

    @property
    def receipt(self) -> Receipt:
        """What `core.receipt` can verify."""
        return Receipt(
            domain=self.contracts.domain,
            answer=self.answer,
            tier=self.model.terms.tier,
            signer=self.signer,
            signature=self.signature,
            batch=self.batch,
        )

    def to_json(self) -> str:
        """The document, for people to look at and for `from_json` to read."""
        document = {
            "format": FORMAT,
            "contracts": written(self.contracts),
            "request": {"id": hexadecimal(self.request_id), "terms": written(self.request)}
            | {"input": hexadecimal(self.input)},
            "answer": {"fields": written(self.answer), "result": hexadecimal(self.result)}
            | {"posted": written(self.posted)},
            "signature": {
                "signer": self.signer,
                "bytes": hexadecimal(self.signature),
                "batch": [hexadecimal(one) for one in self.batch],
            },
            "model": {
                "id": hexadecimal(self.model.id),
                "registrar": self.model.registrar,
                "terms": written(self.model.terms),
                "name": self.model.name,
                "schema": json.loads(self.model.schema.to_json()),
                "uri": self.model.uri,
            },
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SavedReceipt:
        """Reads a document. Numbers and hashes are taken as they are: they are claims.

        Raises:
            InputError: not JSON, or not of the form that `to_json` writes; names what is wrong.
        """
        if len(text) > LARGEST_DOCUMENT:
            raise InputError(f"a receipt has at most {LARGEST_DOCUMENT} characters")
        top = Reader.of(text, "the receipt")
        if (written_as := top.number("format")) != FORMAT:
            raise InputError(f"the receipt is of format {written_as}, this program reads {FORMAT}")
        contracts, request, answer = (top.part(n) for n in ("contracts", "request", "answer"))
        signature, model = top.part("signature"), top.part("model")
        top.end()
        read = cls(
            contracts=Contracts(
                **contracts.numbers("chain_id"),
                **contracts.addresses("oracle", "registry", "staking", "token"),
                court=contracts.address_or_none("court"),
            ),
            request_id=request.data("id", 32),
            request=read_request(request.part("terms")),
            input=request.data("input"),
            answer=_answer(answer.part("fields")),
            result=answer.data("result"),
            signer=signature.address("signer"),
            signature=signature.data("bytes", 65),
            batch=signature.list_of_bytes("batch"),
            posted=_posted(answer.part("posted")),
            model=_model(model),
        )
        for part in (contracts, request, answer, signature, model):
            part.end()
        return read


def read_request(part: Reader) -> Request:
    """The terms of a request as a document has them."""
    terms = Request(
        **part.addresses("requester", "consumer", "operator"),
        **part.numbers("nonce", "fee", "bond", "value_at_risk", "deadline"),
        **part.numbers("window", "callback_gas_limit"),
        model_id=part.data("model_id", 32),
        input_hash=part.data("input_hash", 32),
        eager=part.boolean("eager"),
    )
    part.end()
    return terms


def _answer(part: Reader) -> Answer:
    names = ("request_id", "model_id", "input_hash", "result_hash", "trace_root")
    answer = Answer(
        operator=part.address("operator"), **{name: part.data(name, 32) for name in names}
    )
    part.end()
    return answer


def _posted(part: Reader) -> Posted:
    posted = Posted(
        **part.numbers("block_number", "settle_at"),
        block_hash=part.data("block_hash", 32),
        transaction_hash=part.data("transaction_hash", 32),
    )
    part.end()
    return posted


def _model(part: Reader) -> RegisteredModel:
    terms = part.part("terms")
    hashes: dict[str, Any] = {
        name: terms.data(name, 32) for name in ("program_root", "profile_hash", "schema_hash")
    }
    tier = terms.number("tier")
    if tier not in list(Tier):
        raise InputError(f"model.terms.tier is {tier}, which is no tier")
    read = ModelTerms(
        **hashes,
        tier=Tier(tier),
        **terms.numbers("challenge_window", "reveal_window", "min_bond", "epsilon"),
    )
    terms.end()
    return RegisteredModel(
        id=part.data("id", 32),
        registrar=part.address("registrar"),
        terms=read,
        name=part.text("name"),
        schema=ModelSchema.from_json(json.dumps(part.taken("schema"))),
        uri=part.text("uri"),
    )
