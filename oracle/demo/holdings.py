"""Who holds what around a conviction, and how a slashed bond is shared out.

Amounts are base units of OPG, shares basis points as the deployed contracts have them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.chain.oracle_contract import OracleLimits
from oracle.core.types import format_opg

_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Holdings:
    """Base units of everybody whom a conviction may touch."""

    operator_stake: int
    payer_in_dapp: int
    payee: int
    watcher: int
    to_be_burned: int


@dataclass(frozen=True, slots=True)
class Split:
    """Who gets what of a slashed bond, in basis points."""

    requester_bps: int
    watcher_bps: int

    @classmethod
    def of(cls, limits: OracleLimits) -> Split:
        """As the deployed contracts have it."""
        return cls(limits.fraud_requester_bps, limits.fraud_watcher_bps)

    @property
    def requester(self) -> str:
        return f"{self.requester_bps / 100:g}%"

    @property
    def watcher(self) -> str:
        return f"{self.watcher_bps / 100:g}%"

    @property
    def burned(self) -> str:
        return f"{(_BPS - self.requester_bps - self.watcher_bps) / 100:g}%"

    @property
    def sentence(self) -> str:
        return (
            f"{self.requester} to the requester, {self.watcher} to the watcher, "
            f"{self.burned} burned"
        )

    def as_facts(self) -> dict[str, str]:
        """For scripts."""
        return {"requester": self.requester, "watcher": self.watcher, "burned": self.burned}


def rows(before: Holdings, after: Holdings, split: Split) -> list[dict[str, str]]:
    """Who had what, has what, and by what it changed, in decimal OPG."""
    names = {
        "operator_stake": "the operator's stake",
        "payer_in_dapp": "the payer's money in the dApp",
        "payee": f"the payee, for whom the dApp asked ({split.requester})",
        "watcher": f"the watcher's reward ({split.watcher})",
        "to_be_burned": f"burned, with what silence cost before ({split.burned})",
    }
    found = []
    for name, words in names.items():
        first, last = getattr(before, name), getattr(after, name)
        sign = "-" if last < first else "+" if last > first else ""
        found.append(
            {
                "who": words,
                "before_opg": format_opg(first),
                "after_opg": format_opg(last),
                "change_opg": sign + format_opg(abs(last - first)),
            }
        )
    return found
