"""`oracle model`: compile, certify, register and look up models."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.models import (
    CERTIFIED_ROWS,
    PreparedModel,
    add_model,
    inspect_model,
    prepare_model,
)
from oracle.bootstrap.readiness import fault_of
from oracle.bootstrap.sample_rows import read_rows
from oracle.chain.contracts import Contracts
from oracle.cli import model_upkeep
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.cli.model_added import told_if_registered, told_what_was_chosen
from oracle.cli.model_facts import certified, describe, facts, measured
from oracle.cli.output import Output
from oracle.cli.spoken import NONE
from oracle.core.model import had_again
from oracle.core.schema import DEFAULT_MAX_BATCH, LARGEST_MAX_BATCH
from oracle.core.types import Address, Tier, address, format_opg, opg
from oracle.errors import InputError
from oracle.inference.model_library import ModelLibrary
from oracle.program.manifest import manifest_beside
from oracle.program.most_rows import FULL_TRACE_BYTES
from oracle.settings import Settings

app = typer.Typer(help="Models: compile, certify, register, look up.")
model_upkeep.register(app)


class TierName(StrEnum):
    """Tiers as people write them."""

    EXACT = "exact"
    ROUNDED = "rounded"
    NATIVE = "native"
    UNPROVEN = "unproven"


TierOption = Annotated[
    TierName | None,
    typer.Option("--tier", help="How it is judged; by what the model is made of by default."),
]
InputsOption = Annotated[
    Path | None,
    typer.Option(
        "--inputs", help="An .npz file with rows of input, to compare and certify the model on."
    ),
]
RowsOption = Annotated[
    int, typer.Option("--rows", min=1, help="Rows of it to certify on; all are compared.")
]
MaxRowsOption = Annotated[
    int | None,
    typer.Option(
        "--max-rows",
        min=1,
        max=LARGEST_MAX_BATCH,
        help="Most rows of one request, part of the program's root. By default "
        f"{DEFAULT_MAX_BATCH}, or as many as leave a trace of {FULL_TRACE_BYTES >> 20} MiB.",
    ),
]


@verb(app, "compile")
async def compile_file(
    file: Annotated[Path, typer.Argument(help="ONNX file.")],
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the program file is written.")
    ] = None,
    tier: TierOption = None,
    inputs: InputsOption = None,
    rows: RowsOption = CERTIFIED_ROWS,
    max_rows: MaxRowsOption = None,
    as_json: Json = False,
) -> None:
    """Turn an ONNX model into the program that is run and judged; register nothing.

    Says how far the program's outputs are from the model's, over --inputs or generated rows, and
    writes all that is known of it into a manifest beside the program.
    """
    if tier is TierName.UNPROVEN:
        raise InputError("an unproven model is not compiled", hint="register it with model add")
    out = output(as_json)
    prepared = await _prepare(out, file, tier, inputs, rows, max_rows)
    assert prepared.compiled is not None
    target = to or file.with_suffix(".program.onnx")
    target.write_bytes(prepared.compiled.file)
    manifest = _write_manifest(prepared, manifest_beside(target))
    out.result(facts(prepared) | {"written_to": str(target), "manifest": str(manifest)})


@verb(app, "certify")
async def certify_file(
    file: Annotated[Path, typer.Argument(help="ONNX file.")],
    inputs: Annotated[Path, typer.Option("--inputs", help="An .npz file with rows of input.")],
    rows: RowsOption = CERTIFIED_ROWS,
    max_rows: MaxRowsOption = None,
    tier: TierOption = None,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the manifest is written.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bound how far an answer can be moved without any step being provably wrong."""
    out = output(as_json)
    prepared = await _prepare(out, file, tier, inputs, rows, max_rows)
    if prepared.certificate is None:
        raise InputError("an unproven model has no certificate")
    if to is not None:
        _write_manifest(prepared, to)
    if as_json:
        out.result(prepared.certificate.document())
    else:
        out.result({"tier": prepared.tier.name.lower(), **certified(prepared.certificate)})
        out.table(
            "Where it comes from",
            ("instruction", "name", "operation", "share"),
            [
                (one.instruction, one.name, one.opcode, f"{one.share:.1%}")
                for one in prepared.certificate.contributions
            ],
        )


@verb(app, "add")
async def add(
    file: Annotated[Path, typer.Argument(help="ONNX file.")],
    name: Annotated[str | None, typer.Option(help="The file's name by default.")] = None,
    uri: Annotated[str, typer.Option(help="Where others can fetch the file.")] = "",
    window: Annotated[int | None, typer.Option(help="Shortest challenge window, seconds.")] = None,
    reveal_window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Seconds that who answers has to show intermediate numbers of a run, when a "
            "watcher asks on chain. By default, by how deep the model is.",
        ),
    ] = None,
    min_bond: Annotated[str, typer.Option(help="Smallest bond, in OPG.")] = "10",
    tier: TierOption = None,
    inputs: InputsOption = None,
    rows: RowsOption = CERTIFIED_ROWS,
    max_rows: MaxRowsOption = None,
    as_json: Json = False,
) -> None:
    """Compile an ONNX file, certify it, keep it, and register it under the owner's key."""
    if name is not None and not name.strip():
        raise InputError("a model needs a name")
    configured = settings()
    out = output(as_json)
    prepared = await _prepare(out, file, tier, inputs, rows, max_rows)
    async with connection.client(configured, "owner") as client:
        with out.progress("registering"):
            added = await add_model(
                prepared,
                ModelLibrary(configured.model_store),
                client.sender,
                Contracts.at(client.rpc, client.deployment),
                name=name or file.stem,
                uri=uri,
                challenge_window=(
                    client.deployment.parameters.default_window if window is None else window
                ),
                min_bond=opg(min_bond),
                reveal_window=reveal_window,
            )
    told_if_registered(added, name or file.stem, uri, out, asked=name is not None)
    told_what_was_chosen(added, out, reveal_window=reveal_window, max_rows=max_rows)
    window_to_reveal = added.terms.reveal_window
    shown = {"id": added.id, "name": added.name, "reveal_window_seconds": window_to_reveal}
    if added.advice is not None and (as_json or reveal_window is not None):
        shown |= {
            "steps_deep": added.advice.depth,
            "longest_sensible_reveal_window_seconds": added.advice.sensible,
        }
    out.result(shown | facts(prepared))


async def _prepare(
    out: Output,
    file: Path,
    tier: TierName | None,
    inputs: Path | None,
    rows: int,
    max_rows: int | None,
) -> PreparedModel:
    wished = None if tier is None else Tier[tier.name]
    given = None if inputs is None else read_rows(inputs, inspect_model(file).schema)
    say: Callable[[str], None] = out.say if os.isatty(2) else lambda _: None
    with out.progress("compiling"):
        return await asyncio.to_thread(
            prepare_model,
            file,
            tier=wished,
            rows=given,
            certify_on=rows,
            max_rows=max_rows,
            say=say,
        )


def _write_manifest(prepared: PreparedModel, file: Path) -> Path:
    assert prepared.manifest is not None
    try:
        file.write_text(prepared.manifest.to_json())
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from None
    return file


@verb(app, "list")
async def list_models(as_json: Json = False) -> None:
    """List all registered models, with how many operators offer each and what the cheapest asks."""
    out = output(as_json)
    async with connection.client(settings()) as client:
        with out.progress("looking up models and offers"):
            models, offers = await client.registry.models(), await client.all_offers()
    prices = {model: format_opg(found[0].price) for model, found in offers.items()}
    out.table(
        "Models",
        [
            "name",
            "id",
            "tier",
            "window_seconds",
            "min_bond_opg",
            "offers",
            "cheapest_offer_opg",
            "live",
        ],
        [
            [
                one.name,
                one.id,
                one.terms.tier.name.lower(),
                one.terms.challenge_window,
                format_opg(one.terms.min_bond),
                len(offers.get(one.id, ())),
                prices.get(one.id) if as_json else prices.get(one.id, NONE),
                "yes" if one.live else "deprecated",
            ]
            for one in models
        ],
    )


def _own_address(configured: Settings) -> Address | None:
    return None if configured.operator is None else address(configured.operator)


@verb(app, "show")
async def show(
    model: Annotated[str, typer.Argument(help="Name or id.")], as_json: Json = False
) -> None:
    """Show one model: its terms, its schema, and who answers it at which price."""
    configured = settings()
    async with connection.client(configured) as client:
        found = await client.model(model)
        offers = await client.offers(found.id)
        longest = (await client.oracle.limits()).max_window
    known = describe(found)
    library, root = ModelLibrary(configured.model_store), found.terms.program_root
    fault = await fault_of(found, library)
    known["file_here"] = fault is None
    if fault is not None and library.has(root, found.terms.tier):
        known["file_damaged"] = f"{fault}: {had_again(found, _own_address(configured))}"
    if found.terms.tier is not Tier.UNPROVEN:
        known |= measured(library.manifest(root), found.terms.epsilon)
    known["offers"] = [
        {
            "operator": one.operator,
            "price_opg": format_opg(one.offer.price),
            "max_bond_opg": format_opg(one.offer.max_bond),
            "max_window_seconds": min(one.offer.max_window, longest),
            "max_callback_gas": one.offer.max_callback_gas,
            "free_stake_opg": format_opg(one.status.free),
            "capacity_left": max(0, one.offer.capacity - one.status.unanswered),
        }
        for one in offers
    ]
    output(as_json).result(known)
