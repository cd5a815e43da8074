"""The metrics of a node, each with what it is read from: the table in docs/monitoring.md.

Amounts are in whole OPG and whole coins, times in seconds. Knows no store and no chain: whoever
gathers the figures does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from oracle.core.health import STALLS
from oracle.core.job import JobState
from oracle.ports.health import EndpointReport
from oracle.ports.views import CreditTotals
from oracle.web.metrics import Kind, Metric, Sample, one
from oracle.web.metrics_figures import NodeFigures, Stored

_BASE_UNITS = 10**18
_USABLE = ("in use", "ready")


Read = Callable[[NodeFigures], Iterator[Sample]]


def _gauge(name: str, meaning: str, read: Read, *labels: str) -> Metric[NodeFigures]:
    return Metric(name, Kind.GAUGE, meaning, read, labels)


def _counter(name: str, meaning: str, read: Read, *labels: str) -> Metric[NodeFigures]:
    return Metric(name, Kind.COUNTER, meaning, read, labels)


def _of_stored(value: Callable[[Stored], float | None]) -> Read:
    """A figure of the database, which is not always to be had."""
    return lambda found: one(None if found.stored is None else value(found.stored))


def _stalls(found: NodeFigures) -> Iterator[Sample]:
    present = {reason.cause for reason in found.health.stalled}
    for cause in STALLS:
        yield (cause.value,), float(cause in present)


def _leads(found: NodeFigures) -> Iterator[Sample]:
    standing = found.vitals.standing
    yield ("key",), float(standing.key_held)
    yield ("chain",), float(standing.chain_held)


def _jobs(found: NodeFigures) -> Iterator[Sample]:
    if found.stored is not None:
        for state in JobState:
            yield (state.value,), float(found.stored.totals.jobs.get(state, 0))


def _answered_views(found: NodeFigures) -> Iterator[Sample]:
    if found.views is not None:
        for price, count in found.views.answered.items():
            yield (price,), float(count)


def _refused_views(found: NodeFigures) -> Iterator[Sample]:
    if found.views is not None:
        for reason, count in found.views.refused.items():
            yield (reason,), float(count)


def _credit(value: Callable[[CreditTotals], int]) -> Read:
    return _of_stored(
        lambda stored: None if stored.credit is None else value(stored.credit) / _BASE_UNITS
    )


def _first_demand(stored: Stored) -> float | None:
    return min((float(one.deadline) for one in stored.demands), default=None)


def _balances(found: NodeFigures) -> Iterator[Sample]:
    for account, balance in found.gas.balances.items():
        yield (str(account),), balance / _BASE_UNITS


def _endpoint(value: Callable[[EndpointReport], float | None]) -> Read:
    def read(found: NodeFigures) -> Iterator[Sample]:
        for place, report in enumerate(found.heartbeat.endpoints, start=1):
            known = value(report)
            if known is not None:
                yield (str(place), report["address"]), known

    return read


def _calls(found: NodeFigures) -> Iterator[Sample]:
    for place, report in enumerate(found.heartbeat.endpoints, start=1):
        for method, count in report["calls"].items():
            yield (str(place), report["address"], method), float(count)


_WHICH: Final = ("position", "endpoint")

NODE_METRICS: Final[Sequence[Metric[NodeFigures]]] = (
    # the process
    _gauge(
        "oracle_build_info",
        "1, of the version that runs.",
        lambda found: iter([((found.version,), 1.0)]),
        "version",
    ),
    _gauge(
        "oracle_start_time_seconds",
        "When the node was started, in Unix seconds.",
        lambda found: one(found.heartbeat.started_at),
    ),
    _gauge(
        "oracle_healthy",
        "1 where /health says 200.",
        lambda found: one(float(found.health.does_its_job)),
    ),
    _gauge(
        "oracle_ready",
        "1 where /ready says 200: nothing is wrong and new work is taken on.",
        lambda found: one(float(found.health.takes_on_work)),
    ),
    _gauge("oracle_stalled", "1 for each cause that makes /health red.", _stalls, "cause"),
    _gauge(
        "oracle_draining",
        "1 while the node finishes what is begun, to end.",
        lambda found: one(float(found.heartbeat.draining)),
    ),
    _gauge(
        "oracle_trouble",
        "1 for each part that says what is wrong (`oracle node status`); absent where nothing is.",
        lambda found: (((where,), 1.0) for where in found.heartbeat.trouble),
        "where",
    ),
    _gauge(
        "oracle_step_hung_seconds",
        "For how long a step has not come back; absent for those that have.",
        lambda found: (((step,), late) for step, late in found.vitals.hung.items()),
        "step",
    ),
    _gauge(
        "oracle_leads",
        "1 where this worker leads its sending key, or the chain.",
        _leads,
        "what",
    ),
    _gauge(
        "oracle_workers",
        "Workers that live and share the database.",
        _of_stored(lambda stored: stored.workers),
    ),
    _gauge(
        "oracle_database_up",
        "1 where the database could be read for this scrape.",
        lambda found: one(float(found.stored is not None)),
    ),
    # the chain
    _gauge(
        "oracle_head_block",
        "The newest block whose events are all read.",
        lambda found: one(found.vitals.following.head_block),
    ),
    _gauge(
        "oracle_head_timestamp_seconds",
        "Its timestamp.",
        lambda found: one(found.vitals.following.head_time),
    ),
    _gauge(
        "oracle_cursor_block",
        "The last block that was read; behind the head by `confirmations`, or while it catches up.",
        lambda found: one(found.vitals.following.cursor_block),
    ),
    _gauge(
        "oracle_chain_read_timestamp_seconds",
        "When all up to the head was last read, in Unix seconds, by the worker that leads.",
        lambda found: one(found.vitals.following.reached_at),
    ),
    _gauge(
        "oracle_logs_missing",
        "Requests that bind the operator by the contract's count, and that no log has told of.",
        lambda found: one(found.vitals.following.missing_logs),
    ),
    _gauge(
        "oracle_endpoint_up",
        "1 where the endpoint is in use or could be.",
        _endpoint(lambda report: float(report["state"] in _USABLE)),
        *_WHICH,
    ),
    _gauge(
        "oracle_endpoint_in_use",
        "1 of the endpoint that is asked first.",
        _endpoint(lambda report: float(report["state"] == "in use")),
        *_WHICH,
    ),
    _gauge(
        "oracle_endpoint_lag_blocks",
        "Blocks behind the best endpoint.",
        _endpoint(lambda report: report["lag"]),
        *_WHICH,
    ),
    _gauge(
        "oracle_endpoint_failures",
        "Failures in a row.",
        _endpoint(lambda report: report["failures"]),
        *_WHICH,
    ),
    _counter(
        "oracle_endpoint_calls_total",
        "Calls, by method.",
        _calls,
        *_WHICH,
        "method",
    ),
    # jobs
    _gauge("oracle_jobs", "Requests in the job table, by state.", _jobs, "state"),
    _gauge(
        "oracle_earliest_deadline_timestamp_seconds",
        "Deadline of the most urgent bound request without an answer, in Unix seconds of the "
        "chain; absent where there is none.",
        _of_stored(lambda stored: stored.earliest_deadline),
    ),
    Metric(
        "oracle_inference_seconds",
        Kind.HISTOGRAM,
        "Time in the model, of answers that this worker sent since its start.",
        lambda found: one(found.inference_seconds),
    ),
    Metric(
        "oracle_answer_seconds",
        Kind.HISTOGRAM,
        "From when a request was seen until its answer was sent for the first time, by this worker "
        "since its start.",
        lambda found: one(found.answer_seconds),
    ),
    _counter(
        "oracle_inference_restarts_total",
        "How often the process that runs models was started again.",
        lambda found: one(found.restarts),
    ),
    _gauge(
        "oracle_demands",
        "Demands to show leaves of a trace that are not met yet.",
        _of_stored(lambda stored: len(stored.demands)),
    ),
    _gauge(
        "oracle_earliest_demand_timestamp_seconds",
        "Deadline of the most urgent demand, in Unix seconds of the chain; absent where there is "
        "none.",
        _of_stored(_first_demand),
    ),
    _gauge(
        "oracle_trace_used_bytes",
        "Traces on the disk.",
        _of_stored(lambda stored: stored.traces.used_bytes),
    ),
    _gauge(
        "oracle_trace_held_bytes",
        "Those of them that are still owed, and cannot be dropped.",
        _of_stored(lambda stored: stored.traces.held_bytes),
    ),
    _gauge(
        "oracle_trace_budget_bytes",
        "What the traces may take: `trace_budget_bytes`.",
        _of_stored(lambda stored: stored.traces.budget_bytes),
    ),
    _gauge(
        "oracle_traces_unkept",
        "Answers that may be disputed whose traces are not kept: each that is demanded is run "
        "again.",
        _of_stored(lambda stored: stored.traces.unkept),
    ),
    # views
    _counter(
        "oracle_views_answered_total",
        "Answers in views that this worker's gateway gave since its start, `free` and `paid`; "
        "absent where `views` names no model.",
        _answered_views,
        "price",
    ),
    _counter(
        "oracle_views_refused_total",
        "Questions that it refused, by reason: `limit` (429), `payment` (402, or none of the "
        "caller's), `not now` (503), `not here` (404), `question` (400), `failure`.",
        _refused_views,
        "reason",
    ),
    _gauge(
        "oracle_view_credit_owed_opg",
        "What payers of views owe by the vouchers that are held, as of the last look.",
        _credit(lambda credit: credit.owed),
    ),
    _gauge(
        "oracle_view_credit_collected_opg",
        "What was collected of them, ever. No counter: a reorg can take some back.",
        _credit(lambda credit: credit.collected),
    ),
    # money
    _gauge(
        "oracle_fees_earned_opg",
        "Fees of settled requests, in OPG. No counter: a reorg can take some back.",
        _of_stored(lambda stored: stored.totals.fees_earned / _BASE_UNITS),
    ),
    _gauge(
        "oracle_gas_spent_coins",
        "Gas of mined transactions, in the chain's coin. No counter, as above.",
        _of_stored(lambda stored: stored.totals.gas_spent_wei / _BASE_UNITS),
    ),
    _gauge(
        "oracle_gas_balance_coins",
        "What each sending key holds of the chain's coin, as of the last look (every 30 s).",
        _balances,
        "account",
    ),
    _gauge(
        "oracle_gas_minimum_coins",
        "Below it a key is to be sent coin: `minimum_balance_wei`.",
        lambda found: one(found.gas.minimum / _BASE_UNITS),
    ),
    _gauge(
        "oracle_gas_floor_coins",
        "Below it nothing new is taken on: `floor_balance_wei`.",
        lambda found: one(found.gas.floor / _BASE_UNITS),
    ),
    # transactions
    _counter(
        "oracle_transactions_total",
        "Transactions of the operator's keys, ever.",
        _of_stored(lambda stored: stored.totals.transactions),
    ),
    _gauge(
        "oracle_transactions_reverted",
        "Those that were mined and refused.",
        _of_stored(lambda stored: stored.totals.reverted),
    ),
    _gauge(
        "oracle_transactions_open",
        "Transactions of this worker's keys that are not known to be mined.",
        _of_stored(lambda stored: stored.open_transactions),
    ),
    _gauge(
        "oracle_oldest_open_transaction_timestamp_seconds",
        "When the oldest of them was made, in Unix seconds; absent where there is none.",
        _of_stored(lambda stored: stored.oldest_open),
    ),
)
