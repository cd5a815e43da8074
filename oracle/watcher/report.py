"""What a watcher watched: how many answers came to what, and what it cost and brought.

Reads the watcher's tables and the chain's accounts. Sends nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oracle.core.case import Case, CaseState
from oracle.core.types import format_opg
from oracle.ports.jobs import Totals

_NOTHING_TO_TELL = frozenset({CaseState.CLEAN, CaseState.OVER})


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What was watched, as of now. Amounts are base units.

    `missed` are the requests whose wrong answers became final since the watcher was started.
    `claimable` are the watcher's shares at the staking contract and deposits at the court.
    """

    cases: Sequence[Case]
    missed: frozenset[bytes]
    totals: Totals
    claimable: int

    def told(self) -> dict[str, Any]:
        """For people: the same, with each case but those that are clean or over; they are counted
        under `states`."""
        return self._facts(_NOTHING_TO_TELL)

    def facts(self) -> dict[str, Any]:
        """For scripts: with each case that is not clean."""
        return self._facts(frozenset({CaseState.CLEAN}))

    def _facts(self, counted: frozenset[CaseState]) -> dict[str, Any]:
        counts = Counter(case.state for case in self.cases)
        return {
            "answers": len(self.cases),
            "states": {state.value: counts[state] for state in CaseState if counts[state]},
            "missed_now": len(self.missed),
            "transactions": self.totals.transactions,
            "reverted": self.totals.reverted,
            "gas_spent_wei": self.totals.gas_spent_wei,
            "claimable_opg": format_opg(self.claimable),
            "cases": [
                {
                    "request": case.request_id,
                    "operator": case.operator,
                    "state": case.state.value,
                    "reason": case.reason,
                }
                for case in self.cases
                if case.state not in counted
            ],
        }
