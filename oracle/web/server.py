"""Listens: one application on one address, started and stopped with the node.

Port 0 takes any free port; `address` says which. Knows nothing of what is served.
"""

from __future__ import annotations

from types import TracebackType

from aiohttp import web

from oracle.errors import ConfigurationError

_KEEPALIVE_SECONDS = 15.0
_SHUTDOWN_SECONDS = 5.0
_BACKLOG = 128


class Server:
    """An application on an address. An async context manager."""

    def __init__(
        self, application: web.Application, *, host: str, port: int, named: str = "serve"
    ) -> None:
        """
        Args:
            named: how the settings of host and port begin.
        """
        self._runner = web.AppRunner(
            application,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            max_line_size=4_096,
            max_field_size=4_096,
        )
        self._host = host
        self._port = port
        self._named = named

    @property
    def address(self) -> str | None:
        """`http://host:port` as it listens, or None."""
        for host, port, *_ in self._runner.addresses:
            return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return None

    async def start(self) -> None:
        """Raises ConfigurationError where the address cannot be had."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"cannot serve on {self._host}:{self._port}: {error.strerror}",
                hint=f"set {self._named}_host and {self._named}_port to an address that is free",
            ) from error

    async def stop(self) -> None:
        """Lets what is being sent end, for a few seconds."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
