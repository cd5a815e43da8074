"""What happened at the court: demands on an operator, and everything about one answer.

Reads logs, and of reveals and dismissals the calldata, as the events do not carry the paths. Knows
nothing of cursors: it is told what to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oracle.chain import abi
from oracle.chain.coder import UnreadableData
from oracle.chain.court_contract import CONTRACT, decode_logs
from oracle.chain.logs import LARGEST_SPAN, LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.dispute import (
    DemandDismissed,
    FraudProven,
    RevealDemand,
    RevealDemanded,
    Revealed,
)
from oracle.core.event import ChainEvent
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
        shown: what was revealed in calldata that could be read.
        dismissed: rows and tree root, where the operator showed them.
        proven: the conviction by proof, if there was one.
    """

    demands: tuple[RevealDemand, ...]
    shown: tuple[Shown, ...]
    dismissed: tuple[int, bytes] | None
    proven: FraudProven | None


class CourtReader:
    """Reads one court through one endpoint."""

    def __init__(self, rpc: Rpc, court: Address, *, largest_span: int = LARGEST_SPAN) -> None:
        self._rpc = rpc
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
        shown, dismissed, proven = [], None, None
        for event in events:
            if isinstance(event, Revealed) and event.number in demands:
                opening = await self._opening(event, demands[event.number])
                if opening is not None:
                    shown.append(Shown(demands[event.number].leaves.rows, opening))
            elif isinstance(event, DemandDismissed):
                dismissed = await self._dismissed(event) or dismissed
            elif isinstance(event, FraudProven):
                proven = event
        return Proceedings(tuple(demands.values()), tuple(shown), dismissed, proven)

    async def _opening(self, event: Revealed, demand: RevealDemand) -> Opening | None:
        arguments = await self._arguments("reveal", event)
        if arguments is None:
            return None
        leaves, (_, _, data, path) = demand.leaves, arguments
        return Opening(
            leaves.row, leaves.tensor, leaves.first, leaves.count, bytes(data), tuple(path)
        )

    async def _dismissed(self, event: DemandDismissed) -> tuple[int, bytes] | None:
        arguments = await self._arguments("dismiss", event)
        return None if arguments is None else (arguments[2], arguments[3])

    async def _arguments(self, name: str, event: ChainEvent) -> tuple[Any, ...] | None:
        """What the verb was called with; None where another contract called it."""
        found = await self._rpc.request(
            "eth_getTransactionByHash", [to_hex(event.position.transaction_hash)]
        )
        function = self._abi.functions[name]
        if found is None:
            return None
        data = to_bytes(found["input"])
        if data[:4] != function.selector:
            return None
        try:
            return tuple(function.inputs.decode(data, 4))
        except UnreadableData:
            return None
