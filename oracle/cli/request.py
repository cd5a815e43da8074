"""`oracle request`, `show`, `cancel`, `reclaim`, `notice`: a requester's verbs, and anybody's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.watcher import watch_request
from oracle.chain.court_contract import CourtBinding
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings, start_logging
from oracle.cli.court_story import read_court_story
from oracle.cli.inputs import InputFile, Rounding, allowed_rounding, not_swapped, read_inputs
from oracle.cli.interrupted import told_if_interrupted
from oracle.cli.narrative import decision_facts, tell
from oracle.cli.output import Output
from oracle.cli.request_id import RequestId
from oracle.cli.silence import told_if_silent
from oracle.cli.spoken import spoken
from oracle.cli.verify import named, target
from oracle.cli.verify import write as write_receipt
from oracle.client import InferenceAnswer, OracleClient, Waiting
from oracle.client.client import Requested
from oracle.core.case import Case, CaseState
from oracle.core.model import error_bar
from oracle.core.request import RequestState
from oracle.core.types import address, format_opg, opg
from oracle.errors import ChainRefused, CheatFound, InputError, NoAnswer
from oracle.verify import evidence
from oracle.watcher.policy import WatcherPolicy

_NO_OUTPUT = "no: the model gives no output for this input, or none that fits a transaction"


def register(app: typer.Typer) -> None:
    """Adds the verbs to the root of the command line."""
    verb(app, "request")(request)
    verb(app, "show")(show)
    verb(app, "cancel")(cancel)
    verb(app, "reclaim")(reclaim)
    verb(app, "notice")(notice)


async def request(
    model: Annotated[str, typer.Argument(help="Name or id.")],
    input_file: InputFile,
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
    rounding: Rounding = False,
    as_json: Json = False,
) -> None:
    """Ask a model, and with --wait print its answer."""
    # Where the answer is voided, what became of it and its money is the result; the exit code tells
    # it from an answer.
    out = output(as_json)
    not_swapped(model, input_file)
    wait_answered = wait_answered or save is not None
    if save is not None and not save.absolute().parent.is_dir():
        raise InputError(f"there is no folder {save.absolute().parent}")
    async with (
        told_if_interrupted(out) as under_way,
        connection.client(settings(), "requester") as client,
    ):
        under_way.client = client
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
                allow_rounding=allowed_rounding(rounding),
            )
        under_way.request_id = made.id
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
        end = 0
        if watch:
            out.say(f"watching the answer to 0x{made.id.hex()}")
            with out.progress("watching"):
                case = await watched(made)
            facts["watched"] = "no answer" if case is None else case.state.value
            if case is not None:
                facts["found"] = case.reason
                end = CheatFound.exit_code if case.state is CaseState.MISSED else 0
        voided = await voided_facts(client, made.id)
        if not voided and (wait or wait_answered):
            # Said before the wait: whatever ends it, the fee is found again by the id.
            out.say(f"waiting for the answer to 0x{made.id.hex()}")
            seconds = time_to_answer + made.request.window + 60
            with out.progress("waiting") as show_now:
                found, voided = await _waited(
                    client, made.id, final=wait, seconds=seconds, out=out, show_now=show_now
                )
            if found is not None:
                facts |= answer_facts(found, as_json=as_json)
            if found is not None and save is not None:
                write_receipt(await evidence.save(client, made.id), save)
                facts["receipt"] = str(save)
        out.result(spoken(facts | voided, as_json=as_json))
        if voided or not (wait or wait_answered):
            out.say(f"follow it with: oracle show 0x{made.id.hex()}")
    if voided or end:
        raise typer.Exit(NoAnswer.exit_code if voided else end)


async def _waited(
    client: OracleClient,
    request_id: bytes,
    *,
    final: bool,
    seconds: float,
    out: Output,
    show_now: Callable[[str], None],
) -> tuple[InferenceAnswer | None, dict[str, Any]]:
    """The answer, or what became of it and its money where it was voided. Raises NoAnswer."""
    give_up_at = time.monotonic() + seconds
    try:
        async with told_if_silent(client, request_id, out.say) as listen:

            def look(now: Waiting) -> None:
                show_now(str(now))
                listen(now)

            answer = await client.wait(request_id, until="answered", timeout=seconds, look=look)
        if final and not answer.final:
            said = in_short(answer)
            answer = await client.wait(
                request_id,
                timeout=give_up_at - time.monotonic(),
                look=lambda now: show_now(f"{said}; {now}"),
            )
        return answer, {}
    except NoAnswer:
        voided = await voided_facts(client, request_id)
        if not voided:
            raise
        return None, voided


async def voided_facts(client: OracleClient, request_id: bytes) -> dict[str, Any]:
    """Who convicted an answer and whose its bond is now; nothing where it was not voided."""
    if (await client.state(request_id)).state is not RequestState.SLASHED:
        return {}
    court = await read_court_story(client, await client.story(request_id))
    if court.conviction is None:  # logs that are behind the state
        return {"voided": True, "next": f"oracle show 0x{request_id.hex()}"}
    me = client.sender.address
    binding = CourtBinding(client.rpc, client.deployment.court)
    claimable = await client.staking.claimable(me) + await binding.claimable(me)
    facts: dict[str, Any] = {
        "voided": True,
        "conviction": court.conviction.facts(),
        "claimable_opg": format_opg(claimable),
    }
    if claimable:
        facts["next"] = "oracle account claim"
    return facts


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
    request: Annotated[str, typer.Argument(help="A request's id, or a saved receipt's file.")],
    as_json: Json = False,
) -> None:
    """Tell the whole story of a request: terms, transactions, answer, receipt and money."""
    named = await target(request)
    async with connection.client(settings()) as client:
        facts, text = await tell(client, named if isinstance(named, bytes) else named.request_id)
    output(as_json).result(facts, text)


async def cancel(
    request_id: RequestId,
    as_json: Json = False,
) -> None:
    """Take back a request that nobody has accepted."""
    key = await named(request_id)
    async with connection.client(settings(), "requester") as client:
        sent = await client.cancel(key)
    output(as_json).result({"cancelled": key, "transaction": sent.hash})


async def reclaim(
    request_id: RequestId,
    as_json: Json = False,
) -> None:
    """Get the fee back of a request whose deadline passed; a silent operator is slashed by it."""
    key = await named(request_id)
    async with connection.client(settings(), connection.anybody(settings())) as client:
        sent = await client.reclaim(key)
        story = await client.story(key)
        requester = story.created.request.requester
        share = await client.staking.claimable(requester)
        mine = requester == client.sender.address
    facts: dict[str, Any] = {
        "request": key,
        "state": story.state.name.lower(),
        "refund_opg": format_opg(story.refund),
        "refund_to": f"the account of {requester} at the oracle",
        "claimable_opg": format_opg(share),
        "transaction": sent.hash,
    }
    if share and mine:
        facts["next"] = "oracle account claim"
    output(as_json).result(facts)


async def notice(
    request_id: RequestId,
    all_gas: Annotated[
        bool,
        typer.Option(
            "--all-gas",
            help="Through hearAgain of the consumer (an InferenceConsumer), with as much gas as it "
            "takes rather than what was promised.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Deliver a notice again that a request's consumer could not be told."""
    key = await named(request_id)
    async with connection.client(settings(), "requester") as client:
        told = await client.deliver_notice(key, all_gas=all_gas)
    output(as_json).result(
        {
            "request": key,
            "consumer": told.consumer,
            "notice": told.notice,
            "delivered": told.delivered,
            "transaction": told.sent.hash,
        }
    )
    if not told.delivered:
        raise typer.Exit(ChainRefused.exit_code)


def in_short(answer: InferenceAnswer) -> str:
    """Who answered, and the first output that is a single value, on part of a line."""
    single = [array.item() for array in answer.outputs.values() if array.size == 1]
    said = f": {single[0]}" if single else "" if answer.answerable else ": no output"
    return f"answered by {answer.operator[:6]}…{said}"


def answer_facts(answer: InferenceAnswer, *, as_json: bool) -> dict[str, Any]:
    """An answer by name, for scripts or for people, who read in the outputs that there are some."""
    facts = {
        "answered_by": answer.operator,
        "final": answer.final,
        "backing": answer.backing,
        "answerable": answer.answerable,
        "outputs": {name: array.tolist() for name, array in answer.outputs.items()},
        "error_bar": error_bar(answer.epsilon),
        "decisions": decision_facts(answer),
    }
    if not as_json and answer.answerable:
        del facts["answerable"]
    elif not as_json:
        del facts["error_bar"]  # of nothing
        facts["answerable"] = _NO_OUTPUT
    return facts
