"""A registered model: its terms, its id, and what the registry says of it.

Mirrors `contracts/src/types/ModelTerms.sol`. Knows nothing of ONNX files.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

from eth_utils.crypto import keccak

from oracle.core.schema import ModelSchema
from oracle.core.typed_data import word
from oracle.core.types import Address, Tier, format_wad

UNCERTIFIED: Final = 2**96 - 1
"""The error bar of a model whose answers nobody has bounded."""

ADD_AGAIN: Final = (
    "oracle model add FILE, with the file, rows and options that it was registered with"
)
"""How a registrar has its own model on its machine again: nobody else need have it."""


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """What a model id commits to, besides its registrar.

    `program_root` is the SHA-256 of the ONNX file in the `UNPROVEN` tier. Windows are in seconds,
    `min_bond` in base units. `epsilon` is the certified error bar, with 18 decimals: how far a
    cheat that no judge would notice can move any float output; 0 is exact, UNCERTIFIED unbounded.
    """

    program_root: bytes
    profile_hash: bytes
    schema_hash: bytes
    tier: Tier
    challenge_window: int
    reveal_window: int
    min_bond: int
    epsilon: int

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)

    def model_id(self, registrar: Address) -> bytes:
        """`keccak256(abi.encode(registrar, terms))`, 32 bytes."""
        return keccak(word(registrar) + b"".join(word(field) for field in astuple(self)))


def had_again(model: Model, operator: Address | None) -> str:
    """How an operator has a model's file on its machine."""
    return ADD_AGAIN if model.registrar == operator else f"oracle model fetch 0x{model.id.hex()}"


def untimely(reveal_window: int, dispute_allowance: int) -> str | None:
    """Why a window to reveal, in seconds, does not go with what disputes may add to an answer's
    window; None where it does."""
    if 2 * reveal_window <= dispute_allowance:
        return None
    return (
        f"twice the reveal window of {reveal_window} s, for the operator and then the watcher, is "
        f"more than the {dispute_allowance} s that disputes may add: demands late in the challenge "
        "window would be refused"
    )


def error_bar(epsilon: int) -> str:
    """An error bar in words, or as a decimal."""
    match epsilon:
        case 0:
            return "exact"
        case _ if epsilon == UNCERTIFIED:
            return "not certified"
        case _:
            return format_wad(epsilon)


@dataclass(frozen=True, slots=True)
class Model:
    """A model as its registration event and the registry's storage describe it.

    `registered_at` and `deprecated_at` are Unix seconds; the latter is 0 while the model is live.
    """

    id: bytes
    registrar: Address
    terms: ModelTerms
    name: str
    schema: ModelSchema
    uri: str
    registered_at: int
    deprecated_at: int

    @property
    def live(self) -> bool:
        return self.deprecated_at == 0
