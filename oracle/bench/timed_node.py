"""A node like any other whose ports are timed; run as a module, in a process of its own.

Writes what was spent next to its heartbeat when it ends. What it adds is two clock readings a call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from pathlib import Path

from oracle.bench.timing import Ledger
from oracle.bootstrap.node import run_node
from oracle.core.types import address
from oracle.errors import ConfigurationError
from oracle.settings import Settings
from oracle.settings_file import load

MODULE = "oracle.bench.timed_node"
TIMES_FILE = "times.json"


async def run(settings: Settings) -> None:
    """Runs a node until it has drained, and writes the ledger."""
    if settings.operator is None:
        raise ConfigurationError("settings name no operator")
    ledger = Ledger()
    began = time.perf_counter()
    await run_node(settings, address(settings.operator), instrument=ledger.timed)
    facts = {
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(_cpu(resource.RUSAGE_SELF), 3),
        "inference_cpu_seconds": round(_cpu(resource.RUSAGE_CHILDREN), 3),
        "spent": ledger.as_facts(),
    }
    (settings.data_dir / TIMES_FILE).write_text(json.dumps(facts, indent=2))


def _cpu(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Reads `--config FILE` and runs."""
    parser = argparse.ArgumentParser(prog=MODULE)
    parser.add_argument("--config", type=Path, required=True)
    asyncio.run(run(load(parser.parse_args().config)))


if __name__ == "__main__":
    main()
