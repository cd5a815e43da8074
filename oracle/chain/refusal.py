"""What a node, or something in front of it, says instead of an answer.

Responsible for telling apart what another endpoint might answer all the same: a limit on the rate
of calls, state that this one lacks, a fault of its own. Knows nothing of connections.
"""

from __future__ import annotations

import re
from typing import Final

from oracle.errors import ChainUnreachable

_RATE = re.compile(
    r"rate.{0,12}limit|too many requests|requests? per (second|minute|day)|request count"
    r"|(daily|monthly) .{0,12}limit|quota|throughput|compute units|capacity",
    re.IGNORECASE,
)
_LACKS = re.compile(
    r"header not found|unknown block|block .{0,24}not found|missing trie node|out ?of ?range"
    r"|state .{0,40}(not|un)available|historical state|pruned",
    re.IGNORECASE,
)
_HELD = re.compile(r"already known|already imported|known transaction", re.IGNORECASE)
_REVERT = re.compile(r"revert", re.IGNORECASE)

_REVERTED_CODE = 3
_LIMITED_CODES = (429, -32029)
_INTERNAL_CODE = -32603

ASKER_AT_FAULT: Final = (400, 413)
"""HTTP statuses that say the question was bad: another endpoint is not asked it."""


NO_RPC: Final = "this is no JSON-RPC endpoint, or not the path of one: check rpc_url"
_NO_SUCH_SERVICE: Final = (404, 405, 410, 501)


class RpcRefusal(ChainUnreachable):
    """The node answered, with a JSON-RPC error."""

    def __init__(self, method: str, code: int, reason: str, error_data: object) -> None:
        super().__init__(f"the node refused {method}: {reason} (code {code})")
        self.code = code
        self.reason = reason
        self.error_data = error_data

    @property
    def of_a_contract(self) -> bool:
        """Whether it is a contract's refusal, which every endpoint would repeat."""
        return (
            self.code == _REVERTED_CODE
            or bool(self.error_data)
            or bool(_REVERT.search(self.reason))
        )

    @property
    def limits_the_rate(self) -> bool:
        """Whether there were too many calls."""
        if self.code in _LIMITED_CODES:
            return True
        return bool(_RATE.search(self.reason)) and not _REVERT.search(self.reason)

    @property
    def another_may_answer(self) -> bool:
        """Whether it says more of this endpoint than of what was asked."""
        if self.limits_the_rate:
            return True
        if self.of_a_contract:
            return False
        return self.code == _INTERNAL_CODE or bool(_LACKS.search(self.reason))

    @property
    def holds_it_already(self) -> bool:
        """Whether a transaction was refused because the node has it."""
        return bool(_HELD.search(self.reason))


class HttpRefusal(ChainUnreachable):
    """Something in front of the node answered, with an HTTP error.

    Attributes:
        retry_after: seconds it asks to be left alone, where it says so.
    """

    def __init__(self, endpoint: str, status: int, retry_after: float | None = None) -> None:
        hint = None
        if status == 429:
            hint = "the endpoint limits the rate of requests: wait, or use another one"
        elif status in (401, 403):
            hint = "check the key in the endpoint's URL"
        elif status in _NO_SUCH_SERVICE:
            hint = NO_RPC
        elif status >= 500:
            hint = "the chain's node, or what stands before it, is in trouble: wait, or name "
            hint += "another one in rpc_url"
        super().__init__(f"{endpoint} answered HTTP {status}", hint=hint)
        self.status = status
        self.retry_after = retry_after
