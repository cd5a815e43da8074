"""Every table of the explorer's index. The only place that names their columns and indexes.

`entries` is what was read; all others are what it adds up to, and could be made again from it.
Large values come last in a row. Knows nothing of who reads or writes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from oracle.core.chronicle import Dispute, EntryKind, Standing
from oracle.storage.types import ADDRESS, AMOUNT, BYTES32, NONCE, WEI, text_enum

SCHEMA_VERSION = 1

metadata = MetaData()

identity = Table(
    "explorer_identity",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("chain_id", NONCE),
    Column("oracle", ADDRESS),
    Column("genesis_hash", BYTES32),
)

blocks = Table(
    "blocks",
    metadata,
    # The blocks that were stood on; the highest is the cursor.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", BYTES32, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("block_number", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", BigInteger, primary_key=True, autoincrement=False),
    Column("block_hash", BYTES32, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("transaction_hash", BYTES32, nullable=False),
    Column("kind", text_enum(EntryKind, length=24), nullable=False),
    Column("request_id", BYTES32),
    Column("operator", ADDRESS),
    Column("model_id", BYTES32),
    Column("facts", Text, nullable=False),
    Column("data_bytes", BigInteger, nullable=False),
    Column("data", LargeBinary),
)

for _key in (entries.c.request_id, entries.c.operator, entries.c.model_id):
    Index(f"ix_entries_{_key.name}", _key, sqlite_where=_key.is_not(None))

requests = Table(
    "requests",
    metadata,
    Column("request_id", BYTES32, primary_key=True),
    Column("model_id", BYTES32, nullable=False),
    Column("requester", ADDRESS, nullable=False),
    Column("operator", ADDRESS, nullable=False),
    Column("fee", AMOUNT, nullable=False),
    Column("bond", AMOUNT, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("state", text_enum(Standing), nullable=False),
    Column("created_block", BigInteger, nullable=False),
    Column("created_log", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_block", BigInteger, nullable=False),
    Column("answered_block", BigInteger),
    Column("answered_at", BigInteger),
    Column("settle_at", BigInteger),
    Column("ended_block", BigInteger),
    Column("ended_at", BigInteger),
    Column("earned", AMOUNT, nullable=False),
    Column("refunded", AMOUNT, nullable=False),
    Column("slashed", AMOUNT, nullable=False),
    Column("input_bytes", BigInteger, nullable=False),
    Column("result_bytes", BigInteger),
    Column("dispute", text_enum(Dispute)),
    Column("dispute_block", BigInteger),
    Column("dispute_log", BigInteger),
    Column("convicted_by", ADDRESS),
    Column("convicted_how", String(16)),
)

_newest = (requests.c.created_block, requests.c.created_log)
Index("ix_requests_place", *_newest)
for _filter in (
    requests.c.state,
    requests.c.model_id,
    requests.c.operator,
    requests.c.requester,
):
    # A page of a list is one stretch of one of these, whatever it is filtered by.
    Index(f"ix_requests_{_filter.name}", _filter, *_newest)
for _both in (requests.c.model_id, requests.c.operator, requests.c.requester):
    Index(f"ix_requests_{_both.name}_state", _both, requests.c.state, *_newest)
Index(
    "ix_requests_dispute",
    requests.c.dispute_block,
    requests.c.dispute_log,
    sqlite_where=requests.c.dispute.is_not(None),
)

models = Table(
    "models",
    metadata,
    Column("model_id", BYTES32, primary_key=True),
    Column("registrar", ADDRESS, nullable=False),
    Column("name", Text, nullable=False),
    Column("tier", Integer, nullable=False),
    Column("epsilon", AMOUNT, nullable=False),
    Column("program_root", BYTES32, nullable=False),
    Column("challenge_window", BigInteger, nullable=False),
    Column("reveal_window", BigInteger, nullable=False),
    Column("min_bond", AMOUNT, nullable=False),
    Column("registered_block", BigInteger, nullable=False),
    Column("registered_log", BigInteger, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("deprecated_at", BigInteger),
    Column("schema", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Index("ix_models_place", "registered_block", "registered_log"),
    Index("ix_models_name", "name"),
)

operators = Table(
    "operators",
    metadata,
    Column("operator", ADDRESS, primary_key=True),
    Column("signer", ADDRESS, nullable=False),
    Column("payout", ADDRESS, nullable=False),
    Column("stake", AMOUNT, nullable=False),
    Column("slashed", AMOUNT, nullable=False),
    Column("registered_block", BigInteger, nullable=False),
    Column("registered_log", BigInteger, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("endpoint", Text, nullable=False),
    Index("ix_operators_place", "registered_block", "registered_log"),
    Index("ix_operators_stake", "stake", "operator"),
)

offers = Table(
    "offers",
    metadata,
    Column("operator", ADDRESS, primary_key=True),
    Column("model_id", BYTES32, primary_key=True),
    Column("price", AMOUNT, nullable=False),
    Column("max_bond", AMOUNT, nullable=False),
    Column("capacity", BigInteger, nullable=False),
    Column("min_time", BigInteger, nullable=False),
    Column("max_window", BigInteger, nullable=False),
    Column("max_callback_gas", BigInteger, nullable=False),
    Column("set_block", BigInteger, nullable=False),
    Column("set_at", BigInteger, nullable=False),
    Index("ix_offers_model_id", "model_id", "price"),
)

tallies = Table(
    "tallies",
    metadata,
    # What requests add up to: of all ("all", ""), of an operator, of a model by its id in hex.
    Column("scope", String(16), primary_key=True),
    Column("key", String(66), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("answered", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("defaulted", BigInteger, nullable=False),
    Column("convicted", BigInteger, nullable=False),
    Column("disputed", BigInteger, nullable=False),
    Column("earned", WEI, nullable=False),
    Column("locked", WEI, nullable=False),
)
