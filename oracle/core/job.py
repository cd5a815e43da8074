"""The life of one request as its worker lives it: states, triggers and the literal table.

    SEEN ──admit──► ADMITTED ──accept_sent──► ACCEPTING ──accepted──► ACCEPTED
     │ └──────────────accepted (by our standing offer)──────────────────►│
     └─decline─► DECLINED                                             computed
                                                                         ▼
    SETTLED ◄─ SETTLING ◄─settle_sent─ ANSWERED ◄─ ANSWERING ◄─sent── COMPUTED

COMPUTED means: the result and its receipt (signed once) are saved. A job whose request vanishes
in a reorg waits as ORPHANED, with all it has computed, until the same request is mined again (ids
bind all terms, so it is the same work). Whoever moves a job does so through `advance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from oracle.core.receipt import Answer
from oracle.core.request import Request
from oracle.core.types import Address
from oracle.errors import IllegalTransition


class JobState(StrEnum):
    SEEN = "seen"
    ADMITTED = "admitted"
    ACCEPTING = "accepting"
    ACCEPTED = "accepted"
    COMPUTED = "computed"
    ANSWERING = "answering"
    ANSWERED = "answered"
    SETTLING = "settling"
    SETTLED = "settled"
    DECLINED = "declined"
    ORPHANED = "orphaned"
    LOST = "lost"
    DEFAULTED = "defaulted"
    SLASHED = "slashed"
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        """True where only a reorg can move the job again."""
        return self in _TERMINAL


LONGEST_PAUSE_SECONDS = 600.0
"""No step puts a job off for longer."""

_TERMINAL = frozenset(
    {
        JobState.SETTLED,
        JobState.DECLINED,
        JobState.LOST,
        JobState.DEFAULTED,
        JobState.SLASHED,
        JobState.FAILED,
    }
)


class Trigger(StrEnum):
    """What moves a job: a step of the worker, the operator by hand, or news from the chain."""

    # the worker
    ADMIT = "admit"
    DECLINE = "decline"
    ACCEPT_SENT = "accept_sent"
    ACCEPT_FAILED = "accept_failed"
    COMPUTED = "computed"
    COMPUTE_FAILED = "compute_failed"
    ANSWER_SENT = "answer_sent"
    ANSWER_FAILED = "answer_failed"
    ANSWER_REFUSED = "answer_refused"
    ANSWER_VANISHED = "answer_vanished"
    SETTLE_SENT = "settle_sent"
    SETTLE_FAILED = "settle_failed"
    POSTPONE = "postpone"
    # the operator
    RETRY = "retry"
    # the chain
    ACCEPTED_BY_US = "accepted_by_us"
    ACCEPTED_BY_OTHER = "accepted_by_other"
    ANSWERED = "answered"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"
    DEFAULTED = "defaulted"
    SLASHED = "slashed"
    ORPHANED = "orphaned"
    RESEEN = "reseen"
    ACCEPT_UNMINED = "accept_unmined"
    ANSWER_UNMINED = "answer_unmined"
    SETTLE_UNMINED = "settle_unmined"
    END_UNMINED = "end_unmined"


S = JobState
T = Trigger

_BEFORE_ANSWER = (S.SEEN, S.ADMITTED, S.ACCEPTING, S.ACCEPTED, S.COMPUTED, S.ANSWERING)
_LIVE = (*_BEFORE_ANSWER, S.ANSWERED, S.SETTLING)

TRANSITIONS: Mapping[tuple[JobState, Trigger], JobState] = {
    (S.SEEN, T.ADMIT): S.ADMITTED,
    (S.SEEN, T.DECLINE): S.DECLINED,
    (S.ADMITTED, T.DECLINE): S.DECLINED,
    (S.ADMITTED, T.ACCEPT_SENT): S.ACCEPTING,
    (S.ACCEPTING, T.ACCEPT_FAILED): S.ADMITTED,
    (S.ACCEPTED, T.COMPUTED): S.COMPUTED,
    (S.ACCEPTED, T.COMPUTE_FAILED): S.FAILED,
    (S.COMPUTED, T.ANSWER_SENT): S.ANSWERING,
    (S.ANSWERING, T.ANSWER_FAILED): S.COMPUTED,
    # It was given from a database that is lost, or by another worker: there is nothing to send.
    (S.ANSWERING, T.ANSWER_VANISHED): S.ACCEPTED,
    (S.COMPUTED, T.ANSWER_REFUSED): S.FAILED,
    (S.ANSWERING, T.ANSWER_REFUSED): S.FAILED,
    (S.ANSWERED, T.SETTLE_SENT): S.SETTLING,
    (S.SETTLING, T.SETTLE_FAILED): S.ANSWERED,
    # The same step again, later.
    **{
        (s, T.POSTPONE): s
        for s in (S.SEEN, S.ADMITTED, S.ACCEPTED, S.COMPUTED, S.ANSWERED, S.SETTLING)
    },
    # What was given up, once more: the operator has mended what was in the way.
    (S.FAILED, T.RETRY): S.ACCEPTED,
    (S.DECLINED, T.RETRY): S.SEEN,
    # Our own standing offer may accept a request in its very block, before we have judged it.
    **{
        (s, T.ACCEPTED_BY_US): S.ACCEPTED
        for s in (S.ADMITTED, S.ACCEPTING, S.SEEN, S.DECLINED, S.LOST)
    },
    **{(s, T.ACCEPTED_BY_OTHER): S.LOST for s in (S.SEEN, S.ADMITTED, S.ACCEPTING)},
    # An answer of ours can be mined although we have not marked it as sent (a crash in between).
    **{
        (s, T.ANSWERED): S.ANSWERED
        for s in (S.ACCEPTED, S.COMPUTED, S.ANSWERING, S.FAILED, S.DEFAULTED)
    },
    **{(s, T.SETTLED): S.SETTLED for s in (S.ANSWERED, S.SETTLING)},
    **{(s, T.WITHDRAWN): S.LOST for s in (S.SEEN, S.ADMITTED, S.ACCEPTING)},
    **{(s, T.DEFAULTED): S.DEFAULTED for s in (*_BEFORE_ANSWER, S.FAILED)},
    **{(s, T.SLASHED): S.SLASHED for s in (S.ANSWERED, S.SETTLING)},
    # Reorgs.
    **{(s, T.ORPHANED): S.ORPHANED for s in (*_LIVE, *_TERMINAL)},
    (S.ORPHANED, T.RESEEN): S.SEEN,
    **{(s, T.ANSWER_UNMINED): S.ANSWERING for s in (S.ANSWERED, S.SETTLING, S.SLASHED)},
    (S.SETTLED, T.SETTLE_UNMINED): S.SETTLING,
    # What ended it is undone: a loss, a default, a conviction.
    (S.LOST, T.END_UNMINED): S.SEEN,
    (S.DEFAULTED, T.END_UNMINED): S.ACCEPTED,
    (S.SLASHED, T.END_UNMINED): S.ANSWERED,
    **{(s, T.ACCEPT_UNMINED): S.ACCEPTING for s in (S.ACCEPTED, S.COMPUTED, S.ANSWERING, S.FAILED)},
}


def advance(state: JobState, trigger: Trigger) -> JobState:
    """The state after `trigger`.

    Raises:
        IllegalTransition: the table has no such edge.
    """
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransition(f"a job that is {state} cannot take {trigger}") from None


def can_advance(state: JobState, trigger: Trigger) -> bool:
    """Whether the table has an edge for `trigger` from `state`."""
    return (state, trigger) in TRANSITIONS


@dataclass(frozen=True, slots=True)
class Job:
    """One request as the worker knows it, as of one read of the job table.

    Attributes:
        request_id: 32 bytes, the key.
        request, input: the terms and the input bytes, as logged.
        block_number, block_hash, log_index: where the request was mined (its anchor).
        state, reason: where it stands, and why if it ended without an answer.
        accepted: the chain has bound us to it.
        result, answer, signature: the saved outcome; set together from COMPUTED on. An answer that
            only a log told of has no signature, and after a reorg no result.
        session: facts of the inference session, as JSON.
        inference_seconds: time spent in the model, or None before.
        settle_at: Unix second of finality, or None before the answer is mined.
        accepted_block, answered_block, settled_block: where the request bound us, and where our
            answer and settlement were mined.
        ended_block: where it was lost, defaulted or slashed.
        fee_earned: base units credited at settlement, 0 before.
        attempts: how often the present step was tried and failed.
        not_before: Unix second before which the present step is not tried again.
        seen_at, updated_at: Unix seconds by the worker's clock.
        taken_by: the worker that computes or posts it; nobody else does while that one lives.
        economics: the sum by which it was taken on, as JSON (`core.economics`); None before.
        strikes: runs of it that ended the inference process, or had to be ended.
    """

    request_id: bytes
    request: Request
    input: bytes
    block_number: int
    block_hash: bytes
    log_index: int
    state: JobState
    reason: str | None
    accepted: bool
    result: bytes | None
    answer: Answer | None
    signature: bytes | None
    session: str | None
    inference_seconds: float | None
    settle_at: int | None
    accepted_block: int | None
    answered_block: int | None
    settled_block: int | None
    ended_block: int | None
    fee_earned: int
    attempts: int
    not_before: float
    seen_at: float
    updated_at: float
    taken_by: str | None = None
    economics: str | None = None
    strikes: int = 0

    @property
    def answered_elsewhere(self) -> bool:
        """Only the chain told of its answer: it was neither computed nor signed from here."""
        return self.answer is not None and self.signature is None and self.inference_seconds is None

    @property
    def operator(self) -> Address | None:
        """Who answered, once there is an answer."""
        return self.answer.operator if self.answer else None
