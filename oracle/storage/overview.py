"""The sums of the operator's page: counts, the latest jobs with what they cost, speed over time.

Implements `ports.OverviewStore`. Reads only, over a connection and a thread of its own, so that no
step of a worker waits for a page. No large column is read. Knows nothing of who looks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    String,
    case,
    cast,
    func,
    literal,
    select,
    type_coerce,
)

from oracle.core.economics import Estimate
from oracle.core.job import JobState
from oracle.core.transaction import Purpose, TransactionState
from oracle.ports.overview import Bucket, GasSum, JobLine, ModelSums, Money, Stretch, Sums
from oracle.storage.database import Database
from oracle.storage.tables import jobs, signatures, transaction_requests, transactions
from oracle.storage.types import amount_width

_SLOW = 0.95
_ANSWER = "answer"
"""The kind of the signature over an answer, in the sign-once record."""

_LINE = (
    *(jobs.c.request_id, jobs.c.model_id, jobs.c.state, jobs.c.reason, jobs.c.attempts),
    *(jobs.c.fee, jobs.c.fee_earned, jobs.c.bond, jobs.c.deadline, jobs.c.settle_at),
    *(jobs.c.seen_at, jobs.c.updated_at, jobs.c.inference_seconds, jobs.c.economics),
    *(jobs.c.block_number, jobs.c.accepted_block, jobs.c.answered_block),
    *(jobs.c.settled_block, jobs.c.ended_block),
)


class SqlOverview:
    """The figures of one database."""

    def __init__(self, location: str | Path) -> None:
        self._database = Database(location)

    async def close(self) -> None:
        await self._database.close()

    async def counts(self) -> Mapping[JobState, int]:
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)

        def work(connection: Connection) -> dict[JobState, int]:
            return {row[0]: row[1] for row in connection.execute(query)}

        return await self._database.read(work)

    async def latest(self, limit: int) -> Sequence[JobLine]:
        order = (jobs.c.block_number.desc(), jobs.c.log_index.desc())
        query = select(*_LINE).order_by(*order).limit(limit)
        return await self._database.read(lambda connection: _lines(connection, query))

    async def line(self, request_id: bytes) -> JobLine | None:
        query = select(*_LINE).where(jobs.c.request_id == request_id)
        found = await self._database.read(lambda connection: _lines(connection, query))
        return found[0] if found else None

    async def sums(self, now: float, bucket_seconds: float, buckets: int) -> Sums:
        # Parts at round times, so that a finished one is the same at every look.
        end = math.ceil(now / bucket_seconds) * bucket_seconds
        start = end - bucket_seconds * buckets
        return await self._database.read(
            lambda connection: _sums(connection, start, bucket_seconds, buckets)
        )


class _Answered(NamedTuple):
    """An answer that was sent in the stretch of time."""

    model_id: bytes
    sent_at: float
    seconds: float
    inference_seconds: float | None


# ---- jobs


def _lines(connection: Connection, query: Select[Any]) -> list[JobLine]:
    rows = connection.execute(query).mappings().all()
    ids = [row["request_id"] for row in rows]
    signed = select(signatures.c.request_id, signatures.c.reserved_at).where(
        signatures.c.kind == _ANSWER, signatures.c.request_id.in_(ids)
    )
    signed_at = {row.request_id: row.reserved_at for row in connection.execute(signed)}
    sent_at, gas = _transactions_of(connection, ids)
    return [_line(row, signed_at, sent_at, gas[row["request_id"]]) for row in rows]


def _transactions_of(
    connection: Connection, ids: Sequence[bytes]
) -> tuple[dict[bytes, float], dict[bytes, int]]:
    """When each job's answer was sent first, and its share of all gas."""
    also = transaction_requests.alias()
    served = (
        select(func.count())
        .where(also.c.transaction_id == transaction_requests.c.transaction_id)
        .scalar_subquery()
    )
    query = (
        select(
            transaction_requests.c.request_id,
            transactions.c.purpose,
            transactions.c.created_at,
            transactions.c.mined_gas_used,
            transactions.c.mined_gas_price,
            served,
        )
        .join(transactions, transactions.c.id == transaction_requests.c.transaction_id)
        .where(
            transaction_requests.c.request_id.in_(ids),
            transactions.c.state != TransactionState.ABANDONED,
        )
        .order_by(transactions.c.id)
    )
    sent_at: dict[bytes, float] = {}
    gas: dict[bytes, int] = defaultdict(int)
    for request_id, purpose, created_at, used, price, requests in connection.execute(query):
        if purpose is Purpose.ANSWER:
            sent_at.setdefault(request_id, created_at)
        if price is not None:
            gas[request_id] += used * price // requests
    return sent_at, gas


def _line(
    row: RowMapping,
    signed_at: Mapping[bytes, float],
    sent_at: Mapping[bytes, float],
    gas_wei: int,
) -> JobLine:
    request_id, state = row["request_id"], row["state"]
    economics = row["economics"]
    return JobLine(
        request_id=request_id,
        model_id=row["model_id"],
        state=state,
        reason=row["reason"],
        attempts=row["attempts"],
        fee=row["fee"],
        fee_earned=row["fee_earned"],
        bond=row["bond"],
        wei_per_opg=Estimate.from_json(economics).wei_per_opg if economics else 0,
        gas_wei=gas_wei,
        deadline=row["deadline"],
        settle_at=row["settle_at"],
        seen_at=row["seen_at"],
        computed_at=signed_at.get(request_id),
        sent_at=sent_at.get(request_id),
        ended_at=row["updated_at"] if state.terminal else None,
        inference_seconds=row["inference_seconds"],
        seen_block=row["block_number"],
        accepted_block=row["accepted_block"],
        answered_block=row["answered_block"],
        settled_block=row["settled_block"],
        ended_block=row["ended_block"],
    )


# ---- sums


def _sums(connection: Connection, start: float, bucket_seconds: float, buckets: int) -> Sums:
    answered = _answered_since(connection, start)
    by_model: dict[bytes, dict[JobState, int]] = defaultdict(lambda: defaultdict(int))
    fees = fees_recent = 0
    recent: ColumnElement[int] = case((jobs.c.updated_at >= start, literal(1)), else_=literal(0))
    grouped = select(
        jobs.c.model_id, jobs.c.state, recent, func.count(), *_digit_sums(jobs.c.fee_earned)
    ).group_by(jobs.c.model_id, jobs.c.state, recent)
    for model_id, state, is_recent, number, *digits in connection.execute(grouped):
        by_model[model_id][state] += number
        fees += _of_digits(digits)
        fees_recent += _of_digits(digits) * is_recent
    gas, gas_recent = _gas(connection, start)
    seconds = [one.seconds for one in answered]
    return Sums(
        stretch=Stretch(
            start=start,
            bucket_seconds=bucket_seconds,
            buckets=_buckets(answered, start, bucket_seconds, buckets),
            median_seconds=_median(seconds),
            slow_seconds=_slow(seconds),
        ),
        money=Money(fees_recent, gas_recent),
        money_in_all=Money(fees, gas),
        models=_models(by_model, answered),
    )


def _answered_since(connection: Connection, start: float) -> list[_Answered]:
    """Each job whose answer was sent since then, by the last transaction that was not given up."""
    query = (
        select(
            jobs.c.request_id,
            jobs.c.model_id,
            transactions.c.created_at,
            jobs.c.seen_at,
            jobs.c.inference_seconds,
        )
        .join(transaction_requests, transaction_requests.c.transaction_id == transactions.c.id)
        .join(jobs, jobs.c.request_id == transaction_requests.c.request_id)
        .where(
            transactions.c.id >= _first_since(connection, start),
            transactions.c.purpose == Purpose.ANSWER,
            transactions.c.state != TransactionState.ABANDONED,
            transactions.c.created_at >= start,
        )
        .order_by(transactions.c.id)
    )
    found: dict[bytes, _Answered] = {}
    for request_id, model_id, sent_at, seen_at, inference_seconds in connection.execute(query):
        # Two machines' clocks may differ by a little.
        found[request_id] = _Answered(
            model_id, sent_at, max(0.0, sent_at - seen_at), inference_seconds
        )
    return list(found.values())


def _first_since(connection: Connection, start: float) -> int:
    """An id that no transaction made since then is below: ids rise with time, and have no index by
    time."""
    low, high = 0, connection.scalar(select(func.max(transactions.c.id))) or 0
    while low < high:
        middle = (low + high + 1) // 2
        made = connection.scalar(
            select(transactions.c.created_at)
            .where(transactions.c.id >= middle)
            .order_by(transactions.c.id)
            .limit(1)
        )
        if made is not None and made < start:
            low = middle
        else:
            high = middle - 1
    return low


def _gas(connection: Connection, start: float) -> tuple[list[GasSum], list[GasSum]]:
    """By purpose: of all time, and since then."""
    recent: ColumnElement[int] = case(
        (transactions.c.created_at >= start, literal(1)), else_=literal(0)
    )
    price, used = transactions.c.mined_gas_price, transactions.c.mined_gas_used
    query = (
        select(
            transactions.c.purpose,
            transactions.c.state,
            recent,
            func.count(),
            *_digit_sums(price, used),
        )
        .where(price.is_not(None))
        .group_by(transactions.c.purpose, transactions.c.state, recent)
    )
    rows = connection.execute(query).all()
    return _by_purpose(rows), _by_purpose(row for row in rows if row[2])


def _by_purpose(rows: Iterable[Any]) -> list[GasSum]:
    sums: dict[Purpose, list[int]] = defaultdict(lambda: [0, 0, 0])
    for purpose, state, _, number, *digits in rows:
        one = sums[purpose]
        one[0] += number
        one[1] += number if state is TransactionState.REVERTED else 0
        one[2] += _of_digits(digits)
    return [GasSum(purpose.value, *sums[purpose]) for purpose in Purpose if purpose in sums]


# ---- exact sums of what is larger than a database's integers

_DIGITS = 6
"""Of a padded amount, taken at a time: sums of so few, times gas, fit for ages."""


def _digit_sums(
    column: Column[int], times: ColumnElement[int] | None = None
) -> Iterator[ColumnElement[int]]:
    """Sums of an amount's digits, some at a time from the last on, each times another column."""
    text = type_coerce(column, String)
    end = amount_width(column)
    while end > 0:
        begin = max(0, end - _DIGITS)
        digits = cast(func.substr(text, begin + 1, end - begin), BigInteger)
        yield func.sum(digits if times is None else digits * times)
        end = begin


def _of_digits(sums: Sequence[int]) -> int:
    """The sum that those of the digits come to."""
    return sum(int(one) * 10 ** (_DIGITS * place) for place, one in enumerate(sums))


def _buckets(
    answered: Sequence[_Answered], start: float, bucket_seconds: float, buckets: int
) -> list[Bucket]:
    parts: list[list[float]] = [[] for _ in range(buckets)]
    for one in answered:
        parts[min(buckets - 1, int((one.sent_at - start) // bucket_seconds))].append(one.seconds)
    return [Bucket(len(part), _median(part), _slow(part)) for part in parts]


def _models(
    by_model: Mapping[bytes, Mapping[JobState, int]], answered: Sequence[_Answered]
) -> list[ModelSums]:
    whole: dict[bytes, list[float]] = defaultdict(list)
    inside: dict[bytes, list[float]] = defaultdict(list)
    for one in answered:
        whole[one.model_id].append(one.seconds)
        if one.inference_seconds is not None:
            inside[one.model_id].append(one.inference_seconds)
    found = [
        ModelSums(model_id, dict(states), _median(inside[model_id]), _median(whole[model_id]))
        for model_id, states in by_model.items()
    ]
    return sorted(found, key=lambda one: (-sum(one.jobs.values()), one.model_id))


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _slow(values: Sequence[float]) -> float | None:
    """That which so many of a hundred do not pass."""
    return sorted(values)[math.ceil(_SLOW * len(values)) - 1] if values else None
