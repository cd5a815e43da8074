"""Connections that lead to public addresses only, for whoever follows a stranger's URL on request.

What an operator announced may name this machine or its neighbours. The address is looked at where
the connection is made, so neither a name that resolves to a private one, nor one that resolves
differently the second time, gets there. Knows no URL.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

import aiohttp

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses as a network that has none reaches them (RFC 6052)."""


class PrivateAddress(OSError):
    """The connection would lead to an address that is not public."""


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the internet may mean."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None) or found
    if isinstance(found, ipaddress.IPv6Address) and found in _TRANSLATED:
        inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
    return inner.is_global and not inner.is_multicast


def connector(*, public_only: bool) -> aiohttp.TCPConnector | None:
    """For a session; None, the usual one, where every address is allowed."""
    if not public_only:
        return None
    return aiohttp.TCPConnector(socket_factory=_socket, use_dns_cache=False)


def _socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    family, kind, protocol, _, place = info
    if not is_public(str(place[0])):
        text = f"{place[0]} is not a public address, and no other is asked here"
        raise PrivateAddress(errno.EACCES, text)
    return socket.socket(family=family, type=kind, proto=protocol)
