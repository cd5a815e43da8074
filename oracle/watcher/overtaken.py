"""What the contracts say where somebody else, or the clock, was faster: the next look has it."""

from __future__ import annotations

from typing import Final

from oracle.errors import ContractReverted, OracleError

_OVERTAKEN: Final = frozenset(
    {"WrongState", "DisputeOver", "NotInDispute", "DemandUnknown", "NothingHeld", "PriorityOver"}
)


def is_overtaken(error: OracleError) -> bool:
    """Whether an error is no fault of anybody's."""
    return isinstance(error, ContractReverted) and error.name in _OVERTAKEN
