"""A websocket that says when to look: rings for each new block, and is never believed.

Everything is read over HTTP at the usual pace; a ring only brings the next look forward. So a
socket that is silent, dropped, behind or lying costs no more than the wait for the next poll.
Responsible for subscribing again after a drop, and for noticing a socket that has gone deaf.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from oracle.chain.rpc_policy import Notice
from oracle.chain.wire import to_int
from oracle.core.redaction import masked
from oracle.errors import ConfigurationError

# It logs what is sent, the address with its key among it.
_silent = logging.getLogger("oracle.doorbell.websockets")
_silent.disabled = True


@dataclass(frozen=True, slots=True)
class DoorbellPolicy:
    """How a socket is kept alive.

    Attributes:
        deaf_seconds: silent for so long while polling sees new blocks: it is opened anew.
        timeout_seconds: for opening it, and for each answer to a question.
        first_pause_seconds: before the second try; doubles with each that fails.
        longest_pause_seconds: where the doubling ends.
    """

    deaf_seconds: float = 15.0
    timeout_seconds: float = 10.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0


class _Unfit(Exception):
    """The socket is of no use, in words without secrets."""


class Doorbell:
    """Listens at one websocket endpoint.

    Attributes:
        address: the masked address.
        heads: blocks that were announced.
        openings: how often the socket was opened and subscribed.
    """

    def __init__(
        self,
        url: str,
        chain_id: int,
        ring: Callable[[], None],
        seen: Callable[[], int | None],
        notice: Notice,
        policy: DoorbellPolicy | None = None,
    ) -> None:
        """
        Args:
            ring: called for each announced block.
            seen: the last block that polling has seen.
            notice: told of what changes.
        """
        self.address = masked(url)
        if urlsplit(url).scheme not in ("ws", "wss") or self.address.startswith("<"):
            raise ConfigurationError(
                f"{self.address} is not a websocket endpoint",
                hint="one looks like ws://127.0.0.1:8545",
            )
        self.heads = 0
        self.openings = 0
        self._url = url
        self._chain_id = chain_id
        self._ring = ring
        self._seen = seen
        self._notice = notice
        self._policy = policy or DoorbellPolicy()
        self._pause = 0.0
        self._told: str | None = None

    async def run(self) -> None:
        """Listens until it is cancelled."""
        while True:
            try:
                await self._listen()
                trouble = "the socket was closed"
            except _Unfit as error:
                trouble = str(error)
            except TimeoutError:
                trouble = "no reply"
            except InvalidStatus as error:
                trouble = f"answered HTTP {error.response.status_code}"
            except (WebSocketException, OSError, ValueError) as error:
                # Their texts may quote the address.
                trouble = type(error).__name__
            if trouble != self._told:
                self._notice("warning", self.address, f"doorbell: {trouble}; polling goes on")
                self._told = trouble
            longer = max(self._policy.first_pause_seconds, 2 * self._pause)
            self._pause = min(self._policy.longest_pause_seconds, longer)
            await asyncio.sleep(self._pause)

    async def _listen(self) -> None:
        async with connect(
            self._url,
            open_timeout=self._policy.timeout_seconds,
            close_timeout=1.0,
            max_size=1 << 20,
            proxy=None,  # as the HTTP endpoints
            logger=_silent,
        ) as socket:
            chain_id = to_int(str(await self._ask(socket, 1, "eth_chainId", [])))
            if chain_id != self._chain_id:
                raise _Unfit(f"serves chain {chain_id}, not chain {self._chain_id}")
            await self._ask(socket, 2, "eth_subscribe", ["newHeads"])
            self.openings += 1
            # What was announced meanwhile was heard by nobody.
            self._ring()
            heard = self._seen()
            while True:
                try:
                    message = await asyncio.wait_for(socket.recv(), self._policy.deaf_seconds)
                except TimeoutError:
                    seen = self._seen()
                    if seen is not None and (heard is None or seen > heard):
                        raise _Unfit(f"deaf: silent while block {seen} came") from None
                    continue
                number = _head_number(message)
                if number is None:
                    continue
                heard = max(number, heard or 0)
                self.heads += 1
                self._pause = 0.0
                if self._told is not None:
                    self._notice("info", self.address, "doorbell: rings again")
                    self._told = None
                self._ring()

    async def _ask(
        self, socket: ClientConnection, number: int, method: str, parameters: list[object]
    ) -> object:
        asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        async with asyncio.timeout(self._policy.timeout_seconds):
            await socket.send(json.dumps(asked))
            while True:
                answer: Any = json.loads(await socket.recv())
                if isinstance(answer, dict) and answer.get("id") == number:
                    break
        if "result" not in answer:
            raise _Unfit(f"refuses {method}")
        return answer["result"]


def _head_number(message: str | bytes) -> int | None:
    """The number of an announced block; None for anything else."""
    try:
        return to_int(json.loads(message)["params"]["result"]["number"])
    except (ValueError, KeyError, TypeError):
        return None
