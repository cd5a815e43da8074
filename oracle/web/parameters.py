"""What comes with a request, checked: 32-byte roots, counts within bounds, byte ranges.

Refuses whatever is not written as it should be, and names it. Knows nothing of what is served.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from oracle.web.problems import Problem

_DIGEST = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)
LARGEST_NUMBER: Final = 2**32 - 1


def digest(request: web.Request, name: str) -> bytes:
    """A root or an id in the path; only hexadecimal digits ever reach a file name."""
    found = _DIGEST.fullmatch(request.match_info[name])
    if found is None:
        raise Problem(400, f"{name} is not 0x and 64 hexadecimal digits", parameter=name)
    return bytes.fromhex(found[1])


def numbers(request: web.Request, *names: str) -> list[int]:
    """Numbers in the query: all of these, once each, and nothing else."""
    for name in request.query:
        if name not in names:
            raise Problem(400, f"there is no parameter {name[:40]!r}", parameter=name[:40])
    return [_number(request, name) for name in names]


def byte_range(request: web.Request, size: int) -> tuple[int, int] | None:
    """The (first, past the last) byte that the Range header asks for; None for everything.

    One range is understood. As HTTP has it, a header that is no byte range is ignored, and one
    that the content cannot satisfy is refused with 416.
    """
    header = request.headers.get("Range")
    found = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise Problem(
            416,
            f"there are {size} bytes",
            parameter="Range",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, stop


def _number(request: web.Request, name: str) -> int:
    given = request.query.getall(name, [])
    if len(given) != 1:
        word = "is missing" if not given else "is given more than once"
        raise Problem(400, f"{name} {word}", parameter=name)
    if not _NUMBER.fullmatch(given[0]) or int(given[0]) > LARGEST_NUMBER:
        raise Problem(400, f"{name} is not a number from 0 to {LARGEST_NUMBER}", parameter=name)
    return int(given[0])
