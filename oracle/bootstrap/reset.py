"""Forgets what a node knows of a local chain, so that it can follow one that began anew.

Responsible for refusing on any chain that is not this machine's own devnet: elsewhere the job table
is what keeps a node from signing twice. Leaves keys, settings, deployment and models.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from oracle.bootstrap import connection
from oracle.chain.rpc import Rpc
from oracle.devnet.locality import stranger
from oracle.errors import ConfigurationError, NotFound
from oracle.settings import Settings
from oracle.storage.claim import claimed


async def reset(settings: Settings) -> list[Path]:
    """Removes the job table and the traces of this data directory; returns what was removed.

    Raises:
        ConfigurationError: the chain is not a local one, or the database is a server's.
        StorageError: a node runs here.
        ChainUnreachable: the chain does not say what it is.
        NotFound: there is nothing to forget.
    """
    for url in connection.rpc_urls(settings):
        await _require_local(url, settings.rpc_timeout_seconds)
    location = settings.database_url
    if "://" in location:
        raise ConfigurationError(
            "the job table is in a database of its own, which is not this command's to empty",
            hint="drop and create it with the server's own tools",
        )
    database = Path(location)
    kept = [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]
    kept += [settings.data_dir / "node.json", settings.trace_store]
    with claimed(settings.data_dir):
        present = [path for path in kept if path.exists()]
        if not present:
            raise NotFound(f"no node has run in {settings.data_dir}")
        for path in present:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return present


async def _require_local(url: str, timeout_seconds: float) -> None:
    async with await Rpc.connect(url, timeout_seconds=timeout_seconds) as rpc:
        found, shown = await stranger(rpc, [url]), rpc.endpoint
    if found is not None:
        raise ConfigurationError(
            f"{shown} is not a local development chain: its node says {found!r}",
            hint="on a chain that others share, the job table is never thrown away: it keeps the "
            "node from signing twice; `oracle chain replay` reads a range again",
        )
