"""Why a job stands where it does, what happens next, and what its operator can do, in words. Pure.

Knows the job table's states and nothing of how a worker moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from oracle.core.job import Job, JobState
from oracle.core.transaction import Transaction, TransactionState
from oracle.core.types import format_opg, format_wad


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an operator wants to know of one job.

    Attributes:
        stands: where it is, and why.
        next: what happens by itself.
        at_stake: what is lost if nothing happens; None where nothing is.
        can_do: what the operator can do; None where there is nothing to do.
    """

    stands: str
    next: str
    at_stake: str | None
    can_do: str | None


def explain(job: Job, transactions: Sequence[Transaction], now: float) -> Explanation:
    """Explains a job.

    Args:
        transactions: those that serve it, oldest first.
        now: Unix seconds, by the worker's clock.
    """
    at_stake = _at_stake(job, now)
    waiting = _waiting(job, transactions)
    if waiting is not None and (refusal := waiting.refusal):
        return Explanation(
            f"{_SIGNED[job.state]}, but the endpoints refuse it: {refusal}",
            f"nonce {waiting.nonce} is sent again, ever more seldom, until one takes it",
            at_stake,
            _against_refusal(waiting),
        )
    stands, comes = _WORDS[job.state]
    said = stands(job)
    if job.reason:
        said += f": {job.reason}"
    if job.attempts:
        said += f" (tried {job.attempts} times)"
    return Explanation(said, comes(job, transactions, now), at_stake, _can_do(job, now))


def reason_of(job: Job, transactions: Sequence[Transaction]) -> str | None:
    """Why a job stands where it does, in few words: what is on record, or what holds it up."""
    waiting = _waiting(job, transactions)
    return job.reason if waiting is None else waiting.refusal or job.reason


def objection_to_retry(job: Job, now: float) -> str | None:
    """Why a job cannot be tried again by hand, or None where it can."""
    if _too_late(job, now):
        return f"its deadline passed {_time(now - job.request.deadline)} ago"
    if job.state in _WAITING or job.state in _GIVEN_UP:
        return None
    if job.state in (JobState.ACCEPTING, JobState.ANSWERING):
        return "its transaction is on its way: `oracle tx bump` makes that dearer"
    return f"a job that is {job.state.value} has nothing left to try"


_WAITING: Final = (
    JobState.SEEN,
    JobState.ADMITTED,
    JobState.ACCEPTED,
    JobState.COMPUTED,
    JobState.ANSWERED,
    JobState.SETTLING,
)


def _too_late(job: Job, now: float) -> bool:
    """Whether no answer counts any more, where none was given."""
    unanswered = job.state in _UNANSWERED or job.state in _GIVEN_UP
    return unanswered and now > job.request.deadline


def _bound(job: Job) -> bool:
    """Whether silence costs."""
    return job.state is JobState.FAILED or (job.accepted and job.state in _UNANSWERED)


def _at_stake(job: Job, now: float) -> str | None:
    if _bound(job):
        left = job.request.deadline - now
        price = f"{format_opg(job.request.price_of_silence)} OPG"
        if left > 0:
            return f"silence costs {price} of the stake in {_time(left)}"
        return f"{price} of the stake, slashed once anybody reclaims the fee: no answer counts now"
    return None


def _can_do(job: Job, now: float) -> str | None:
    shown = f"0x{job.request_id.hex()}"
    if job.state is JobState.SLASHED:
        return "end the node before it answers anything else, and run `oracle selfcheck`"
    if _too_late(job, now):
        if not _bound(job):
            return None
        return f"mend the reason for the next; oracle reclaim {shown} frees the rest of the bond"
    if job.state in _GIVEN_UP:
        return f"mend the reason, then: oracle job retry {shown}"
    if job.state in _WAITING and job.attempts:
        return f"mend the reason; to have it tried at once: oracle job retry {shown}"
    if job.state in (JobState.ACCEPTING, JobState.ANSWERING):
        return "if it takes long: oracle tx list --open, then oracle tx bump NONCE"
    return None


def _waiting(job: Job, transactions: Sequence[Transaction]) -> Transaction | None:
    """The transaction that the job waits for, if it waits for one."""
    if job.state not in _SIGNED:
        return None
    pending = [one for one in transactions if one.state is TransactionState.OPEN]
    return pending[-1] if pending else None


def _against_refusal(waiting: Transaction) -> str:
    if waiting.lacking_wei is not None:
        return f"send {format_wad(waiting.lacking_wei)} of the chain's coin to {waiting.sender}"
    return f"see its fee, then: oracle tx bump {waiting.nonce}"


_SIGNED: Final[Mapping[JobState, str]] = {
    JobState.ACCEPTING: "our acceptance is signed",
    JobState.ANSWERING: "our answer is signed",
    JobState.SETTLING: "our settlement is signed",
}

_GIVEN_UP: Final = (JobState.FAILED, JobState.DECLINED)
_UNANSWERED: Final = (JobState.ACCEPTED, JobState.COMPUTED, JobState.ANSWERING)

Next = Callable[[Job, Sequence[Transaction], float], str]


def _tried_again(what: str) -> Next:
    def said(job: Job, _: Sequence[Transaction], now: float) -> str:
        wait = job.not_before - now
        return f"{what} in {_time(wait)}" if wait > 1 else f"{what} at the node's next round"

    return said


def _in_the_pool(job: Job, transactions: Sequence[Transaction], now: float) -> str:
    newest = _waiting(job, transactions)
    if newest is None:
        return "its transaction ended; the node reads what became of it from the chain's logs"
    tried = newest.attempts[-1]
    return (
        f"nonce {newest.nonce} waits to be mined since {_time(now - newest.created_at)}, "
        f"{len(newest.attempts)} attempt{'s' if len(newest.attempts) > 1 else ''}, the last at "
        f"{tried.fees.max_fee / 10**9:g} gwei; the node raises its fees by itself"
    )


def _final(job: Job, _: Sequence[Transaction], now: float) -> str:
    left = (job.settle_at or 0) - now
    if left > 0:
        return f"it is final in {_time(left)} and then settled, unless it is disputed"
    return "it is final: settled at the node's next sweep"


def _over(text: str) -> Next:
    return lambda _job, _transactions, _now: text


def _plain(text: str) -> Callable[[Job], str]:
    return lambda _: text


def _earned(job: Job) -> str:
    return f"settled: {format_opg(job.fee_earned)} OPG earned"


def _defaulted(job: Job) -> str:
    price = format_opg(job.request.price_of_silence)
    return f"not answered in time; {price} OPG of the stake were slashed"


_NOTHING_MORE: Final = _over("nothing; only a reorg can move it")

_WORDS: Final[Mapping[JobState, tuple[Callable[[Job], str], Next]]] = {
    JobState.SEEN: (_plain("seen, not judged yet"), _tried_again("it is judged")),
    JobState.ADMITTED: (_plain("worth its gas"), _tried_again("its acceptance is sent")),
    JobState.ACCEPTING: (_plain("our acceptance was sent"), _in_the_pool),
    JobState.ACCEPTED: (_plain("we are bound to answer"), _tried_again("the model is run")),
    JobState.COMPUTED: (_plain("computed and signed"), _tried_again("its answer is sent")),
    JobState.ANSWERING: (_plain("our answer was sent"), _in_the_pool),
    JobState.ANSWERED: (_plain("answered on chain"), _final),
    JobState.SETTLING: (_plain("our settlement was sent"), _in_the_pool),
    JobState.SETTLED: (_earned, _NOTHING_MORE),
    JobState.DECLINED: (_plain("left to others"), _over("nothing, while its reason lasts")),
    JobState.ORPHANED: (
        _plain("a reorg removed the request"),
        _over("if the same request is mined again it goes on, with all that was computed"),
    ),
    JobState.LOST: (_plain("lost"), _NOTHING_MORE),
    JobState.DEFAULTED: (_defaulted, _NOTHING_MORE),
    JobState.SLASHED: (_plain("convicted; the bond was slashed"), _NOTHING_MORE),
    JobState.FAILED: (_plain("given up"), _over("nothing by itself")),
}


def _time(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7_200:
        return f"{whole // 60} min"
    return f"{whole // 3_600} h" if whole < 172_800 else f"{whole // 86_400} d"
