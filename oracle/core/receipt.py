"""What an operator signs: acceptances, answers, batches; and the receipt a reader keeps.

Mirrors `contracts/src/types/{Accept,Answer}.sol`. A receipt names everything its signature binds,
so it can be checked by anyone who holds it. Knows nothing of how a result was computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from coincurve import PublicKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from oracle.core.request import Request, data_hash
from oracle.core.typed_data import Domain, struct_hash
from oracle.core.types import ZERO_BYTES32, Address, Tier
from oracle.errors import SignatureError

ACCEPT_TYPE = "Accept(bytes32 requestId,address operator,uint40 validUntil)"
ANSWER_TYPE = (
    "Answer(bytes32 requestId,address operator,bytes32 modelId,bytes32 inputHash,"
    "bytes32 resultHash,bytes32 traceRoot)"
)
ANSWER_BATCH_TYPE = "AnswerBatch(Answer[] answers)" + ANSWER_TYPE

_ACCEPT_TYPEHASH = keccak(text=ACCEPT_TYPE)
_ANSWER_TYPEHASH = keccak(text=ANSWER_TYPE)
_ANSWER_BATCH_TYPEHASH = keccak(text=ANSWER_BATCH_TYPE)

MAX_ANSWER_BATCH: Final = 500
"""As the oracle's: evidence of a contradiction carries the hash of every answer of a batch."""

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


@dataclass(frozen=True, slots=True)
class Accept:
    """An operator's consent to be bound by a request; `valid_until` is a Unix second."""

    request_id: bytes
    operator: Address
    valid_until: int

    def preimage(self, domain: Domain) -> bytes:
        return domain.preimage(struct_hash(_ACCEPT_TYPEHASH, astuple(self)))

    def digest(self, domain: Domain) -> bytes:
        return keccak(self.preimage(domain))


@dataclass(frozen=True, slots=True)
class Answer:
    """An operator's claim: this model, on this input, gave this result by this computation."""

    request_id: bytes
    operator: Address
    model_id: bytes
    input_hash: bytes
    result_hash: bytes
    trace_root: bytes

    @classmethod
    def of(
        cls,
        request_id: bytes,
        request: Request,
        operator: Address,
        result: bytes,
        trace_root: bytes = ZERO_BYTES32,
    ) -> Answer:
        """The answer that `operator` gives when it posts `result` for `request`."""
        return cls(
            request_id=request_id,
            operator=operator,
            model_id=request.model_id,
            input_hash=request.input_hash,
            result_hash=data_hash(result),
            trace_root=trace_root,
        )

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)

    def struct_hash(self) -> bytes:
        return struct_hash(_ANSWER_TYPEHASH, astuple(self))

    def preimage(self, domain: Domain) -> bytes:
        return domain.preimage(self.struct_hash())

    def digest(self, domain: Domain) -> bytes:
        return keccak(self.preimage(domain))


@dataclass(frozen=True, slots=True)
class AnswerCommitment:
    """What the oracle keeps of an answer until it is final."""

    operator: Address
    result_hash: bytes
    trace_root: bytes

    @classmethod
    def of(cls, answer: Answer) -> AnswerCommitment:
        return cls(answer.operator, answer.result_hash, answer.trace_root)

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)


def answer_batch_preimage(domain: Domain, answers: Sequence[Answer]) -> bytes:
    """What one signature covers for a whole batch (EIP-712 array of structs)."""
    return domain.preimage(_batch_hash([answer.struct_hash() for answer in answers]))


def answer_batch_digest(domain: Domain, answers: Sequence[Answer]) -> bytes:
    """Its Keccak-256."""
    return keccak(answer_batch_preimage(domain, answers))


def _batch_hash(hashes: Sequence[bytes]) -> bytes:
    return keccak(_ANSWER_BATCH_TYPEHASH + keccak(b"".join(hashes)))


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signed answer with everything needed to check the signature away from the chain.

    Attributes:
        domain: the deployment it was signed for.
        answer: what was signed.
        tier: what stands behind it; in `UNPROVEN` the trace root is zero, and only the signature
            and the stake do.
        signer: who is said to have signed.
        signature: 65 bytes, r ‖ s ‖ v, over the answer's digest or, where `batch` is not empty,
            over the digest of the batch.
        batch: struct hashes of all answers of the batch that it came in, in order.
    """

    domain: Domain
    answer: Answer
    tier: Tier
    signer: Address
    signature: bytes
    batch: tuple[bytes, ...] = ()

    def verify(self) -> None:
        """Checks that `signer` signed this answer, alone or in its batch.

        Raises:
            SignatureError: another key signed, the answer is not in the batch, the batch is larger
                than any that can be posted, or the signature is malformed or has a high s.
        """
        if len(self.batch) > MAX_ANSWER_BATCH:
            raise SignatureError(
                f"a batch of {len(self.batch)} answers is no evidence: at most {MAX_ANSWER_BATCH} "
                "are posted at once"
            )
        if self.batch and self.answer.struct_hash() not in self.batch:
            raise SignatureError("the answer is not in the batch that was signed")
        digest = (
            self.domain.digest(_batch_hash(self.batch))
            if self.batch
            else self.answer.digest(self.domain)
        )
        actual = recover(digest, self.signature)
        if actual != self.signer:
            raise SignatureError(f"signed by {actual}, not by {self.signer}")


def recover(digest: bytes, signature: bytes) -> Address:
    """The address whose key signed `digest`.

    Raises:
        SignatureError: not 65 bytes, v not 27 or 28, s in the upper half, or no such key.
    """
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise SignatureError("a signature is 65 bytes and ends in 27 or 28")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise SignatureError("the signature has a high s and could be a copy with another form")
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        public = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises no narrower one
        raise SignatureError(f"no key made this signature: {error}") from error
    return Address(to_checksum_address(keccak(public.format(compressed=False)[1:])[-20:]))
