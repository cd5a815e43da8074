"""`oracle model`: inspect, register and look up models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.models import add_model
from oracle.chain.contracts import Contracts
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.client.answer import backing
from oracle.core.model import Model, error_bar
from oracle.core.schema import TensorSpec
from oracle.core.types import format_opg, opg
from oracle.inference.content_store import ContentStore

app = typer.Typer(help="Models: inspect, register, look up.")


@verb(app, "add")
async def add(
    file: Annotated[Path, typer.Argument(help="ONNX file.")],
    name: Annotated[str | None, typer.Option(help="The file's name by default.")] = None,
    uri: Annotated[str, typer.Option(help="Where others can fetch the file.")] = "",
    window: Annotated[int | None, typer.Option(help="Shortest challenge window, seconds.")] = None,
    min_bond: Annotated[str, typer.Option(help="Smallest bond, in OPG.")] = "10",
    as_json: Json = False,
) -> None:
    """Inspect an ONNX file, keep it, and register it under the owner's key."""
    configured = settings()
    out = output(as_json)
    async with connection.client(configured, "owner") as client:
        with out.progress("inspecting and registering"):
            added = await add_model(
                file,
                ContentStore(configured.model_store),
                client.sender,
                Contracts.at(client.rpc, client.deployment),
                name=name or file.stem,
                uri=uri,
                challenge_window=(
                    client.deployment.parameters.default_window if window is None else window
                ),
                min_bond=opg(min_bond),
            )
    out.result(
        {
            "id": added.id,
            "name": added.name,
            "tier": backing(added.terms.tier),
            "file_sha256": added.file.sha256,
            "bytes": added.file.size,
            "parameters": added.file.parameter_count,
            "operators": ", ".join(added.file.operators),
            "inputs": [shape(spec) for spec in added.file.schema.inputs],
            "outputs": [shape(spec) for spec in added.file.schema.outputs],
        }
    )


@verb(app, "list")
async def list_models(as_json: Json = False) -> None:
    """List all registered models."""
    async with connection.client(settings()) as client:
        models = await client.registry.models()
    output(as_json).table(
        "Models",
        ["name", "id", "tier", "window_seconds", "min_bond_opg", "live"],
        [
            [
                one.name,
                one.id,
                one.terms.tier.name.lower(),
                one.terms.challenge_window,
                format_opg(one.terms.min_bond),
                "yes" if one.live else "deprecated",
            ]
            for one in models
        ],
    )


@verb(app, "show")
async def show(
    model: Annotated[str, typer.Argument(help="Name or id.")], as_json: Json = False
) -> None:
    """Show one model: its terms, its schema, and who answers it at which price."""
    configured = settings()
    async with connection.client(configured) as client:
        found = await client.model(model)
        offers = await client.offers(found.id)
    facts = describe(found)
    facts["file_here"] = ContentStore(configured.model_store).has(found.terms.program_root)
    facts["offers"] = [
        {
            "operator": one.operator,
            "price_opg": format_opg(one.offer.price),
            "max_bond_opg": format_opg(one.offer.max_bond),
            "max_window_seconds": one.offer.max_window,
            "max_callback_gas": one.offer.max_callback_gas,
            "free_stake_opg": format_opg(one.status.free),
            "capacity_left": max(0, one.offer.capacity - one.status.unanswered),
        }
        for one in offers
    ]
    output(as_json).result(facts)


def describe(model: Model) -> dict[str, Any]:
    """A model's facts by name."""
    return {
        "id": model.id,
        "name": model.name,
        "registrar": model.registrar,
        "live": model.live,
        "tier": backing(model.terms.tier),
        "file_sha256": model.terms.program_root,
        "uri": model.uri,
        "challenge_window_seconds": model.terms.challenge_window,
        "min_bond_opg": format_opg(model.terms.min_bond),
        "error_bar": error_bar(model.terms.epsilon),
        "inputs": [shape(spec) for spec in model.schema.inputs],
        "outputs": [shape(spec) for spec in model.schema.outputs],
    }


def shape(spec: TensorSpec) -> str:
    """Like `pixels float32[N, 64]`."""
    axes = ", ".join("N" if axis is None else str(axis) for axis in spec.shape)
    return f"{spec.name} {spec.element.value}[{axes}]"
