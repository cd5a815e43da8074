"""`oracle view` and `oracle post`: an answer without a transaction, and what makes it count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.cli.inputs import InputFile, Rounding, allowed_rounding, not_swapped, read_inputs
from oracle.cli.spoken import spoken
from oracle.client.view_call import ViewedAnswer
from oracle.core.model import error_bar
from oracle.core.saved_receipt import LARGEST_DOCUMENT
from oracle.core.types import Address, address, format_opg, opg
from oracle.core.view_receipt import SavedView
from oracle.errors import InputError
from oracle.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds the verbs to the root of the command line."""
    verb(app, "view")(view)
    verb(app, "post")(post)


async def view(
    model: Annotated[str, typer.Argument(help="Name or id.")],
    input_file: InputFile,
    sender: Annotated[
        str | None,
        typer.Option(
            "--from", help="Who asks, and alone can post the receipt; the requester by default."
        ),
    ] = None,
    operator: Annotated[
        str | None, typer.Option(help="Who answers; the cheapest with gateways by default.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the receipt to this file.")] = None,
    max_price: Annotated[
        str | None,
        typer.Option(
            help="OPG that the answer may cost: paid by the requester's key, from its credit."
        ),
    ] = None,
    rounding: Rounding = False,
    as_json: Json = False,
) -> None:
    """Ask a model in a view call: a signed answer, no transaction, no key (ERC-3668)."""
    out = output(as_json)
    not_swapped(model, input_file)
    if save is not None and not save.absolute().parent.is_dir():
        raise InputError(f"there is no folder {save.absolute().parent}")
    configured = settings()
    caller = address(sender) if sender else _requester(configured)
    most = None if max_price is None else opg(max_price)
    async with connection.client(configured, None if most is None else "requester") as client:
        with out.progress("asking"):
            found = await client.view(
                model,
                read_inputs(input_file),
                caller=caller,
                operator=address(operator) if operator else None,
                max_price=most,
                allow_rounding=allowed_rounding(rounding),
            )
    facts = _facts(found)
    if save is not None:
        _write(save, found.receipt)
        facts["receipt"] = str(save)
        facts["next"] = f"oracle post {save}"
    out.result(spoken(facts, as_json=as_json))
    out.say("nothing is locked behind it until its receipt is posted")


async def post(
    receipt: Annotated[Path, typer.Argument(help="File that `oracle view --save` wrote.")],
    as_json: Json = False,
) -> None:
    """Open an answer of a view to the court: send its request, acceptance and answer."""
    out = output(as_json)
    saved = _read(receipt)
    async with connection.client(settings(), "requester") as client:
        with out.progress("posting"):
            posted = await client.post(saved)
    out.result(
        {
            "request": posted.request_id,
            "state": posted.state.name.lower(),
            "settle_at": posted.settle_at,
            "fee_opg": format_opg(saved.receipt.request.fee),
            "bond_opg": format_opg(saved.receipt.request.bond),
            "transactions": list(posted.transactions),
            "contradicted": posted.contradicted,
        }
    )
    if posted.contradicted:
        out.say("the operator had posted another answer: both of its signatures convict it")
    out.say(f"follow it with: oracle show 0x{posted.request_id.hex()}")


def _facts(found: ViewedAnswer) -> dict[str, Any]:
    request = found.receipt.receipt.request
    return {
        "outputs": {name: array.tolist() for name, array in found.outputs.items()},
        "answered_by": found.operator,
        "caller": request.requester,
        "error_bar": error_bar(found.epsilon),
        "request": found.request_id,
        "paid_opg": format_opg(found.paid),
        "posted": False,
        "once_posted": found.backing,
        "fee_opg": format_opg(request.fee),
        "bond_opg": format_opg(request.bond),
        "post_until": found.post_until,
    }


def _requester(configured: Settings) -> Address | None:
    """The address of the requester's keystore, which stands in it in the open; None for none."""
    path = configured.requester_keystore
    if path is None or not path.is_file():
        return None
    try:
        named = json.loads(path.read_text())["address"]
        return address("0x" + named.removeprefix("0x"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InputError):
        return None


def _write(path: Path, saved: SavedView) -> None:
    try:
        path.write_text(saved.to_json())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _read(path: Path) -> SavedView:
    try:
        with path.open() as file:
            text = file.read(LARGEST_DOCUMENT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    return SavedView.from_json(text)
