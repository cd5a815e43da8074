"""`oracle credit`: what a key has deposited with an operator for views that have a price.

Each answer is paid by a signature (`oracle view --max-price`); the operator collects for many at
once, and what it has not been promised comes back.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.chain.revert_words import moment
from oracle.cli.amount import moved
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.client import OracleClient
from oracle.core.types import Address, address, format_opg
from oracle.core.voucher import Credit
from oracle.errors import InputError, NotFound

app = typer.Typer(help="A key's OPG with an operator, for views that have a price.")

OperatorArgument = Annotated[str, typer.Argument(help="Address of the operator.")]


@verb(app, "deposit")
async def deposit(
    operator: OperatorArgument,
    amount: Annotated[str, typer.Argument(help="OPG.")],
    as_json: Json = False,
) -> None:
    """Add OPG of the requester's key to its credit; takes an announced withdrawal back."""
    base_units = moved(amount)
    whom = address(operator)
    async with connection.client(settings(), "requester") as client:
        sent = await client.deposit_credit(whom, base_units)
        output(as_json).result(
            {"deposited_opg": format_opg(base_units), "transaction": sent.hash}
            | await _facts(client, whom)
        )


@verb(app, "show")
async def show(operator: OperatorArgument, as_json: Json = False) -> None:
    """Show the credit of the requester's key with an operator."""
    async with connection.client(settings(), "requester") as client:
        output(as_json).result(await _facts(client, address(operator)))


@verb(app, "withdraw")
async def withdraw(operator: OperatorArgument, as_json: Json = False) -> None:
    """Take the credit back: announce it, and once the delay has passed, be paid."""
    whom, out = address(operator), output(as_json)
    async with connection.client(settings(), "requester") as client:
        credit = await _credit(client, whom)
        if not credit.balance:
            raise NotFound(
                f"{client.sender.address} has no credit with {whom}",
                hint="what the operator has collected does not come back",
            )
        if not credit.withdrawable_at:
            sent = await client.announce_credit_withdrawal(whom)
            facts = await _facts(client, whom)
            out.result(
                {"announced": True, "transaction": sent.hash}
                | facts
                | {"next": f"oracle credit withdraw {whom}, from then on"}
            )
            return
        now = await client.rpc.next_timestamp()
        if now < credit.withdrawable_at:
            raise InputError(
                f"the credit with {whom} can be withdrawn from {moment(credit.withdrawable_at)} on",
                hint=f"wait {credit.withdrawable_at - now} s more; meanwhile the operator collects "
                "what it is owed",
            )
        sent = await client.withdraw_credit(whom)
        out.result(
            {"withdrawn_opg": format_opg(credit.balance), "transaction": sent.hash}
            | await _facts(client, whom)
        )


async def _credit(client: OracleClient, operator: Address) -> Credit:
    return await client.credit.credit_of(client.sender.address, operator)


async def _facts(client: OracleClient, operator: Address) -> dict[str, Any]:
    credit, at = await _credit(client, operator), None
    if credit.withdrawable_at:
        at = moment(credit.withdrawable_at)
    return {
        "payer": client.sender.address,
        "operator": operator,
        "credit_opg": format_opg(credit.balance),
        "collected_opg": format_opg(credit.collected),
        "withdrawable_at": at,
    }
