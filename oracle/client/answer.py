"""An answer as a reader gets it: decoded outputs, and in plain words what stands behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from numpy.typing import NDArray

from oracle.chain.revert_words import moment
from oracle.core.decision import Decision, decide
from oracle.core.model import UNCERTIFIED
from oracle.core.types import Address, Tier

_WAD: Final = 10**18

_BACKING = {
    Tier.UNPROVEN: "unproven: it rests on the operator's signature and stake alone",
    Tier.EXACT: "exact tier: one wrong element, shown while it is not final, voids it",
    Tier.ROUNDED: "rounded tier: one wrong element, shown while it is not final, voids it",
    Tier.NATIVE: "native tier: one wrong element, shown while it is not final, voids it",
}
_STANDS: Final = "it stands, as nobody showed a wrong element in its window"


@dataclass(frozen=True, slots=True)
class InferenceAnswer:
    """One answer.

    Attributes:
        request_id: 32 bytes.
        operator: who answered.
        outputs: read-only arrays by the schema's names; empty where the model gives no output for
            this input (`answerable` is False then). They may hold NaN and infinity.
        result: the bytes as posted.
        tier: how the model's answers are judged.
        final: whether the answer can no longer be disputed.
        settle_at: Unix second from which it can be settled.
        epsilon: the model's certified error bar, with 18 decimals: how far a cheat that no judge
            would notice can have moved any float output; UNCERTIFIED where nobody has bounded it.
    """

    request_id: bytes
    operator: Address
    outputs: Mapping[str, NDArray[Any]]
    result: bytes
    tier: Tier
    final: bool
    settle_at: int
    epsilon: int = UNCERTIFIED

    @property
    def error_bar(self) -> Fraction | None:
        """`epsilon` as a number; None for "not certified"."""
        return None if self.epsilon == UNCERTIFIED else Fraction(self.epsilon, _WAD)

    def decisions(self) -> dict[str, tuple[Decision, ...]]:
        """For each float output with several scores a row: what every row decides.

        A label is to be used only where it is clear. One whose lead is not above twice the error
        bar is ambiguous, and where nothing is certified all are.
        """
        bar = self.error_bar
        return {
            name: tuple(decide([float(score) for score in row], bar) for row in scores)
            for name, scores in self.outputs.items()
            if scores.dtype.kind == "f" and scores.ndim == 2 and scores.shape[1] > 1
        }

    @property
    def answerable(self) -> bool:
        """False where the operator declared that the model cannot take this input."""
        return bool(self.result)

    @property
    def backing(self) -> str:
        """What stands behind the answer, in words."""
        return backing(self.tier, final=self.final)

    def __str__(self) -> str:
        when = "final" if self.final else f"not final before {moment(self.settle_at)}"
        return f"answer of {self.operator}, {when}, {self.backing}"


def backing(tier: Tier, *, final: bool = False) -> str:
    """What stands behind an answer of a tier, in words; `final` once nobody can void it."""
    if final and tier is not Tier.UNPROVEN:
        return f"{tier.name.lower()} tier: {_STANDS}"
    return _BACKING[tier]
