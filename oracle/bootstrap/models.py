"""From an ONNX file to a registered model: inspect, keep, register."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oracle.chain.contracts import Contracts
from oracle.chain.sender import TransactionSender
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.devnet.bring_up import register_model
from oracle.inference.content_store import ContentStore
from oracle.inference.model_file import ModelFile, inspect


@dataclass(frozen=True, slots=True)
class AddedModel:
    """What came of adding a file."""

    id: bytes
    name: str
    file: ModelFile
    terms: ModelTerms


async def add_model(
    file: Path,
    store: ContentStore,
    registrar: TransactionSender,
    contracts: Contracts,
    *,
    name: str,
    uri: str,
    challenge_window: int,
    min_bond: int,
) -> AddedModel:
    """Inspects a file, keeps it by its hash and registers it, each where it is not done already.

    Raises:
        ModelFileError: the file cannot be run or registered.
        ContractReverted: the registry refused the terms.
    """
    inspected = inspect(file)
    store.add_file(file)
    terms = ModelTerms(
        program_root=inspected.sha256,
        profile_hash=ZERO_BYTES32,
        schema_hash=inspected.schema.schema_hash,
        tier=Tier.UNPROVEN,
        challenge_window=challenge_window,
        reveal_window=0,
        min_bond=min_bond,
        epsilon=UNCERTIFIED,
    )
    model_id = await register_model(
        registrar, contracts, terms, name=name, schema=inspected.schema, uri=uri
    )
    return AddedModel(model_id, name, inspected, terms)
