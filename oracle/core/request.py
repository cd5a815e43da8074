"""A request's terms and its id. The id is the EIP-712 digest of the terms: it binds all of them.

Mirrors `contracts/src/types/InferenceRequest.sol`. Knows nothing of how
a request is found or served.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import Final

from eth_utils.crypto import keccak

from oracle.core.typed_data import Domain, struct_hash
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.errors import InputError

REQUEST_TYPE = (
    "InferenceRequest(address requester,uint64 nonce,address consumer,bytes32 modelId,"
    "bytes32 inputHash,address operator,uint96 fee,uint96 bond,uint96 valueAtRisk,"
    "uint40 deadline,uint32 window,uint32 callbackGasLimit,bool eager)"
)
_TYPEHASH = keccak(text=REQUEST_TYPE)

FIRST_SIGNED_NONCE = 2**63
"""Nonces below it are assigned by the oracle; from it on, a gasless requester chooses."""

BOND_MULTIPLE = 20
"""The bond is at least this many times the fee."""

LIVENESS_MULTIPLE = 2
"""Silence costs this many times the fee, and never more than the bond."""


class RequestState(IntEnum):
    """Where a request stands on chain; mirrors `RequestState.sol`."""

    NONE = 0
    REQUESTED = 1
    ACCEPTED = 2
    ANSWERED = 3
    REVEAL_PENDING = 4
    CANCELLED = 5
    EXPIRED = 6
    DEFAULTED = 7
    SLASHED = 8
    SETTLED = 9

    @property
    def terminal(self) -> bool:
        return self >= RequestState.CANCELLED


class DeliveryState(IntEnum):
    """Where the consumer's notice stands; mirrors `RequestState.sol`."""

    NONE = 0
    DELIVERED = 1
    FAILED = 2


_NOTICE_OVERHEAD_GAS: Final = 10_000
"""Above what the consumer gets: a cold account, what is kept back, and the record of a failure."""


@dataclass(frozen=True, slots=True)
class Request:
    """The terms of one request, in the order of the Solidity struct.

    Amounts are OPG base units, `deadline` is a Unix second, `window` is in seconds.
    """

    requester: Address
    nonce: int
    consumer: Address
    model_id: bytes
    input_hash: bytes
    operator: Address
    fee: int
    bond: int
    value_at_risk: int
    deadline: int
    window: int
    callback_gas_limit: int
    eager: bool

    @property
    def notice_gas(self) -> int:
        """Gas that a notice may take beyond what a simulation shows, whatever its consumer does.

        A consumer may burn in a block what it does not in a simulation, or get its code in between;
        the contract sets the promised gas aside before each notice (`ExactGasCall`), and reverts
        where it is not there.
        """
        if self.consumer == ZERO_ADDRESS:
            return 0
        return self.callback_gas_limit * 64 // 63 + _NOTICE_OVERHEAD_GAS

    def __post_init__(self) -> None:
        for name, bits in (
            ("nonce", 64),
            ("fee", 96),
            ("bond", 96),
            ("value_at_risk", 96),
            ("deadline", 40),
            ("window", 32),
            ("callback_gas_limit", 32),
        ):
            value = getattr(self, name)
            if not 0 <= value < 1 << bits:
                raise InputError(f"request.{name} = {value} does not fit {bits} bits")
        if len(self.model_id) != 32 or len(self.input_hash) != 32:
            raise InputError("request.model_id and request.input_hash are 32 bytes each")

    @property
    def price_of_silence(self) -> int:
        """What an operator that is bound to it and does not answer loses, in base units."""
        return min(LIVENESS_MULTIPLE * self.fee, self.bond)

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)

    def struct_hash(self) -> bytes:
        return struct_hash(_TYPEHASH, astuple(self))

    def id(self, domain: Domain) -> bytes:
        """The request id: 32 bytes that bind chain, oracle, requester, nonce and every term."""
        return domain.digest(self.struct_hash())


def data_hash(data: bytes) -> bytes:
    """SHA-256, which binds input and result bytes to a request and an answer."""
    return hashlib.sha256(data).digest()


def minimum_bond(model_minimum: int, fee: int) -> int:
    """Smallest bond, in base units, that the oracle takes for a fee on a model."""
    return max(model_minimum, BOND_MULTIPLE * fee)
