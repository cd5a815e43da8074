"""The oracle's logs as the core's events. How a log is read at all is `log_decoder`'s business."""

from __future__ import annotations

from typing import Any, Final

from oracle.chain.log_decoder import LogDecoder
from oracle.core import event as events
from oracle.core.event import ChainEvent, Position
from oracle.core.request import Request


def _created(
    at: Position,
    request_id: bytes,
    _operator: str,
    _model_id: bytes,
    terms: tuple[Any, ...],
    request_input: bytes,
) -> ChainEvent:
    return events.RequestSeen(at, request_id, Request(*terms), request_input)


_DECODER: Final = LogDecoder[ChainEvent](
    "InferenceOracle",
    {
        "RequestCreated": _created,
        "RequestAccepted": events.RequestAccepted,
        "RequestAnswered": events.RequestAnswered,
        "RequestCancelled": events.RequestCancelled,
        "RequestExpired": events.RequestExpired,
        "RequestDefaulted": events.RequestDefaulted,
        "AnswerSuspended": events.AnswerSuspended,
        "AnswerResumed": events.AnswerResumed,
        "AnswerVoided": events.AnswerVoided,
        "RequestSettled": events.RequestSettled,
        "NoticeDelivered": events.NoticeDelivered,
        "NoticeFailed": events.NoticeFailed,
    },
)

decode_log = _DECODER.decode
decode_logs = _DECODER.decode_all
