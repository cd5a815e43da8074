"""An answer as a reader gets it: decoded outputs, and in plain words what stands behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from oracle.core.types import Address, Tier

_BACKING = {
    Tier.UNPROVEN: "unproven: it rests on the operator's signature and stake alone",
    Tier.EXACT: "exact tier: any wrong element can be proved on chain",
    Tier.ROUNDED: "rounded tier: any wrong element can be proved on chain",
    Tier.NATIVE: "native tier: any wrong element can be proved on chain",
}


@dataclass(frozen=True, slots=True)
class InferenceAnswer:
    """One answer.

    Attributes:
        request_id: 32 bytes.
        operator: who answered.
        outputs: read-only arrays by the schema's names; empty where the model gives no output for
            this input (`answerable` is False then).
        result: the bytes as posted.
        tier: how the model's answers are judged.
        final: whether the answer can no longer be disputed.
        settle_at: Unix second from which it can be settled.
    """

    request_id: bytes
    operator: Address
    outputs: Mapping[str, NDArray[Any]]
    result: bytes
    tier: Tier
    final: bool
    settle_at: int

    @property
    def answerable(self) -> bool:
        """False where the operator declared that the model cannot take this input."""
        return bool(self.result)

    @property
    def backing(self) -> str:
        """What stands behind the answer, in words."""
        return backing(self.tier)

    def __str__(self) -> str:
        when = "final" if self.final else f"not final before {self.settle_at}"
        return f"answer of {self.operator}, {when}, {self.backing}"


def backing(tier: Tier) -> str:
    """What stands behind an answer of a tier, in words."""
    return _BACKING[tier]
