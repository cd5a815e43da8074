"""Rows to core types and back, without loss. Knows the columns; neither connections nor SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import RowMapping

from oracle.core.event import BlockRef, RequestSeen
from oracle.core.job import Job, JobState
from oracle.core.receipt import Answer
from oracle.core.request import Request
from oracle.core.transaction import Attempt, Call, Fees, Mined, Transaction, TransactionState
from oracle.errors import StorageError

Columns = dict[str, Any]
"""Values by column name."""

_REQUEST_FIELDS = tuple(field.name for field in fields(Request))
_request_values = attrgetter(*_REQUEST_FIELDS)


# ---- jobs


def job_of_event(event: RequestSeen, now: float) -> Job:
    """The job that a request starts as."""
    return Job(
        request_id=event.request_id,
        request=event.request,
        input=event.input,
        block_number=event.position.block_number,
        block_hash=event.position.block_hash,
        log_index=event.position.log_index,
        state=JobState.SEEN,
        reason=None,
        accepted=False,
        result=None,
        answer=None,
        signature=None,
        session=None,
        inference_seconds=None,
        settle_at=None,
        accepted_block=None,
        answered_block=None,
        settled_block=None,
        ended_block=None,
        fee_earned=0,
        attempts=0,
        not_before=0.0,
        seen_at=now,
        updated_at=now,
    )


def fixed_columns(job: Job) -> Columns:
    """What a job is created with and keeps for good."""
    return {
        "request_id": job.request_id,
        "input": job.input,
        "seen_at": job.seen_at,
        **dict(zip(_REQUEST_FIELDS, _request_values(job.request), strict=True)),
    }


def moving_columns(job: Job) -> Columns:
    """What moves, and reorgs, may change.

    Raises:
        StorageError: the answer is not one to this request, so it would be read back wrong.
    """
    answer, request = job.answer, job.request
    if answer is not None and (answer.request_id, answer.model_id, answer.input_hash) != (
        job.request_id,
        request.model_id,
        request.input_hash,
    ):
        raise StorageError(f"the answer for job 0x{job.request_id.hex()} is to another request")
    return {
        "block_number": job.block_number,
        "block_hash": job.block_hash,
        "log_index": job.log_index,
        "state": job.state,
        "reason": job.reason,
        "accepted": job.accepted,
        "result": job.result,
        "answer_operator": answer.operator if answer else None,
        "answer_result_hash": answer.result_hash if answer else None,
        "answer_trace_root": answer.trace_root if answer else None,
        "signature": job.signature,
        "session": job.session,
        "inference_seconds": job.inference_seconds,
        "settle_at": job.settle_at,
        "accepted_block": job.accepted_block,
        "answered_block": job.answered_block,
        "settled_block": job.settled_block,
        "ended_block": job.ended_block,
        "fee_earned": job.fee_earned,
        "attempts": job.attempts,
        "not_before": job.not_before,
        "updated_at": job.updated_at,
        "taken_by": job.taken_by,
        "economics": job.economics,
        "strikes": job.strikes,
    }


def job_of_row(row: RowMapping) -> Job:
    """The job that a row of `jobs` holds."""
    return Job(
        request_id=row["request_id"],
        request=Request(*(row[name] for name in _REQUEST_FIELDS)),
        input=row["input"],
        block_number=row["block_number"],
        block_hash=row["block_hash"],
        log_index=row["log_index"],
        state=row["state"],
        reason=row["reason"],
        accepted=row["accepted"],
        result=row["result"],
        answer=_answer_of_row(row),
        signature=row["signature"],
        session=row["session"],
        inference_seconds=row["inference_seconds"],
        settle_at=row["settle_at"],
        accepted_block=row["accepted_block"],
        answered_block=row["answered_block"],
        settled_block=row["settled_block"],
        ended_block=row["ended_block"],
        fee_earned=row["fee_earned"],
        attempts=row["attempts"],
        not_before=row["not_before"],
        seen_at=row["seen_at"],
        updated_at=row["updated_at"],
        taken_by=row["taken_by"],
        economics=row["economics"],
        strikes=row["strikes"],
    )


def _answer_of_row(row: RowMapping) -> Answer | None:
    if row["answer_operator"] is None:
        return None
    return Answer(
        request_id=row["request_id"],
        operator=row["answer_operator"],
        model_id=row["model_id"],
        input_hash=row["input_hash"],
        result_hash=row["answer_result_hash"],
        trace_root=row["answer_trace_root"],
    )


def block_of_row(row: RowMapping) -> BlockRef:
    """The block that a row of `blocks` holds."""
    return BlockRef(row["number"], row["hash"], row["timestamp"])


# ---- transactions


def attempt_columns(transaction_id: int, attempt: Attempt) -> Columns:
    """A new row of `attempts`."""
    return {
        "transaction_id": transaction_id,
        "hash": attempt.hash,
        "raw": attempt.raw,
        "max_fee": attempt.fees.max_fee,
        "max_priority_fee": attempt.fees.max_priority_fee,
        "created_at": attempt.created_at,
        "last_sent_at": attempt.last_sent_at,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
    }


def attempt_of_row(row: RowMapping) -> Attempt:
    """The attempt that a row of `attempts` holds."""
    return Attempt(
        hash=row["hash"],
        raw=row["raw"],
        fees=Fees(row["max_fee"], row["max_priority_fee"]),
        created_at=row["created_at"],
        last_sent_at=row["last_sent_at"],
        outcome=row["outcome"],
        reason=row["reason"],
    )


def mined_columns(mined: Mined | None) -> Columns:
    """The state of a transaction that was mined, or, without `mined`, of one that is open again."""
    if mined is None:
        return {
            "state": TransactionState.OPEN,
            "mined_attempt_hash": None,
            "mined_block_number": None,
            "mined_block_hash": None,
            "mined_gas_used": None,
            "mined_gas_price": None,
        }
    return {
        "state": TransactionState.MINED if mined.succeeded else TransactionState.REVERTED,
        "mined_attempt_hash": mined.attempt_hash,
        "mined_block_number": mined.block_number,
        "mined_block_hash": mined.block_hash,
        "mined_gas_used": mined.gas_used,
        "mined_gas_price": mined.gas_price,
    }


def transaction_of_row(
    row: RowMapping, request_ids: Sequence[bytes], tried: Sequence[Attempt]
) -> Transaction:
    """The transaction that a row of `transactions` and its rows elsewhere hold."""
    return Transaction(
        id=row["id"],
        sender=row["sender"],
        nonce=row["nonce"],
        purpose=row["purpose"],
        call=Call(row["call_to"], row["call_data"], row["call_gas"]),
        request_ids=tuple(request_ids),
        state=row["state"],
        attempts=tuple(tried),
        mined=_mined_of_row(row),
        created_at=row["created_at"],
    )


def _mined_of_row(row: RowMapping) -> Mined | None:
    if row["mined_attempt_hash"] is None:
        return None
    return Mined(
        attempt_hash=row["mined_attempt_hash"],
        block_number=row["mined_block_number"],
        block_hash=row["mined_block_hash"],
        succeeded=row["state"] is TransactionState.MINED,
        gas_used=row["mined_gas_used"],
        gas_price=row["mined_gas_price"],
    )


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Columns:
    """The columns of `after` that differ from `before`."""
    return {name: value for name, value in after.items() if before[name] != value}
