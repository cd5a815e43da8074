"""`oracle verify` and `oracle receipt`: check an answer oneself, or keep what that takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap.connection import asks_private
from oracle.bootstrap.verify import Options, save_receipt, verify_answer
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.cli.request_id import RequestId, is_whole, whole_id
from oracle.client.trace_reader import ReadLimits
from oracle.core.saved_receipt import LARGEST_DOCUMENT, SavedReceipt
from oracle.errors import InputError
from oracle.verify.places import read_file


def register(app: typer.Typer) -> None:
    """Adds the verbs to the root of the command line."""
    verb(app, "verify")(verify)
    verb(app, "receipt")(receipt)


async def verify(
    request: Annotated[str, typer.Argument(help="A request's id, or a saved receipt's file.")],
    model: Annotated[
        Path | None, typer.Option(help="The model's file; it is looked for by default.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="The ONNX file it was compiled from, to compile it again.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="The trace's file; the operator is asked by default.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="The operator's URL; the announced one by default.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no chain; needs a saved receipt.")
    ] = False,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Do not run the model on this machine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check an answer without trusting its operator: signature, model, trace, run and money."""
    out = output(as_json)
    trusts_places = offline or endpoint is not None or asks_private(settings())
    options = Options(
        model=model,
        source=source,
        trace=trace,
        endpoint=endpoint,
        offline=offline,
        run=not no_run,
        limits=ReadLimits(public_only=not trusts_places),
    )
    named = await target(request)
    with out.progress("verifying"):
        report = await verify_answer(settings(), named, options)
    out.result(report.facts(), report.text())
    raise typer.Exit(report.verdict.exit_code)


async def receipt(
    request_id: RequestId,
    file: Annotated[Path, typer.Option("--save", help="Where to write it.")],
    endpoint: Annotated[
        str | None, typer.Option(help="An operator's URL to fetch it from, instead of the chain.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Save the signed receipt of an answer as a file, to be verified by anybody at any time."""
    key = await named(request_id)
    saved = await save_receipt(settings(), key, endpoint=endpoint)
    write(saved, file)
    output(as_json).result(
        {"request": key, "file": str(file), "signer": saved.signer},
        f"saved {file}; check it with: oracle verify {file}",
    )


def write(saved: SavedReceipt, file: Path) -> None:
    """Writes a receipt. Raises InputError where the file cannot be written."""
    try:
        file.write_text(saved.to_json())
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from None


async def named(request: str) -> bytes:
    """The id that was given, or that a saved receipt is of. Raises InputError."""
    if is_whole(request) or not _is_file(request):
        return await whole_id(request)
    found = await target(request)
    return found if isinstance(found, bytes) else found.request_id


def _is_file(request: str) -> bool:
    return Path(request).is_file()


async def target(request: str) -> bytes | SavedReceipt:
    """The id, or the receipt in the file of that name. Raises InputError."""
    return await whole_id(request) if _is_id(request) else _saved(request)


def _is_id(request: str) -> bool:
    # What begins as an id and names no file was meant as one, and so was an unset variable.
    return (
        not request.strip()
        or is_whole(request)
        or (request.startswith("0x") and not Path(request).exists())
    )


def _saved(request: str) -> SavedReceipt:
    try:
        text = read_file(Path(request), LARGEST_DOCUMENT).decode()
    except UnicodeDecodeError:
        raise InputError(f"{request} is not a saved receipt: it is not text") from None
    except InputError as error:
        raise InputError(
            error.message, hint="give 0x and 64 hex digits, or a file of `oracle receipt`"
        ) from None
    return SavedReceipt.from_json(text)
