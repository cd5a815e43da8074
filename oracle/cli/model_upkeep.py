"""`oracle model fetch` and `deprecate`: a registered model comes to this machine, or ends."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.model_fetch import fetch_model
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.client.deprecated import require_live
from oracle.core.types import address
from oracle.errors import InputError
from oracle.inference.model_library import ModelLibrary


def register(app: typer.Typer) -> None:
    """Adds the verbs to the tree of `oracle model`."""
    verb(app, "fetch")(fetch)
    verb(app, "deprecate")(deprecate)


async def fetch(
    model: Annotated[str, typer.Argument(help="Name or id.")],
    endpoint: Annotated[
        str | None, typer.Option("--from", help="Operator's URL; whoever offers it by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Get a registered model's program from an operator, check it by its root, and keep it."""
    configured = settings()
    out = output(as_json)
    async with connection.client(configured) as client:
        found = await client.model(model)
        with out.progress("fetching"):
            library = ModelLibrary(configured.model_store)
            operator = None if configured.operator is None else address(configured.operator)
            fetched = await fetch_model(
                client,
                library,
                found,
                endpoint,
                operator=operator,
                public_only=not connection.asks_private(configured),
            )
    out.result(
        {
            "id": found.id,
            "name": found.name,
            "root": found.terms.program_root,
            "bytes": fetched.size,
            "from": fetched.source or "it was here already",
        }
    )


async def deprecate(
    model: Annotated[str, typer.Argument(help="Name or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """End a model of the owner's key for good: it takes no more requests."""
    out = output(as_json)
    async with connection.client(settings(), "owner") as client:
        found = await client.model(model)
        owner = client.sender.address
        if found.registrar != owner:
            raise InputError(
                f"{found.name} was registered by {found.registrar}, and the owner's key is {owner}",
                hint="only its registrar can deprecate a model",
            )
        require_live(found)
        asked = f"{found.name} (0x{found.id.hex()}) can never take a request again. End it?"
        if not yes and not typer.confirm(asked, err=True):
            raise typer.Exit(1)
        sent = await client.sender.send(
            client.registry.address, client.registry.deprecate_data(found.id)
        )
        offering = [one.operator for one in await client.offers(found.id)]
    facts: dict[str, Any] = {"deprecated": found.id, "name": found.name, "transaction": sent.hash}
    if owner in offering:
        facts["next"] = (
            f"take the offer for it back: oracle operator offer 0x{found.id.hex()} "
            "--capacity 0 --price 0 --max-bond 0"
        )
    out.result(facts)
