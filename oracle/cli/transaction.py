"""`oracle tx`: the worker's transactions, and a hand on those that are stuck."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.transaction_override import opened_override
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.core.transaction import Attempt, SendOutcome, Transaction, TransactionState
from oracle.storage.lookup import Lookup
from oracle.storage.storage import open_storage

app = typer.Typer(help="The worker's transactions, and a hand on those that are stuck.")

_GWEI = 10**9

Nonce = Annotated[int, typer.Argument(help="As `oracle tx list` has it.", min=0)]


@verb(app, "list")
async def list_transactions(
    only_open: Annotated[bool, typer.Option("--open", help="Only those not yet mined.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most transactions listed.")] = 20,
    as_json: Json = False,
) -> None:
    """List the latest transactions, newest first."""
    storage = open_storage(settings().database_url, SystemClock())
    try:
        only = TransactionState.OPEN if only_open else None
        found = await Lookup(storage.database).transactions(limit, only=only)
    finally:
        await storage.close()
    if as_json:
        output(as_json).result({"transactions": [facts_of(one) for one in found]})
        return
    columns = ("nonce", "purpose", "requests", "state", "attempts", "max_fee_gwei", "age", "hash")
    output(as_json).table("Transactions", columns, [_row(one) for one in found])


@verb(app, "bump")
async def bump(nonce: Nonce, as_json: Json = False) -> None:
    """Send a transaction again with higher fees, now."""
    async with opened_override(settings(), nonce) as (override, stuck):
        _tell(*await override.bump(stuck), as_json=as_json)


@verb(app, "cancel")
async def cancel(nonce: Nonce, as_json: Json = False) -> None:
    """Use up a transaction's nonce by a transfer of nothing to ourselves; its jobs go a step back.

    The node sends for them again half a minute later.
    """
    async with opened_override(settings(), nonce) as (override, stuck):
        _tell(*await override.cancel(stuck), as_json=as_json)


def _tell(attempt: Attempt, outcome: SendOutcome, reason: str | None, *, as_json: bool) -> None:
    facts = {
        "hash": attempt.hash,
        "max_fee_gwei": attempt.fees.max_fee / _GWEI,
        "outcome": outcome.value,
    }
    output(as_json).result(facts | ({"reason": reason} if reason else {}))


def _row(one: Transaction) -> tuple[Any, ...]:
    last = one.attempts[-1]
    return (
        one.nonce,
        one.purpose.value,
        len(one.request_ids),
        one.state.value,
        len(one.attempts),
        f"{last.fees.max_fee / _GWEI:g}",
        f"{time.time() - one.created_at:.0f} s",
        one.mined.attempt_hash if one.mined else last.hash,
    )


def facts_of(one: Transaction) -> dict[str, Any]:
    """A transaction by name, for scripts and for a job's page."""
    facts: dict[str, Any] = {
        "nonce": one.nonce,
        "sender": one.sender,
        "purpose": one.purpose.value,
        "state": one.state.value,
        "requests": len(one.request_ids),
        "attempts": [
            {
                "hash": attempt.hash,
                "max_fee_wei": attempt.fees.max_fee,
                "max_priority_fee_wei": attempt.fees.max_priority_fee,
                "outcome": attempt.outcome.value if attempt.outcome else "not sent",
            }
            for attempt in one.attempts
        ],
    }
    if one.mined is not None:
        facts |= {
            "block": one.mined.block_number,
            "mined_hash": one.mined.attempt_hash,
            "succeeded": one.mined.succeeded,
            "gas_used": one.mined.gas_used,
            "cost_wei": one.mined.cost_wei,
        }
    return facts
