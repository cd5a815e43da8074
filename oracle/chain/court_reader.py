"""What happened at the court: demands on an operator, and everything about one answer.

Reads logs alone: they carry all that was shown, with what proves it. Knows nothing of cursors: it
is told what to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle.chain import abi
from oracle.chain.court_contract import CONTRACT, decode_logs
from oracle.chain.logs import LARGEST_SPAN, LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.wire import to_hex
from oracle.core.dispute import (
    DemandDismissed,
    DemandedLeaves,
    FraudProven,
    RevealDemand,
    RevealDemanded,
    Revealed,
)
from oracle.core.typed_data import word
from oracle.core.types import Address
from oracle.court.opening import Opening


@dataclass(frozen=True, slots=True)
class Shown:
    """Leaves that were revealed, and of how many rows the trace is."""

    rows: int
    opening: Opening


@dataclass(frozen=True, slots=True)
class Proceedings:
    """What happened to one answer at the court, in chain order.

    Attributes:
        demands: all that were made on it.
        shown: what was revealed.
        dismissed: rows and tree root, where the operator showed them.
        proven: the conviction by proof, if there was one.
        met: numbers of all that were met.
    """

    demands: tuple[RevealDemand, ...]
    shown: tuple[Shown, ...]
    dismissed: tuple[int, bytes] | None
    proven: FraudProven | None
    met: frozenset[int] = frozenset()


class CourtReader:
    """Reads one court through one endpoint."""

    def __init__(self, rpc: Rpc, court: Address, *, largest_span: int = LARGEST_SPAN) -> None:
        self._scanner = LogScanner(rpc, court, largest_span=largest_span)
        self._abi = abi.load(CONTRACT)

    async def demands(
        self, first_block: int, last_block: int, operator: Address
    ) -> Sequence[RevealDemand]:
        """Demands on answers of an operator."""
        topic = to_hex(self._abi.events["RevealDemanded"].topic)
        logs = await self._scanner.scan(
            first_block, last_block, [topic, None, to_hex(word(operator))]
        )
        return [event.demand for event in decode_logs(logs) if isinstance(event, RevealDemanded)]

    async def proceedings(
        self, request_id: bytes, first_block: int, last_block: int
    ) -> Proceedings:
        """Everything about one answer."""
        logs = await self._scanner.scan(first_block, last_block, [None, to_hex(request_id)])
        events = sorted(decode_logs(logs), key=lambda event: event.position)
        demands = {
            one.demand.number: one.demand for one in events if isinstance(one, RevealDemanded)
        }
        shown: list[Shown] = []
        dismissed: tuple[int, bytes] | None = None
        proven: FraudProven | None = None
        for event in events:
            if isinstance(event, Revealed) and event.number in demands:
                shown.append(_shown(event, demands[event.number].leaves))
            elif isinstance(event, DemandDismissed):
                dismissed = event.rows, event.tree_root
            elif isinstance(event, FraudProven):
                proven = event
        met = frozenset(one.number for one in events if isinstance(one, Revealed | DemandDismissed))
        return Proceedings(tuple(demands.values()), tuple(shown), dismissed, proven, met)


def _shown(event: Revealed, leaves: DemandedLeaves) -> Shown:
    return Shown(
        leaves.rows,
        Opening(leaves.row, leaves.tensor, leaves.first, leaves.count, event.data, event.path),
    )
