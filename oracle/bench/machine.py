"""What a figure was measured on: machine, load at the start, versions of what does the work.

Reads the system only; knows nothing of what is measured.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from oracle import __version__
from oracle.devnet.anvil import find_anvil

_PACKAGES = ("web3", "aiohttp", "coincurve", "onnxruntime", "numpy", "sqlalchemy")


def machine_note() -> dict[str, Any]:
    """The machine and the versions, as JSON. Called before anything is started."""
    return {
        "cpu": _cpu_name(),
        "cores": len(psutil.Process().cpu_affinity() or ())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "anvil": _anvil_version(),
        "oracle": __version__,
        **{name: _version(name) for name in _PACKAGES},
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _anvil_version() -> str:
    said = subprocess.run(  # noqa: S603 - the anvil that the bench runs, and no shell
        [str(find_anvil()), "--version"], capture_output=True, text=True, timeout=20, check=False
    ).stdout
    return said.splitlines()[0].partition(":")[2].strip() if said else "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
