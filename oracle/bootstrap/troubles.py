"""What went wrong lately, kept from the log for the operator's page, each with what mends it.

A processor of structlog's, just before a line is written, so that it sees what the log shows. Keeps
so many and no more. Addresses are masked once more: a page is looked over shoulders.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import structlog

from oracle.core.redaction import masked
from oracle.ports.overview import Trouble

_KEPT: Final = 50
_LONGEST: Final = 600
_LEVELS: Final = {"warning", "error", "critical", "exception"}
_DETAILS: Final = ("what", "error", "why", "reason", "outcome")
_PLACES: Final = ("step", "request", "nonce", "lease", "signer", "sender", "endpoint", "path")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]*[^\s'\"<>:.,;)]", re.IGNORECASE)
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+\S+", re.IGNORECASE)

_BY_ITSELF: Final = "nothing: the node goes on by itself"
_DOCTOR: Final = "oracle node doctor"
_OPEN: Final = "oracle tx list --open, and oracle tx bump NONCE if it takes long"

MENDS: Final[Mapping[str, str]] = {
    "CONVICTED": "end the node, and run oracle selfcheck before it answers anything else",
    "DEMAND": "keep the node running: oracle node status lists the demands and their deadlines",
    "a demand": "keep the node running: oracle node status lists the demands and their deadlines",
    "INTAKE STOPS: too little coin": "send coin to the key that pays: oracle node status",
    "little coin": "send coin to the key that pays: oracle node status",
    "INTAKE STOPS": _DOCTOR,
    "intake goes on": _BY_ITSELF,
    "inference failed": "oracle job explain {request}",
    "GIVEN UP": "oracle job explain {request}",
    "DEFAULTED": "oracle job explain {request}",
    "a model cannot be looked up": "if it lasts, another endpoint in rpc_url: oracle node doctor",
    "not judged": "oracle job explain {request}",
    "not signed": "oracle job explain {request}",
    "jobs cannot be read": "see to the database: oracle node doctor",
    "demands cannot be read": "see to the database: oracle node doctor",
    "lease not prolonged": "see to the database: oracle node doctor",
    "leases not released": _BY_ITSELF,
    "no longer leading": _BY_ITSELF,
    "reorg": _BY_ITSELF,
    "the chain has moved jobs on": _BY_ITSELF,
    "fee bumped": _BY_ITSELF,
    "fee lowered": "send the signer coin: oracle node status says how much",
    "send": _OPEN,
    "nonce": _OPEN,
    "transaction reverted": "oracle tx list, and oracle job explain for what it served",
    "transaction given up": "oracle tx list, and oracle job explain for what it served",
    "a transaction that was mined": _BY_ITSELF,
    "somebody else sends": "stop the other program, or: oracle operator rotate-signer KEYSTORE",
    "logs missing": "if it lasts, name another endpoint in rpc_url",
    "endpoint": "if it lasts, name another endpoint in rpc_url",
    "drain timed out": "start the node again: oracle up",
    "answers are not final": "start the node again: oracle up",
    "step failed": _DOCTOR,
    "a step hangs": "end the process and start it again: nothing is lost",
    "no heartbeat": "free space on the disk, or mend the folder's owner: oracle node doctor",
    "inference process": "once, nothing; often: docs/operations.md, Models that misbehave",
    "another signer is announced": "docs/operations.md, Keys: oracle operator rotate-signer",
    "signer changed": _BY_ITSELF,
    "settings wait": "oracle node stop, and start it again, when it suits",
    "former signer dropped": "take its coin out with a wallet, and delete its file",
    "keys not read again": "mend what is said, then: oracle node reload",
    "transactions of a key that": "name its keystore as next_signer_keystore until they are mined",
    "transaction of a worker that is gone": _BY_ITSELF,
    "credentials go over plain HTTP": "use https, or the loopback only",
    "holds of traces": "restore the traces: docs/operations.md, Backup",
    "a trace is not kept": "raise trace_budget_bytes, or free space: oracle node doctor",
    "traces cannot be looked up": "see to the disk: oracle node doctor",
    "a trace was made again": "see to the disk: oracle node doctor",
    "traces recovered": _BY_ITSELF,
    "cannot serve": "see to the disk: oracle node doctor",
    "the page's facts": "see to the database: oracle node doctor",
    "a job cannot be read": "see to the database: oracle node doctor",
    "view": "once, nothing; often: docs/operations.md, Models that misbehave",
    "no view": _DOCTOR,
    "not collected": "if it lasts: oracle operator collect",
    "models are not warmed": "oracle model fetch ID, for what the node says is not here",
}
"""What mends it, by how the log line begins; the first that fits."""


class Troubles:
    """The latest lines at warning or worse. Also a structlog processor."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept: deque[Trouble] = deque(maxlen=kept)

    def latest(self) -> Sequence[Trouble]:
        """Newest first."""
        return tuple(reversed(self._kept))

    def __call__(
        self, _logger: Any, method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if method in _LEVELS:
            self._note(_trouble(line, "error" if method == "exception" else method))
        return line

    def _note(self, found: Trouble) -> None:
        for index, known in enumerate(self._kept):
            if (known.what, known.where) == (found.what, found.where):
                del self._kept[index]
                found = replace(found, times=known.times + 1)
                break
        self._kept.append(found)


@contextmanager
def noted(troubles: Troubles) -> Iterator[None]:
    """Has this process's log lines noted meanwhile."""
    processors = structlog.get_config()["processors"]
    processors.insert(max(0, len(processors) - 1), troubles)  # before the one that writes
    try:
        yield
    finally:
        if troubles in processors:
            processors.remove(troubles)


def _trouble(line: Mapping[str, Any], level: str) -> Trouble:
    event = str(line.get("event", ""))
    details = [str(line[name]) for name in _DETAILS if line.get(name)]
    said = " ".join(details)
    places = [
        f"{name} {line[name]}"
        for name in _PLACES
        if line.get(name) is not None and str(line[name]) not in said
    ]
    return Trouble(
        at=time.time(),
        level=level,
        what=_shown(": ".join([event, *details])),
        where=_shown(", ".join(places)),
        mend=_shown(str(line.get("next") or _mend(event, line))),
    )


def _mend(event: str, line: Mapping[str, Any]) -> str:
    found = next((mend for start, mend in MENDS.items() if event.startswith(start)), _DOCTOR)
    return found.format(request=line.get("request", "ID"))


def _shown(text: str) -> str:
    text = _URL.sub(lambda found: masked(found[0]), text)
    text = _CREDENTIALS.sub(lambda found: f"{found[1]} …", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
