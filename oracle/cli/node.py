"""`oracle node`: the operator's worker."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.connection import client
from oracle.bootstrap.doctor import Doctor
from oracle.bootstrap.finding import CheckStatus
from oracle.bootstrap.node import run_node
from oracle.bootstrap.readiness import lacks, signer_gas
from oracle.bootstrap.reset import reset
from oracle.bootstrap.running import START, process_ended, process_of
from oracle.chain.deployment import Deployment
from oracle.chain.revert_words import moment
from oracle.cli import node_backup
from oracle.cli.command import verb
from oracle.cli.context import Json, operator_address, output, settings, start_logging
from oracle.cli.spoken import spoken
from oracle.core.dispute import RevealDemand
from oracle.core.types import address, format_opg
from oracle.errors import ChainUnreachable, ConfigurationError, NotFound, StorageError
from oracle.inference.model_library import ModelLibrary
from oracle.ports.health import EndpointReport, Heartbeat
from oracle.ports.jobs import Disputable
from oracle.ports.leases import Lease
from oracle.service.node import ENDED_BY
from oracle.settings import Settings
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.storage import Storage, live_leases, open_storage

app = typer.Typer(help="The operator's worker.")
node_backup.register(app)

_SILENT_SECONDS = 10.0


@verb(app, "run")
async def run(
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Serve the operator's page and figures.")
    ] = True,
) -> None:
    """Serve requests. SIGTERM or Ctrl-C finishes what is begun and ends; twice, ends at once."""

    def read() -> Settings:
        found = settings()
        return found if page else found.model_copy(update={"private": False})

    configured = read()
    start_logging(configured)
    await run_node(configured, address(operator_address(configured)), settings_again=read)


@verb(app, "stop")
async def stop(as_json: Json = False) -> None:
    """Have the node that runs here finish what is begun and end; wait for it, 65 s by default.

    That is drain_seconds and 5 s more. Where it still runs then, `ended` says so.
    """
    configured = settings()
    heartbeat = HeartbeatFile(configured.data_dir / "node.json").read()
    process = process_of(heartbeat)
    if heartbeat is None or process is None:
        raise NotFound("no node runs here", hint="`oracle node status`")
    process.terminate()
    ended = await asyncio.to_thread(process_ended, process, configured.drain_seconds + 5)
    facts: dict[str, Any] = {"process": heartbeat.process_id, "ended": ended}
    try:
        storage = open_storage(configured.database_url, SystemClock())
        try:
            left = await storage.jobs.disputable(time.time())
        finally:
            await storage.close()
    except StorageError as error:  # that it ended is true all the same
        facts["answers_not_final"] = f"cannot be read: {error.message}"
    else:
        if left is not None:
            facts |= _open_windows(left, as_json=as_json)
    output(as_json).result(facts)


def _open_windows(left: Disputable, *, as_json: bool) -> dict[str, Any]:
    """What a node that is down can lose."""
    if as_json:
        return {
            "answers_not_final": left.answers,
            "final_at": left.until,
            "at_stake_opg": format_opg(left.bonds),
        }
    are = "answer is" if left.answers == 1 else "answers are"
    return {
        "answers_not_final": f"{left.answers} {are} not final until {moment(left.until)}, "
        f"{format_opg(left.bonds)} OPG at stake: a demand until then needs this node"
    }


def _demand(demand: RevealDemand) -> dict[str, Any]:
    """What must be shown, and until when."""
    leaves = demand.leaves
    return {
        "request": demand.request_id,
        "row": leaves.row,
        "tensor": leaves.tensor,
        "leaves": f"{leaves.first} to {leaves.first + leaves.count - 1}",
        "demander": demand.demander,
        "deadline": moment(demand.deadline),
        "seconds_left": round(demand.deadline - time.time()),
    }


def _lease(lease: Lease) -> dict[str, Any]:
    return {
        "leads": lease.name,
        "worker": lease.holder,
        "seconds_left": round(lease.seconds_left, 1),
    }


@verb(app, "reload")
def reload(as_json: Json = False) -> None:
    """Have the node that runs here read its keys again, as a SIGHUP does; its log says how."""
    process = process_of(HeartbeatFile(settings().data_dir / "node.json").read())
    if process is None:
        raise NotFound("no node runs here")
    process.send_signal(signal.SIGHUP)
    output(as_json).result({"process": process.pid, "told": True})


def _endpoint(report: EndpointReport) -> str:
    """One endpoint in one line."""
    why = f" ({report['why']})" if report["why"] else ""
    lag = f", {report['lag']} blocks behind" if report["lag"] else ""
    return (
        f"{report['address']}: {report['state']}{why}{lag}, {report['calls_last_minute']} calls/min"
    )


def _running(heartbeat: Heartbeat, *, as_json: bool) -> dict[str, Any]:
    silent = time.time() - heartbeat.beat_at
    return {
        "alive": silent < _SILENT_SECONDS,
        "last_heartbeat_seconds_ago": round(silent, 1),
        "process": heartbeat.process_id,
        "standing": heartbeat.standing,
        "draining": heartbeat.draining,
        "head_block": heartbeat.head_block,
        "cursor_block": heartbeat.cursor_block,
        "serving": heartbeat.serving,
        "private" if as_json else "operator's page": heartbeat.private,
        "endpoints": [one if as_json else _endpoint(one) for one in heartbeat.endpoints],
        "trouble": dict(heartbeat.trouble),
        "settings_waiting": list(heartbeat.settings_waiting),
    }


def _ended(heartbeat: Heartbeat) -> dict[str, Any]:
    """How and when it ended, and what to do; nothing of what was so while it ran."""
    when = moment(int(heartbeat.beat_at))
    if not heartbeat.ended:
        how = f"killed, or its machine went down: it was last heard of at {when}"
    elif why := heartbeat.trouble.get(ENDED_BY):
        how = f"ended by an error at {when}: {why}"
    else:
        how = f"ended in order at {when}"
    return {"alive": False, "node": how, "next": f"start it: {START}"}


async def _paid_views(configured: Settings, storage: Storage) -> dict[str, Any]:
    """What payers of views owe and what was collected of it; nothing before there is a voucher."""
    deployed = Deployment.load_if_there(configured.deployment_path)
    if deployed is None or deployed.credit is None:
        return {}
    totals = await storage.vouchers.totals(deployed.credit)
    if not totals.owed and not totals.collected:
        return {}
    return {
        "views_owed_opg": format_opg(totals.owed),
        "views_collected_opg": format_opg(totals.collected),
    }


@verb(app, "status")
async def status(as_json: Json = False) -> None:
    """Say how the node here is doing: alive, in step with the chain, and what it has earned."""
    configured = settings()
    operator = address(operator_address(configured))
    heartbeat = HeartbeatFile(configured.data_dir / "node.json").read()
    if heartbeat is None:
        raise NotFound("no node has run here", hint=f"start one: {START}")
    storage = open_storage(configured.database_url, SystemClock())
    try:
        totals = await storage.jobs.totals()
        demands = await storage.demands.pending()
        leases = await live_leases(storage)
        left = await storage.jobs.disputable(time.time())
        paid_views = await _paid_views(configured, storage)
    finally:
        await storage.close()
    facts: dict[str, Any] = {"operator": operator}
    if process_of(heartbeat) is None:
        facts |= _ended(heartbeat)
        if left is not None:
            facts |= _open_windows(left, as_json=as_json)
    else:
        facts |= _running(heartbeat, as_json=as_json)
    facts |= {
        "workers": [_lease(one) for one in leases],
        "demands": [_demand(one) for one in demands],
        "jobs": {state.value: count for state, count in totals.jobs.items() if count},
        "fees_earned_opg": format_opg(totals.fees_earned),
        **paid_views,
        "gas_spent_wei": totals.gas_spent_wei,
        "transactions": totals.transactions,
        "reverted": totals.reverted,
    }
    try:
        async with client(configured) as opened:
            chain = await opened.staking.status(operator)
            gas = await signer_gas(opened.rpc, chain.signer)
            library = ModelLibrary(configured.model_store)
            missing = await lacks(opened.rpc, opened.deployment, operator, chain.signer, library)
            facts |= {
                "signer": chain.signer,
                "signer_balance_wei": gas.balance_wei,
                "signer_balance_pays_for_answers": gas.answers,
                "signer_balance_pays_for_reveals": gas.reveals,
                "missing": [one.as_facts() for one in missing],
                "stake_opg": format_opg(chain.stake),
                "locked_opg": format_opg(chain.locked),
                "free_opg": format_opg(chain.free),
            }
    except (ChainUnreachable, ConfigurationError) as error:
        # What the node itself says is wanted now more than ever, and so is why it ended.
        facts["chain"] = error.message
    output(as_json).result(spoken(facts, as_json=as_json))
    if not facts["alive"]:
        raise typer.Exit(1)


_MARKS = {
    CheckStatus.GOOD: "✓",
    CheckStatus.WARNING: "!",
    CheckStatus.BAD: "✗",
    CheckStatus.SKIPPED: "-",
}


@verb(app, "doctor")
async def doctor(as_json: Json = False) -> None:
    """Make every check of a node's start, and say of each that fails what to do about it."""
    configured, out = settings(), output(as_json)
    start_logging(configured.model_copy(update={"log_level": "error"}))  # it says what it finds
    found = []
    async for one in Doctor(configured).examine():
        found.append(one)
        if not as_json:
            out.say(f"{_MARKS[one.status]} {one.check}: {one.found}")
            if one.mend and one.status is not CheckStatus.GOOD:
                out.say(f"    try: {one.mend}")
    healthy = not any(one.status is CheckStatus.BAD for one in found)
    if as_json:
        out.result({"healthy": healthy, "checks": [asdict(one) for one in found]})
    if not healthy:
        raise typer.Exit(1)


@verb(app, "reset")
async def forget(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Forget a local chain: removes the job table and the traces, and nothing else."""
    configured = settings()
    if not yes:
        typer.confirm(f"Remove the job table and the traces in {configured.data_dir}?", abort=True)
    output(as_json).result({"removed": [str(path) for path in await reset(configured)]})
