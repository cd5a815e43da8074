"""The registry's and the staking contract's logs as the core's events."""

from __future__ import annotations

from typing import Any, Final

from oracle.chain.log_decoder import LogDecoder
from oracle.core import market_event as events
from oracle.core.event import LoggedEvent, Position
from oracle.core.model import ModelTerms
from oracle.core.operator import Offer
from oracle.core.types import Tier


def _model_registered(at: Position, *values: Any) -> LoggedEvent:
    model_id, registrar, terms, name, schema, uri = values
    program_root, profile_hash, schema_hash, tier, *rest = terms
    read = ModelTerms(program_root, profile_hash, schema_hash, Tier(tier), *rest)
    return events.ModelRegistered(at, model_id, registrar, read, name, schema, uri)


def _offer_set(at: Position, *values: Any) -> LoggedEvent:
    operator, model_id, offer = values
    return events.OfferSet(at, operator, model_id, Offer(*offer))


REGISTRY: Final = LogDecoder[LoggedEvent](
    "ModelRegistry",
    {"ModelRegistered": _model_registered, "ModelDeprecated": events.ModelDeprecated},
)

STAKING: Final = LogDecoder[LoggedEvent](
    "OperatorStaking",
    {
        "OperatorRegistered": events.OperatorRegistered,
        "SignerRotationStarted": events.SignerAnnounced,
        "PayoutChanged": events.PayoutChanged,
        "Bonded": events.StakeBonded,
        "UnbondingStarted": events.UnbondingStarted,
        "Withdrawn": events.StakeWithdrawn,
        "OfferSet": _offer_set,
        "EndpointSet": events.EndpointSet,
        "Slashed": events.StakeSlashed,
    },
)
