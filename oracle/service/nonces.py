"""What is odd about the nonces of the sending key: somebody else uses it, or one is nobody's.

Each thing is logged once and stays in `trouble` until our own transactions go on. A nonce below
ours that nobody holds would keep ours waiting for ever; which one that is, is decided here on two
looks, as a node may lag. Sends nothing and stores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

_log = structlog.get_logger("oracle.transact")


class Nonces:
    """Args: patience_seconds: how long a stranger's pending transaction may hold ours up."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._taken_through = -1
        self._taken: str | None = None
        self._gap_at: int | None = None
        self._gap_since = 0.0
        self._gap: str | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong, in words, or None."""
        return "; ".join(one for one in (self._taken, self._gap) if one) or None

    def taken(self, first: int, last: int) -> None:
        """Nonces that transactions which are not ours have used."""
        if last <= self._taken_through:
            return
        first = max(first, self._taken_through + 1)
        self._taken_through = last
        which = f"nonce {last} was" if first == last else f"nonces {first} to {last} were"
        self._taken = (
            f"{which} used by somebody else: another program has this node's key; give the node a "
            "key of its own (`oracle operator rotate-signer`)"
        )
        _log.error("somebody else sends with this node's key", first=first, last=last)

    def mined(self, nonce: int) -> None:
        """A transaction of ours went through: whoever took nonces before has not stopped us."""
        if nonce > self._taken_through:
            self._taken = None

    def closed(self) -> None:
        """The lowest of ours is the next."""
        if self._gap is not None:
            _log.info("nonce gap closed", first=self._gap_at)
        self._gap_at = self._gap = None

    def free(self, latest: int, pending: int, ours: Sequence[int], now: float) -> range:
        """The nonces that somebody must use before ours can be, and that nobody will.

        Args:
            latest: the next nonce by what is mined.
            pending: the next nonce by what the node's pool holds, too.
            ours: nonces of our transactions that wait, from `latest` on; not empty.
        """
        lowest = min(ours)
        if lowest <= latest:
            self.closed()
            return range(0)
        if self._gap_at is None:
            self._gap_since = now
            self._gap = f"nobody uses nonce {latest}, and ours from {lowest} on wait for it"
            _log.error("nonce gap", first=latest, last=lowest - 1)
        if self._gap_at != latest:
            self._gap_at = latest
            return range(0)
        # What the pool holds may be mined yet, whoever sent it.
        if pending > latest and now - self._gap_since < self._patience_seconds:
            return range(0)
        return range(latest, lowest)
