"""`oracle account`: OPG that a key holds at the contracts, whoever it is, and the way out of them.

A fee that was earned, a fee that came back and what was prepaid all lie in one account at the
oracle; shares of slashed stakes lie at the staking contract until they are claimed.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.connection import Role
from oracle.chain.court_contract import CourtBinding
from oracle.cli.amount import moved
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.client import OracleClient
from oracle.core.types import Address, address, format_opg, format_wad
from oracle.errors import NotFound
from oracle.settings import Settings

app = typer.Typer(help="A key's OPG at the contracts: prepaid, earned, refunded, slashed.")


class Whose(StrEnum):
    """Keys that settings can name."""

    REQUESTER = "requester"
    OWNER = "owner"


KeyOption = Annotated[Whose, typer.Option("--key", help="Whose account: the key in settings.")]
KeystoreOption = Annotated[
    Path | None, typer.Option(help="Another key's file, such as the payout account's.")
]
ToOption = Annotated[str | None, typer.Option(help="Who gets it; the key's address by default.")]


def _chosen(key: Whose, keystore: Path | None) -> tuple[Settings, Role]:
    """Settings in which the role's key is the one that was asked for."""
    role: Role = key.value
    configured = settings()
    if keystore is None:
        return configured, role
    return configured.model_copy(update={f"{role}_keystore": keystore}), role


@verb(app, "show")
async def show(
    key: KeyOption = Whose.REQUESTER, keystore: KeystoreOption = None, as_json: Json = False
) -> None:
    """Show what the key has: in its account, to be claimed, as tokens, and for gas."""
    async with connection.client(*_chosen(key, keystore)) as client:
        output(as_json).result(await _facts(client))


@verb(app, "deposit")
async def deposit(
    amount: Annotated[str, typer.Argument(help="OPG.")],
    key: KeyOption = Whose.REQUESTER,
    keystore: KeystoreOption = None,
    as_json: Json = False,
) -> None:
    """Prepay: move OPG of the key into its account, from which requests are cheaper."""
    base_units = moved(amount)
    async with connection.client(*_chosen(key, keystore)) as client:
        sent = await client.deposit(base_units)
        output(as_json).result(
            {"deposited_opg": format_opg(base_units), "transaction": sent.hash}
            | await _facts(client)
        )


@verb(app, "withdraw")
async def withdraw(
    amount: Annotated[str | None, typer.Argument(help="OPG; all of it by default.")] = None,
    to: ToOption = None,
    key: KeyOption = Whose.REQUESTER,
    keystore: KeystoreOption = None,
    as_json: Json = False,
) -> None:
    """Take earnings, refunds and what was prepaid out of the key's account."""
    wanted = None if amount is None else moved(amount)
    async with connection.client(*_chosen(key, keystore)) as client:
        receiver = _receiver(client, to)
        balance = (await client.oracle.account(client.sender.address)).balance
        if not balance:
            raise NotFound(
                f"the account of {client.sender.address} at the oracle is empty",
                hint="an operator's earnings go to its payout address: `oracle operator status`; "
                "name its key with --key or --keystore",
            )
        base_units = balance if wanted is None else wanted
        sent = await client.withdraw(base_units, to=receiver)
        output(as_json).result(
            {"withdrawn_opg": format_opg(base_units), "to": receiver, "transaction": sent.hash}
            | await _facts(client)
        )


@verb(app, "claim")
async def claim(
    to: ToOption = None,
    key: KeyOption = Whose.REQUESTER,
    keystore: KeystoreOption = None,
    as_json: Json = False,
) -> None:
    """Claim the key's shares of slashed stakes, and what the court holds for it: deposits, and an
    operator's part of those it met."""
    async with connection.client(*_chosen(key, keystore)) as client:
        receiver, owner = _receiver(client, to), client.sender.address
        claimed, transactions = 0, []
        for contract in (client.staking, _court(client)):
            base_units = await contract.claimable(owner)
            if base_units:
                sent = await client.sender.send(contract.address, contract.claim_data(receiver))
                claimed += base_units
                transactions.append(sent.hash)
        if not claimed:
            raise NotFound(
                f"no slashed stake is owed to {owner}",
                hint="`oracle reclaim` slashes an operator that did not answer in time",
            )
        output(as_json).result(
            {"claimed_opg": format_opg(claimed), "to": receiver, "transactions": transactions}
            | await _facts(client)
        )


def _court(client: OracleClient) -> CourtBinding:
    return CourtBinding(client.rpc, client.deployment.court)


def _receiver(client: OracleClient, to: str | None) -> Address:
    return client.sender.address if to is None else address(to)


async def _facts(client: OracleClient) -> dict[str, Any]:
    owner = client.sender.address
    claimable = await client.staking.claimable(owner) + await _court(client).claimable(owner)
    return {
        "address": owner,
        "account_opg": format_opg((await client.oracle.account(owner)).balance),
        "claimable_opg": format_opg(claimable),
        "wallet_opg": format_opg(await client.token.balance_of(owner)),
        "wallet_coin_for_gas": format_wad(await client.gateway.balance(owner)),
    }
