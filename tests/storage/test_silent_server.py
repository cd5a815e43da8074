"""A server that is reached and says nothing more: what it is asked fails in time, and recovers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import make_url, text

from oracle.errors import StorageError
from oracle.storage import open_storage, postgresql
from oracle.storage.database import Database
from tests.support.postgresql import PostgresqlServer

from .building import SteppingClock, block

AT_ONCE = 10.0
"""Seconds; what has no limit takes longer, and what has takes two or three."""


class Silent:
    """A way to a server that takes what is sent, and passes it on only while `passing` is set."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.passing = asyncio.Event()
        self.passing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            for one in (writer, far_writer):
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                await self.passing.wait()
                writer.write(data)
                await writer.drain()
            writer.close()


@pytest.fixture
async def silent(postgresql: PostgresqlServer) -> AsyncIterator[tuple[Silent, str]]:
    """Such a way, and the URL of a database at its end."""
    url = make_url(postgresql.new_database())
    way = Silent(f"{url.query['host']}/.s.PGSQL.5432")
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield way, f"postgresql+psycopg://postgres@127.0.0.1:{port}/{url.database}"
    way.passing.set()
    server.close()
    postgresql.drop(url.render_as_string())


async def test_an_answer_that_never_comes_is_not_waited_for(
    silent: tuple[Silent, str], clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "SILENCE_SECONDS", 1.0)
    monkeypatch.setitem(postgresql.NETWORK, "connect_timeout", 2)
    way, url = silent
    storage = await asyncio.to_thread(open_storage, url, clock)
    try:
        await storage.jobs.ingest(block(11), [], [])
        way.passing.clear()
        begun = time.monotonic()
        async with asyncio.timeout(AT_ONCE):
            for _ in range(2):  # the second finds no connection, and gets none
                with pytest.raises(StorageError, match=r"no answer for 1 s|timeout expired"):
                    await storage.jobs.ingest(block(12), [], [])
        assert time.monotonic() - begun < AT_ONCE
        way.passing.set()
        assert await storage.jobs.cursor() == block(11)
        await storage.jobs.ingest(block(12), [], [])
    finally:
        way.passing.set()
        await storage.close()


async def test_a_server_that_does_not_greet_is_given_up(
    silent: tuple[Silent, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql.NETWORK, "connect_timeout", 2)
    way, url = silent
    way.passing.clear()
    database = Database(url)
    try:
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(StorageError, match="timeout expired"):
                await database.read(lambda connection: connection.execute(text("SELECT 1")))
    finally:
        way.passing.set()
        await database.close()


async def test_a_statement_that_takes_too_long_is_ended_and_the_connection_goes_on(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "STATEMENT_SECONDS", 0.5)
    database = Database(postgresql_url)
    backend = text("SELECT pg_backend_pid()")
    try:
        before = await database.read(lambda connection: connection.scalar(backend))
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(StorageError, match="a statement took too long") as caught:
                await database.run(
                    lambda connection: connection.execute(text("SELECT pg_sleep(60)"))
                )
        assert caught.value.hint is not None
        assert await database.read(lambda connection: connection.scalar(backend)) == before
    finally:
        await database.close()


async def test_a_transaction_that_its_worker_has_left_holds_no_lock_for_long(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker behind a cut network: its server has not heard that it is gone."""
    monkeypatch.setattr(postgresql, "STATEMENT_SECONDS", 1.0)
    gone, other = Database(postgresql_url), Database(postgresql_url)
    try:
        left = asyncio.create_task(gone.run(lambda _connection: time.sleep(4.0)))
        await asyncio.sleep(0.5)
        async with asyncio.timeout(AT_ONCE):
            assert await other.run(lambda connection: connection.scalar(text("SELECT 1"))) == 1
        assert not left.done()
        with pytest.raises(StorageError, match="stood still for too long"):
            await left
    finally:
        await gone.close()
        await other.close()


def test_the_network_is_watched_as_the_url_says(postgresql_url: str) -> None:
    def parameters(url: str) -> dict[str, str]:
        engine = postgresql.engine(make_url(url), 1.0)
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            found: dict[str, str] = driver.info.get_parameters()
        engine.dispose()
        return found

    found = parameters(postgresql_url)
    assert int(found["connect_timeout"]) == postgresql.CONNECT_SECONDS
    assert int(found["tcp_user_timeout"]) > 0
    assert int(found["keepalives_idle"]) > 0
    assert parameters(f"{postgresql_url}&connect_timeout=60")["connect_timeout"] == "60"


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    url = postgresql.new_database()
    yield url
    postgresql.drop(url)
