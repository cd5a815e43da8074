"""A registered model: its terms, its id, and what the registry says of it.

Mirrors `contracts/src/types/ModelTerms.sol`. Knows nothing of ONNX files.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from eth_utils.crypto import keccak

from oracle.core.schema import ModelSchema
from oracle.core.typed_data import word
from oracle.core.types import Address, Tier


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """What a model id commits to, besides its registrar.

    `program_root` is the SHA-256 of the ONNX file in the `UNPROVEN` tier. Windows are in seconds,
    `min_bond` in base units.
    """

    program_root: bytes
    profile_hash: bytes
    schema_hash: bytes
    tier: Tier
    challenge_window: int
    reveal_window: int
    min_bond: int

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)

    def model_id(self, registrar: Address) -> bytes:
        """`keccak256(abi.encode(registrar, terms))`, 32 bytes."""
        return keccak(word(registrar) + b"".join(word(field) for field in astuple(self)))


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
