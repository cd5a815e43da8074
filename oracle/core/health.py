"""Whether a process does its job, and if not, why and what to do: a judgement over one snapshot.

`stalled` is what keeps it from its job. `resting` is why it takes on nothing new though nothing is
wrong. `wanting` is what will cost money though it does its job. Knows neither who asks, nor how the
snapshot was taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Cause(StrEnum):
    """What a reason is about."""

    HUNG = "hung"
    CHAIN = "chain"
    CURSOR = "cursor"
    HEAD = "head"
    LOGS = "logs"
    LEASE = "lease"
    INTAKE = "intake"
    DRAINING = "draining"
    STANDING_BY = "standing by"
    MODELS = "models"


STALLS = (
    Cause.HUNG,
    Cause.CHAIN,
    Cause.CURSOR,
    Cause.HEAD,
    Cause.LOGS,
    Cause.LEASE,
    Cause.INTAKE,
)
"""Those that keep a process from its job."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is the matter, and what to do about it."""

    cause: Cause
    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Health:
    """The judgement. Without reasons, all is well."""

    stalled: tuple[Reason, ...] = ()
    resting: tuple[Reason, ...] = ()
    wanting: tuple[Reason, ...] = ()

    @property
    def does_its_job(self) -> bool:
        return not self.stalled

    @property
    def takes_on_work(self) -> bool:
        return not self.stalled and not self.resting

    @property
    def status(self) -> str:
        """In one word or two."""
        if self.stalled:
            return "stalled"
        if self.resting:
            return self.resting[0].cause.value
        return "wanting" if self.wanting else "well"


@dataclass(frozen=True, slots=True)
class Following:
    """How far the chain is read. Times are Unix seconds; None where there was nothing yet.

    Attributes:
        reached_at: when the head was last reached: all up to it is read.
        got_on_at: when some block was last read, or the head reached.
        head_block, head_time: the newest block that was reached, and its timestamp.
        cursor_block: the last block that was read.
        failure: why the last look failed; None where it did not.
        missing_logs: requests that bind us by the contract's count, and that no log told of.
    """

    reached_at: float | None = None
    got_on_at: float | None = None
    head_block: int | None = None
    head_time: int | None = None
    cursor_block: int | None = None
    failure: str | None = None
    missing_logs: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a worker leads among those that share a database; each leader by name, if known."""

    key_held: bool = True
    chain_held: bool = True
    key_leader: str | None = None
    chain_leader: str | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """A process at one moment.

    Attributes:
        started_at: Unix seconds.
        hung: steps that have not come back in their time, with the seconds since they got on.
        intake: why nothing new is taken on; None where it is.
        wanting: what it should have for its job and has not, such as a model on offer.
    """

    started_at: float
    following: Following = Following()
    standing: Standing = Standing()
    hung: Mapping[str, float] = field(default_factory=dict)
    intake: str | None = None
    draining: bool = False
    wanting: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """From when on something is called a stall.

    Attributes:
        stalled_seconds: without any block having been read, nor the head been reached.
        catch_up_seconds: of reading without reaching the head.
        stale_head_seconds: age of the newest block; 0 where a chain may stand still.
    """

    stalled_seconds: float = 60.0
    catch_up_seconds: float = 600.0
    stale_head_seconds: float = 600.0


def health_of(vitals: Vitals, limits: HealthLimits, now: float) -> Health:
    """Judges a snapshot.

    Args:
        now: Unix seconds.
    """
    stalled = [*_hung(vitals), *_leaderless(vitals.standing)]
    if vitals.standing.chain_held:  # otherwise whoever leads reads the chain, and says so
        stalled += _not_following(vitals, limits, now)
    if vitals.intake is not None:
        stalled.append(
            Reason(Cause.INTAKE, vitals.intake, "the cause is named; `oracle node doctor`")
        )
    return Health(tuple(stalled), tuple(_resting(vitals)), vitals.wanting)


def _hung(vitals: Vitals) -> Iterator[Reason]:
    for name, seconds in vitals.hung.items():
        yield Reason(
            Cause.HUNG,
            f"the step {name} has not come back for {seconds:.0f} s",
            "end the process and start it again (a watchdog does so by itself): nothing is lost",
        )


def _leaderless(standing: Standing) -> Iterator[Reason]:
    for what, held, leader in (
        ("sends with this node's key", standing.key_held, standing.key_leader),
        ("reads the chain", standing.chain_held, standing.chain_leader),
    ):
        if not held and leader is None:
            yield Reason(
                Cause.LEASE,
                f"this worker has no lease, and none is known that {what}",
                "see to the database, or to the way to it; the worker goes on by itself",
            )
            return


def _not_following(vitals: Vitals, limits: HealthLimits, now: float) -> Iterator[Reason]:
    found = vitals.following
    if found.missing_logs:
        yield Reason(
            Cause.LOGS,
            f"the endpoint has told of all but {found.missing_logs} of the requests that bind us",
            "name another endpoint in rpc_url, if it lasts: an answer may be due",
        )
    silent = now - max(vitals.started_at, found.got_on_at or 0.0)
    behind = now - max(vitals.started_at, found.reached_at or 0.0)
    if silent > limits.stalled_seconds:
        why = found.failure or "what is shown lies behind what was read before"
        yield Reason(
            Cause.CHAIN,
            f"the chain has not been read up to its head for {silent:.0f} s: {why}",
            "see `endpoints` in `oracle node status`; mend the endpoint, or name another",
        )
        return
    if behind > limits.catch_up_seconds:
        yield Reason(
            Cause.CURSOR,
            f"the head has not been reached for {behind:.0f} s: the last block that was read is "
            f"{found.cursor_block}",
            "nothing, while that number grows faster than the chain; otherwise another endpoint",
        )
        return
    if not limits.stale_head_seconds:
        return
    if found.head_time is not None and now - found.head_time > limits.stale_head_seconds:
        yield Reason(
            Cause.HEAD,
            f"the chain's newest block, {found.head_block}, is {now - found.head_time:.0f} s old",
            "the chain or the endpoint stands still: compare with another endpoint",
        )


def _resting(vitals: Vitals) -> Iterator[Reason]:
    if vitals.draining:
        yield Reason(
            Cause.DRAINING,
            "the node finishes what is begun, and ends",
            "nothing, where it was asked to",
        )
    standing = vitals.standing
    if not standing.key_held and standing.key_leader is not None:
        yield Reason(
            Cause.STANDING_BY,
            f"{standing.key_leader} sends with this node's key, and this one takes over if it ends",
            "nothing",
        )
