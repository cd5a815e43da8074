"""Every table of the worker's database. The only place that names a column's type or an index.

A change here that an older database does not have needs a new SCHEMA_VERSION. Large values come
last in a row, so that what comes before is read without them. Knows nothing of who reads or writes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from oracle.core.case import CaseState
from oracle.core.job import JobState
from oracle.core.transaction import Purpose, SendOutcome, TransactionState
from oracle.storage.types import ADDRESS, AMOUNT, BYTES32, NONCE, WEI, text_enum

SCHEMA_VERSION = 7

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

identity = Table(
    "identity",
    metadata,
    # One row. All but the version are empty until the database is bound to a chain.
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("database_id", LargeBinary(16), nullable=False),
    Column("chain_id", NONCE),
    Column("oracle", ADDRESS),
    Column("operator", ADDRESS),
    Column("genesis_hash", BYTES32),
)

blocks = Table(
    "blocks",
    metadata,
    # The blocks the cursor has stood on; the highest is the cursor.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", BYTES32, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("request_id", BYTES32, primary_key=True),
    # The request's terms.
    Column("requester", ADDRESS, nullable=False),
    Column("nonce", NONCE, nullable=False),
    Column("consumer", ADDRESS, nullable=False),
    Column("model_id", BYTES32, nullable=False),
    Column("input_hash", BYTES32, nullable=False),
    Column("operator", ADDRESS, nullable=False),
    Column("fee", AMOUNT, nullable=False),
    Column("bond", AMOUNT, nullable=False),
    Column("value_at_risk", AMOUNT, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("window", BigInteger, nullable=False),
    Column("callback_gas_limit", BigInteger, nullable=False),
    Column("eager", Boolean, nullable=False),
    # Where it was mined.
    Column("block_number", BigInteger, nullable=False, index=True),
    Column("block_hash", BYTES32, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    # Where it stands.
    Column("state", text_enum(JobState), nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("settle_at", BigInteger),
    Column("accepted_block", BigInteger),
    Column("answered_block", BigInteger),
    Column("settled_block", BigInteger),
    Column("ended_block", BigInteger),
    Column("fee_earned", AMOUNT, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("strikes", Integer, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("taken_by", Text),  # the worker that is at it, by its name in `leases`
    # The answer, less what it repeats of the request.
    Column("answer_operator", ADDRESS),
    Column("answer_result_hash", BYTES32),
    Column("answer_trace_root", BYTES32),
    Column("signature", LargeBinary(65)),
    Column("inference_seconds", Double),
    Column("reason", Text),
    Column("session", Text),
    Column("economics", Text),
    Column("result", LargeBinary),
    Column("input", LargeBinary, nullable=False),
    # Holds all that the queue is filtered and ordered by, so finding work reads no row.
    Index("ix_jobs_queue", "state", "deadline", "not_before", "request_id", "taken_by"),
    # The same for what is to be settled.
    Index("ix_jobs_settleable", "state", "settle_at", "request_id", "not_before"),
    Index("ix_jobs_place", "block_number", "log_index"),
    Index("ix_jobs_fee_earned", "fee_earned"),  # for the totals
)

for _mined in (  # for rewinds
    jobs.c.accepted_block,
    jobs.c.answered_block,
    jobs.c.settled_block,
    jobs.c.ended_block,
):
    Index(
        f"ix_jobs_{_mined.name}",
        _mined,
        sqlite_where=_mined.is_not(None),
        postgresql_where=_mined.is_not(None),
    )

signatures = Table(
    "signatures",
    metadata,
    # No foreign key: this record must outlive the job it is about.
    Column("kind", String(32), primary_key=True),
    Column("request_id", BYTES32, primary_key=True),
    Column("digest", BYTES32, nullable=False),
    Column("reserved_at", Double, nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sender", ADDRESS, nullable=False),
    Column("nonce", NONCE, nullable=False),
    Column("purpose", text_enum(Purpose), nullable=False),
    Column("state", text_enum(TransactionState), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("mined_attempt_hash", BYTES32),
    Column("mined_block_number", BigInteger, index=True),
    Column("mined_block_hash", BYTES32),
    Column("mined_gas_used", BigInteger),
    Column("mined_gas_price", WEI),
    Column("call_to", ADDRESS, nullable=False),
    Column("call_gas", BigInteger, nullable=False),
    Column("call_data", LargeBinary, nullable=False),
)

_not_abandoned = transactions.c.state != TransactionState.ABANDONED
Index(
    "uq_transactions_sender_nonce",
    transactions.c.sender,
    transactions.c.nonce,
    unique=True,
    sqlite_where=_not_abandoned,
    postgresql_where=_not_abandoned,
)

Index(
    "ix_transactions_gas",  # for the totals
    transactions.c.mined_gas_price,
    transactions.c.mined_gas_used,
    sqlite_where=transactions.c.mined_gas_price.is_not(None),
    postgresql_where=transactions.c.mined_gas_price.is_not(None),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),  # in the order they were made
    Column("transaction_id", ForeignKey(transactions.c.id), nullable=False, index=True),
    Column("hash", BYTES32, nullable=False, unique=True),
    Column("max_fee", WEI, nullable=False),
    Column("max_priority_fee", WEI, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_sent_at", Double),
    Column("outcome", text_enum(SendOutcome)),
    Column("reason", Text),
    Column("raw", LargeBinary, nullable=False),
)

transaction_requests = Table(
    "transaction_requests",
    metadata,
    Column("transaction_id", ForeignKey(transactions.c.id), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("request_id", ForeignKey(jobs.c.request_id), nullable=False, index=True),
)

cursors = Table(
    "cursors",
    metadata,
    # How far else than by the cursor of the jobs the chain was read, by what was looked for.
    Column("name", String(16), primary_key=True),
    Column("block_number", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    # Who leads what, until when by the database's clock. Gone when let go; expired rows may stay.
    Column("name", String(100), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
)

demands = Table(
    "demands",
    metadata,
    # No foreign key: a demand may be read before the job it is about.
    Column("request_id", BYTES32, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("pending", Boolean, nullable=False, index=True),
    Column("document", Text, nullable=False),
)

views = Table(
    "views",
    metadata,
    # Answers in views, of which no request may ever be sent: no foreign key.
    Column("request_id", BYTES32, primary_key=True),
    Column("deadline", BigInteger, nullable=False, index=True),
    # Of the voucher that paid for it, if one did.
    Column("payer", ADDRESS),
    Column("paid_total", AMOUNT),
    Column("document", Text, nullable=False),
    Column("result", LargeBinary, nullable=False),
    Index("ix_views_paid", "payer", "paid_total"),
)

vouchers = Table(
    "vouchers",
    metadata,
    # The highest voucher of each payer, and what the chain last said was collected of it.
    Column("contract", ADDRESS, primary_key=True),
    Column("payer", ADDRESS, primary_key=True),
    Column("total", AMOUNT, nullable=False),
    Column("collected", AMOUNT, nullable=False),
    Column("signature", LargeBinary(65), nullable=False),
)

cases = Table(
    "cases",
    metadata,
    Column("request_id", BYTES32, primary_key=True),
    Column("operator", ADDRESS, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", BYTES32, nullable=False),
    Column("state", text_enum(CaseState), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("salt", BYTES32),
    Column("reason", Text, nullable=False),
    Column("proof", LargeBinary),
)
