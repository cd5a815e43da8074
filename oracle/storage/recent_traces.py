"""Looks at a node's traces from outside, while it runs or not. Takes no lock and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from oracle.errors import StorageError
from oracle.ports.publishing import PublishedTrace
from oracle.program.instruction import Program, Trace
from oracle.storage import trace_index
from oracle.storage.trace_files import load_trace, trace_path


def recent_traces(folder: Path, most: int) -> Sequence[PublishedTrace]:
    """The latest traces of a data directory, newest first; none where there never were any.

    Raises:
        StorageError: the index cannot be read.
    """
    index = (folder / "index.sqlite").resolve()
    if not index.is_file():
        return ()
    engine = create_engine(f"sqlite:///file:{index}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            return trace_index.recent(connection, most)
    except SQLAlchemyError as error:
        raise StorageError(f"the traces in {folder} cannot be read: {error}") from error
    finally:
        engine.dispose()


def load_recent(folder: Path, found: PublishedTrace, program: Program) -> Trace:
    """One of them. Raises StorageError where the file is gone or has another size."""
    return load_trace(trace_path(folder, found.root), program, found.rows)
