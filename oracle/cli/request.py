"""`oracle request`, `show`, `cancel`, `reclaim`: a requester's verbs, and a look for anybody."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import numpy as np
import typer

from oracle.bootstrap import connection
from oracle.bootstrap.watcher import watch_request
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings, start_logging
from oracle.cli.narrative import decision_facts, tell
from oracle.cli.verify import write as write_receipt
from oracle.client import InferenceAnswer
from oracle.client.client import Inputs, Requested
from oracle.core.case import Case
from oracle.core.model import error_bar
from oracle.core.types import address, bytes32, format_opg, opg
from oracle.errors import InputError
from oracle.verify import evidence
from oracle.watcher.policy import WatcherPolicy


def register(app: typer.Typer) -> None:
    """Adds the verbs to the root of the command line."""
    verb(app, "request")(request)
    verb(app, "show")(show)
    verb(app, "cancel")(cancel)
    verb(app, "reclaim")(reclaim)


async def request(
    model: Annotated[str, typer.Argument(help="Name or id.")],
    input_file: Annotated[
        Path, typer.Option("--input", help="x.npy, x.npz (arrays by name) or x.json.")
    ],
    fee: Annotated[str | None, typer.Option(help="OPG; the offer's price by default.")] = None,
    operator: Annotated[
        str | None, typer.Option(help="Who answers; the cheapest offer by default.")
    ] = None,
    open_to_all: Annotated[
        bool, typer.Option("--open", help="Let any operator accept; needs --fee.")
    ] = False,
    bond: Annotated[str | None, typer.Option(help="OPG that back the answer.")] = None,
    value_at_risk: Annotated[str, typer.Option(help="OPG that a wrong answer could cost.")] = "0",
    time_to_answer: Annotated[int, typer.Option(help="Seconds to the deadline.")] = 600,
    window: Annotated[
        int | None, typer.Option(help="Seconds to finality; the model's by default.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the answer is final.")] = False,
    wait_answered: Annotated[
        bool, typer.Option("--wait-answered", help="Wait for the answer, final or not.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(help="Wait, and write the answer's receipt to this file.")
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Watch the answer, and convict it with this key if wrong."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask a model, and with --wait print its answer."""
    out = output(as_json)
    wait_answered = wait_answered or save is not None
    if save is not None and not save.absolute().parent.is_dir():
        raise InputError(f"there is no folder {save.absolute().parent}")
    async with connection.client(settings(), "requester") as client:
        with out.progress("sending the request"):
            made = await client.request(
                model,
                read_inputs(input_file),
                fee=opg(fee) if fee is not None else None,
                operator=address(operator) if operator else None,
                open_to_all=open_to_all,
                bond=opg(bond) if bond is not None else None,
                value_at_risk=opg(value_at_risk),
                time_to_answer=time_to_answer,
                window=window,
            )
        facts: dict[str, Any] = {
            "request": made.id,
            "accepted": made.accepted,
            "operator": made.request.operator,
            "fee_opg": format_opg(made.request.fee),
            "bond_opg": format_opg(made.request.bond),
            "deadline": made.request.deadline,
        }
        if made.objections:
            facts["not_taken_by_offer"] = list(made.objections)
        if watch:
            out.say(f"watching the answer to 0x{made.id.hex()}")
            with out.progress("watching"):
                case = await watched(made)
            facts["watched"] = "no answer" if case is None else case.state.value
            if case is not None:
                facts["found"] = case.reason
        if wait or wait_answered:
            # Said before the wait: whatever ends it, the fee is found again by the id.
            out.say(f"waiting for the answer to 0x{made.id.hex()}")
            with out.progress("waiting"):
                found = await client.wait(
                    made.id,
                    until="final" if wait else "answered",
                    timeout=time_to_answer + made.request.window + 60,
                )
            facts |= answer_facts(found)
            if save is not None:
                write_receipt(await evidence.save(client, made.id), save)
                facts["receipt"] = str(save)
        out.result(facts)
        if not (wait or wait_answered):
            out.say(f"follow it with: oracle show 0x{made.id.hex()}")


async def watched(made: Requested) -> Case | None:
    """What a watcher of this one request, with the requester's key, finds."""
    configured = settings()
    start_logging(configured)
    policy = WatcherPolicy(
        start_block=made.sent.mined.block_number,
        range_blocks=configured.range_blocks,
        wei_per_opg=configured.wei_per_opg,
        max_gas_price_wei=int(configured.max_fee_gwei * 10**9),
    )
    key = connection.signer(configured, "requester")
    return await watch_request(configured, key, policy, made.id)


async def show(
    request_id: Annotated[str, typer.Argument(help="0x and 64 hex digits.")],
    as_json: Json = False,
) -> None:
    """Tell the whole story of a request: terms, transactions, answer, receipt and money."""
    async with connection.client(settings()) as client:
        facts, text = await tell(client, bytes32(request_id, what="request id"))
    output(as_json).result(facts, text)


async def cancel(
    request_id: Annotated[str, typer.Argument(help="0x and 64 hex digits.")],
    as_json: Json = False,
) -> None:
    """Take back a request that nobody has accepted."""
    async with connection.client(settings(), "requester") as client:
        sent = await client.cancel(bytes32(request_id, what="request id"))
    output(as_json).result({"cancelled": request_id, "transaction": sent.hash})


async def reclaim(
    request_id: Annotated[str, typer.Argument(help="0x and 64 hex digits.")],
    as_json: Json = False,
) -> None:
    """Get the fee back of a request whose deadline passed; a silent operator is slashed by it."""
    key = bytes32(request_id, what="request id")
    async with connection.client(settings(), "requester") as client:
        sent = await client.reclaim(key)
        story = await client.story(key)
    output(as_json).result(
        {
            "request": request_id,
            "state": story.state.name.lower(),
            "refund_opg": format_opg(story.refund),
            "transaction": sent.hash,
        }
    )


def answer_facts(answer: InferenceAnswer) -> dict[str, Any]:
    """An answer by name, for people and scripts."""
    return {
        "answered_by": answer.operator,
        "final": answer.final,
        "backing": answer.backing,
        "answerable": answer.answerable,
        "outputs": {name: array.tolist() for name, array in answer.outputs.items()},
        "error_bar": error_bar(answer.epsilon),
        "decisions": decision_facts(answer),
    }


def read_inputs(path: Path) -> Inputs:
    """Arrays from .npy (one), .npz (by name) or .json (an object by name, or one nested list).

    Raises:
        InputError: missing, of another kind, or unreadable.
    """
    try:
        match path.suffix:
            case ".npy" | ".npz":
                return _read_arrays(path)
            case ".json":
                document = json.loads(path.read_text())
                return document if isinstance(document, dict) else [document]
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    raise InputError(f"{path} is neither .npy, .npz nor .json")


def _read_arrays(path: Path) -> Inputs:
    """What a file of NumPy's holds, whatever its name says: one array, or arrays by name."""
    with path.open("rb") as file:  # opened here: NumPy leaves files it cannot read open
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return [loaded]
        with loaded as arrays:
            return dict(arrays)
