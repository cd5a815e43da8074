"""What a dispute is about: demanded leaves, contradicting signatures, and the court's events.

Mirrors `contracts/src/types/Dispute.sol` and the events of `IDisputeManager`. Knows neither how a
proof is made nor what it proves.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from eth_utils.crypto import keccak

from oracle.core.event import ChainEvent
from oracle.core.receipt import Answer, AnswerCommitment
from oracle.core.typed_data import word
from oracle.core.types import Address


@dataclass(frozen=True, slots=True)
class FraudClaim:
    """What an answer claims: this program, on this input, gave this result by these tensors."""

    program_root: bytes
    input_hash: bytes
    result_hash: bytes
    trace_root: bytes

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)


@dataclass(frozen=True, slots=True)
class DemandedLeaves:
    """Leaves of one tensor of one row, in a trace of so many rows; in ABI order.

    `first_leaf` is the tensor's, within a row's `row_leaf_count`; `first` and `count` say which of
    its leaves are wanted.
    """

    rows: int
    row: int
    tensor: int
    first_leaf: int
    row_leaf_count: int
    leaf_bytes: int
    byte_count: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class RevealDemand:
    """A demand as its event carries it, and as every later call brings it back; in ABI order.

    `deposit` is in base units, `deadline` the last Unix second at which it may be met, `window` the
    seconds that the operator has, and the demander after it.
    """

    request_id: bytes
    number: int
    demander: Address
    deposit: int
    deadline: int
    window: int
    program_root: bytes
    commitment: AnswerCommitment
    leaves: DemandedLeaves

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """An answer as an operator signed it: alone, or in a batch whose struct hashes are given."""

    answer: Answer
    signature: bytes
    batch: tuple[bytes, ...] = ()

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order. Raises ValueError where the batch does not have the answer."""
        index = self.batch.index(self.answer.struct_hash()) if self.batch else 0
        return self.answer.as_tuple(), self.batch, index, self.signature


@dataclass(frozen=True, slots=True)
class HeldShare:
    """A watcher's share that waits for whoever announced its proof first. Unix seconds, base units.

    `holder` is the zero address where nothing is held.
    """

    holder: Address
    announced_at: int
    priority_until: int
    amount: int
    claim_hash: bytes


def announcement_of(watcher: Address, request_id: bytes, proof: bytes, salt: bytes) -> bytes:
    """What a watcher puts on record before it shows a proof; nothing can be read from it."""
    return keccak(word(watcher) + request_id + keccak(proof) + salt)


# ---- events


@dataclass(frozen=True, slots=True)
class FraudProven(ChainEvent):
    """`held` base units wait for the priority period; 0 where the watcher was paid at once."""

    operator: Address
    watcher: Address
    claim: FraudClaim
    held: int


@dataclass(frozen=True, slots=True)
class PriorityClaimed(ChainEvent):
    holder: Address
    announced_at: int


@dataclass(frozen=True, slots=True)
class ShareCollected(ChainEvent):
    holder: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RevealDemanded(ChainEvent):
    operator: Address
    demander: Address
    demand: RevealDemand


@dataclass(frozen=True, slots=True)
class Revealed(ChainEvent):
    """`data` are the demanded leaves, one after the other; `path` proves them."""

    number: int
    data: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DemandDismissed(ChainEvent):
    """`rows` is what the trace root was made for, with the tree's root `tree_root`."""

    number: int
    rows: int
    tree_root: bytes


@dataclass(frozen=True, slots=True)
class RevealTimedOut(ChainEvent):
    number: int
    demander: Address


@dataclass(frozen=True, slots=True)
class DemandRefunded(ChainEvent):
    number: int
    demander: Address


@dataclass(frozen=True, slots=True)
class EquivocationSlashed(ChainEvent):
    """The struct hashes of the two answers."""

    operator: Address
    watcher: Address
    first: bytes
    second: bytes
