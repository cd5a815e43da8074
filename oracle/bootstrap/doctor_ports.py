"""The doctor's look at ports: those that a node would take, or those that a running one has.

Responsible for telling settings that changed since a node started from what it serves. Keeps none.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from oracle.bootstrap.finding import CheckStatus, Finding
from oracle.ports.health import Heartbeat
from oracle.settings import Settings
from oracle.web import Server


async def ports_for(wanted: Settings) -> Finding:
    """Listens on what a node would listen on, both at once, for a moment.

    Raises:
        ConfigurationError: one of them cannot be had.
    """
    named = [("serve", wanted.serve_host, wanted.serve_port)]
    if wanted.private:
        named.append(("private", wanted.private_host, wanted.private_port))
    async with AsyncExitStack() as listening:
        for name, host, port in named:
            server = Server(web.Application(), host=host, port=port, named=name)
            await listening.enter_async_context(server)
    told = (
        f"{name}_port {f'{port} is free' if port else 'takes a free one'}"
        for name, _, port in named
    )
    return Finding("ports", CheckStatus.GOOD, ", ".join(told))


def ports_of(beat: Heartbeat, wanted: Settings) -> Finding:
    """Whether a node that runs serves where settings say, as they are by now."""
    named = [("serve", beat.serving, wanted.serve_host, wanted.serve_port)]
    if wanted.private and (beat.private or wanted.private_port):  # none may be by --no-page
        named.append(("private", beat.private, wanted.private_host, wanted.private_port))
    other = [
        f"{name}_host and {name}_port are {host}:{port or 'a free one'}, and it "
        + (f"serves {served}" if served else "serves none")
        for name, served, host, port in named
        if served is None or not _is_at(served, host, port)
    ]
    if not wanted.private and beat.private is not None:
        other.append(f"private is off, and it serves {beat.private}")
    if not other:
        return Finding("ports", CheckStatus.GOOD, "the node that runs here has them")
    return Finding(
        "ports",
        CheckStatus.WARNING,
        f"the node that runs here has others: {'; '.join(other)}",
        "`oracle node stop`, and start it again: it takes settings that changed since (or "
        "--no-page) at its next start",
    )


def _is_at(served: str, host: str, port: int) -> bool:
    """Whether a URL that is listened on is a host and port of the settings, 0 for any."""
    at = urlsplit(served)
    if port not in (0, at.port):
        return False
    try:
        return ip_address(host) == ip_address(at.hostname or "")
    except ValueError:  # a name: what it leads to is the system's affair
        return True
