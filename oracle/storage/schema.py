"""Whose database this is: its schema's version, and the chain, oracle and operator it belongs to.

Refuses to touch a database of another version, of another program or of another chain.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, insert, inspect, select, update

from oracle.errors import WrongChain, WrongSchema
from oracle.ports.jobs import DatabaseIdentity
from oracle.storage.tables import SCHEMA_VERSION, identity, metadata


def prepare_schema(connection: Connection) -> None:
    """Creates the tables in an empty database, or checks that they are of this version.

    Raises:
        WrongSchema: tables of another version, or of another program.
    """
    present = set(inspect(connection).get_table_names())
    if not present:
        metadata.create_all(connection)
        row = {"id": 1, "schema_version": SCHEMA_VERSION, "database_id": secrets.token_bytes(16)}
        connection.execute(insert(identity), row)
        return
    if identity.name not in present:
        raise WrongSchema(
            f"the database is in use by another program: it has a table {min(present)!r}",
            hint="give the worker a database of its own",
        )
    version = connection.scalar(select(identity.c.schema_version))
    if version != SCHEMA_VERSION:
        newer = version is not None and version > SCHEMA_VERSION
        raise WrongSchema(
            f"the database has schema version {version}, this program needs {SCHEMA_VERSION}",
            hint="update this program to the version that wrote the database"
            if newer
            else "let the program version that wrote it finish its open jobs, then move the"
            " database away and start with a new one: it is read again from the chain",
        )


def bind(connection: Connection, wanted: DatabaseIdentity) -> None:
    """Makes the database belong to a chain, an oracle and an operator, once and for good.

    Raises:
        WrongChain: it belongs to another.
    """
    columns = {
        "chain_id": wanted.chain_id,
        "oracle": wanted.oracle,
        "operator": wanted.operator,
        "genesis_hash": wanted.genesis_hash,
    }
    bound = connection.execute(select(identity)).mappings().one()
    if bound["chain_id"] is None:
        connection.execute(update(identity).values(columns))
        return
    differences = [
        f"its {name.replace('_', ' ')} is {_shown(bound[name])}, not {_shown(value)}"
        for name, value in columns.items()
        if bound[name] != value
    ]
    if differences:
        restarted = len(differences) == 1 and bound["genesis_hash"] != wanted.genesis_hash
        raise WrongChain(
            "the database belongs elsewhere: " + "; ".join(differences),
            hint="the chain was started anew: move the database away and start with a new one"
            if restarted
            else "give this worker a database of its own, or point it at the right chain",
        )


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
