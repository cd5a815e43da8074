"""The operator's own server: one application of several parts, for this machine and nobody else.

Responsible for who is let in: a name that could be anybody's (DNS rebinding) and a page of another
site are refused, whatever the part. Every answer has the headers of `look.secure`. Knows no part.

    part = Part([web.get("/metrics", metrics)])
    private_application([part], hosts=allowed_hosts("127.0.0.1"))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler

from oracle.web.look import Look, secure
from oracle.web.problems import Problem

_READING = ("GET", "HEAD")
_OWN_SITE = ("same-origin", "none")


@dataclass(frozen=True, slots=True)
class Part:
    """Some routes, and what ends with them (their streams, so that the server can close)."""

    routes: Sequence[web.AbstractRouteDef]
    close: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """By which names the server may be asked for.

    Attributes:
        names: in lower case, besides `localhost` and the loopback addresses.
        any_address: whether any IP address will do: of a server that listens on all of them. An
            address, unlike a name, cannot be made to lead elsewhere.
    """

    names: Collection[str] = ()
    any_address: bool = False

    def allow(self, host: str) -> bool:
        """Whether this Host header may be answered."""
        name = _name_of(host)
        if name == "localhost" or name in self.names:
            return True
        try:
            found = ip_address(name)
        except ValueError:
            return False
        return found.is_loopback or self.any_address


def allowed_hosts(host: str, more: Sequence[str] = ()) -> AllowedHosts:
    """What follows from the address that is listened on, and more names that lead there."""
    try:
        everywhere = ip_address(host).is_unspecified
    except ValueError:
        everywhere = False
    return AllowedHosts(frozenset(one.lower() for one in (host, *more)), everywhere)


def private_application(parts: Sequence[Part], *, hosts: AllowedHosts) -> web.Application:
    """The parts, behind one guard."""
    look = Look("oracle.web.look")

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        _refuse_strangers(request, hosts)
        return await handler(request)

    built = web.Application(middlewares=[look.explain, guarded], client_max_size=1 << 14)
    secure(built)
    built.add_routes(look.assets)
    for part in parts:
        built.add_routes(part.routes)
        if part.close is not None:
            built.on_shutdown.append(_closing(part.close))
    return built


def _refuse_strangers(request: web.Request, hosts: AllowedHosts) -> None:
    if not hosts.allow(request.headers.get("Host", "")):
        raise Problem(
            421,
            "this server does not answer to that host name: use the address that `oracle node "
            "status` shows, or add the name to private_names in the node's settings",
        )
    site = request.headers.get("Sec-Fetch-Site")
    if request.method in _READING:
        visits = request.headers.get("Sec-Fetch-Mode") == "navigate"
        stranger = site not in (None, *_OWN_SITE) and not visits
    elif site is not None:
        stranger = site not in _OWN_SITE
    else:  # no browser, or an old one: that says where a form was
        own = request.headers.get("Host", "")
        origin = request.headers.get("Origin")
        stranger = origin not in (None, f"http://{own}", f"https://{own}")
    if stranger:
        raise Problem(403, "asked for by a page of another site")


def _closing(close: Callable[[], Awaitable[None]]) -> Callable[[web.Application], Awaitable[None]]:
    async def closed(_application: web.Application) -> None:
        await close()

    return closed


def _name_of(host: str) -> str:
    """The name in a Host header, without its port and without an address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, port = host.rpartition(":")
    return (name if port.isdigit() else host).lower()
