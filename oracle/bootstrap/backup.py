"""The job table of an installation, copied away and put back.

Responsible for putting a copy back only where no node runs. What else a backup needs is in
docs/operations.md; nothing but the job table is copied here.
"""

from __future__ import annotations

from pathlib import Path

from oracle.settings import Settings
from oracle.storage.backup import Copy, back_up, put_back
from oracle.storage.claim import claimed


def save(settings: Settings, target: Path) -> Copy:
    """Copies the job table, whether a node runs or not. Raises StorageError, ConfigurationError."""
    return back_up(settings.database_url, target)


def restore(settings: Settings, backup: Path) -> tuple[Copy, list[Path]]:
    """Puts a copy in the place of the job table; also returns where the old files are.

    Raises:
        StorageError: a node runs here, or the copy is no good.
        ConfigurationError: the database is a server's.
    """
    with claimed(settings.data_dir):
        return put_back(settings.database_url, backup)
