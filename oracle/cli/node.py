"""`oracle node`: the operator's worker."""

from __future__ import annotations

import time
from typing import Any

import psutil
import typer

from oracle.bootstrap.connection import client
from oracle.bootstrap.node import SystemClock, run_node
from oracle.bootstrap.readiness import lacks, signer_gas
from oracle.cli.command import verb
from oracle.cli.context import Json, operator_address, output, settings, start_logging
from oracle.core.types import address, format_opg
from oracle.errors import ChainUnreachable, NotFound
from oracle.inference.model_library import ModelLibrary
from oracle.ports import Heartbeat
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.storage import open_storage

app = typer.Typer(help="The operator's worker.")

_SILENT_SECONDS = 10.0


@verb(app, "run")
async def run() -> None:
    """Serve requests. SIGTERM or Ctrl-C finishes what is begun and ends; twice, ends at once."""
    configured = settings()
    start_logging(configured)
    await run_node(configured, address(operator_address(configured)))


@verb(app, "stop")
def stop(as_json: Json = False) -> None:
    """Ask the node that runs here to finish what is begun and end."""
    configured = settings()
    heartbeat = HeartbeatFile(configured.data_dir / "node.json").read()
    process = _process(heartbeat)
    if heartbeat is None or process is None:
        raise NotFound("no node runs here")
    process.terminate()
    gone, _ = psutil.wait_procs([process], timeout=configured.drain_seconds + 5)
    output(as_json).result({"process": heartbeat.process_id, "ended": bool(gone)})


def _process(heartbeat: Heartbeat | None) -> psutil.Process | None:
    """The node's process, if it lives and its number was not given to another."""
    if heartbeat is None:
        return None
    try:
        process = psutil.Process(heartbeat.process_id)
        return process if process.create_time() <= heartbeat.started_at else None
    except psutil.Error:
        return None


@verb(app, "status")
async def status(as_json: Json = False) -> None:
    """Say how the node here is doing: alive, in step with the chain, and what it has earned."""
    configured = settings()
    operator = address(operator_address(configured))
    heartbeat = HeartbeatFile(configured.data_dir / "node.json").read()
    if heartbeat is None:
        raise NotFound("no node has run here", hint="start one: `oracle node run`")
    silent = time.time() - heartbeat.beat_at
    storage = open_storage(configured.database_url, SystemClock())
    try:
        totals = await storage.jobs.totals()
    finally:
        await storage.close()
    facts: dict[str, Any] = {
        "operator": operator,
        "alive": silent < _SILENT_SECONDS,
        "last_heartbeat_seconds_ago": round(silent, 1),
        "process": heartbeat.process_id,
        "draining": heartbeat.draining,
        "head_block": heartbeat.head_block,
        "cursor_block": heartbeat.cursor_block,
        "serving": heartbeat.serving,
        "trouble": dict(heartbeat.trouble) or "none",
        "jobs": {state.value: count for state, count in totals.jobs.items() if count},
        "fees_earned_opg": format_opg(totals.fees_earned),
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
                "missing": [one.as_facts() for one in missing],
                "stake_opg": format_opg(chain.stake),
                "locked_opg": format_opg(chain.locked),
                "free_opg": format_opg(chain.free),
            }
    except ChainUnreachable as error:  # what the node itself says is wanted now more than ever
        facts["chain"] = error.message
    output(as_json).result(facts)
    if not facts["alive"]:
        raise typer.Exit(1)
