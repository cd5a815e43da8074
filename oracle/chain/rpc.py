"""One HTTP endpoint of one chain: connects, asks, and translates whatever goes wrong.

Responsible for time limits, the check of the chain id, and for keeping the secrets of an endpoint's
address (a user, a password, a key in the path or query) out of every message. It uses web3's
provider without its formatting layers, which hide error codes and cost more than the request. Knows
nothing of contracts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from oracle.chain.wire import block_tag, to_block_or_none, to_bytes, to_hex, to_int
from oracle.core.event import BlockRef
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ConfigurationError, WrongChain

DEFAULT_TIMEOUT_SECONDS: Final = 10.0

T = TypeVar("T")

# web3 logs endpoints in full, even at INFO.
logging.getLogger("web3").setLevel(logging.WARNING)


class RpcRefusal(ChainUnreachable):
    """The node answered, with a JSON-RPC error."""

    def __init__(self, method: str, code: int, reason: str, error_data: object) -> None:
        super().__init__(f"the node refused {method}: {reason} (code {code})")
        self.code = code
        self.reason = reason
        self.error_data = error_data


class HttpRefusal(ChainUnreachable):
    """Something in front of the node answered, with an HTTP error."""

    def __init__(self, endpoint: str, status: int) -> None:
        hint = None
        if status == 429:
            hint = "the endpoint limits the rate of requests: wait, or use another one"
        elif status in (401, 403):
            hint = "check the key in the endpoint's URL"
        super().__init__(f"{endpoint} answered HTTP {status}", hint=hint)
        self.status = status


def masked(url: str) -> str:
    """An endpoint's address without user, password, path, query and fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "<malformed url>"
    if not host:
        return "<malformed url>"
    shown = f"[{host}]" if ":" in host else host
    suffix = f":{port}" if port else ""
    secret = parts.username or parts.password or parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{shown}{suffix}{'/…' if secret else ''}"


class Rpc:
    """A connection to one endpoint. Made by `connect`; must be closed.

    Attributes:
        endpoint: the masked address, fit for messages.
        chain_id: as the endpoint stated it when connected.
    """

    def __init__(self, url: str, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        if urlsplit(url).scheme not in ("http", "https") or masked(url).startswith("<"):
            raise ConfigurationError(
                f"{masked(url)} is not an HTTP endpoint",
                hint="an endpoint looks like http://127.0.0.1:8545",
            )
        self.endpoint = masked(url)
        self.chain_id = 0
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._opening = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[asyncio.Future[Any]] = set()
        # No silent retries: a raw transaction whose reply is lost is looked up, not sent again.
        self._provider = AsyncHTTPProvider(
            url,
            request_kwargs={"timeout": self._timeout},
            exception_retry_configuration=None,
        )
        self.web3: AsyncWeb3[AsyncHTTPProvider] = AsyncWeb3(self._provider)

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        chain_id: int | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> Rpc:
        """Connects and checks the chain id.

        Raises:
            ConfigurationError: not an HTTP URL.
            ChainUnreachable: no answer.
            WrongChain: the endpoint serves another chain than `chain_id`.
        """
        rpc = cls(url, timeout_seconds=timeout_seconds)
        try:
            rpc.chain_id = await rpc.verify_chain(chain_id)
        except BaseException:
            await rpc.close()
            raise
        return rpc

    async def __aenter__(self) -> Rpc:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Rpc({self.endpoint!r}, chain_id={self.chain_id})"

    async def close(self) -> None:
        """Closes the connection; may be called twice."""
        await self._provider.disconnect()
        if self._session is not None:
            await self._session.close()
            self._session = None
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def verify_chain(self, expected: int | None = None) -> int:
        """Asks for the chain id again. Raises WrongChain where it is not `expected`."""
        actual = await self.request_as(to_int, "eth_chainId")
        if expected is not None and actual != expected:
            raise WrongChain(
                f"{self.endpoint} serves chain {actual}, not chain {expected}",
                hint="point the RPC URL at the chain of the deployment file",
            )
        return actual

    async def request(
        self, method: str, parameters: Sequence[object] = (), *, repeatable: bool = True
    ) -> Any:
        """Asks the node one thing and returns the raw JSON result.

        Args:
            repeatable: whether to ask once more where a kept connection turns out to be closed.

        Raises:
            RpcRefusal: the node answered with an error.
            HttpRefusal: an HTTP error.
            ChainUnreachable: no answer, or none that can be read.
        """
        response, failure = await self._exchange(method, parameters)
        if failure == _DROPPED and repeatable:
            response, failure = await self._exchange(method, parameters)
        # Raised outside of any handler, so that no traceback shows aiohttp's message with the URL.
        if isinstance(failure, int):
            raise HttpRefusal(self.endpoint, failure)
        if failure is not None:
            raise ChainUnreachable(
                f"no answer to {method} from {self.endpoint}: {failure}",
                hint="check that the node runs and that the RPC URL is right",
            )
        if not isinstance(response, dict):
            raise ChainUnreachable(f"{self.endpoint} answered {method} with something else")
        error = response.get("error")
        if error is not None:
            raise self._refusal(method, error)
        if "result" not in response:
            raise ChainUnreachable(f"{self.endpoint} answered {method} without a result")
        return response["result"]

    async def request_as(
        self, read: Callable[[Any], T], method: str, parameters: Sequence[object] = ()
    ) -> T:
        """As `request`, with the result read by one of `wire`'s functions."""
        result = await self.request(method, parameters)
        try:
            return read(result)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ChainUnreachable(
                f"{self.endpoint} answered {method} with something else: {error!r}",
                hint="use another endpoint; this one is faulty",
            ) from error

    async def _exchange(
        self, method: str, parameters: Sequence[object]
    ) -> tuple[Any, str | int | None]:
        """The response, or what went wrong: an HTTP status, or words that hold no secret."""
        try:
            await self._ensure_session()
            return await self._uninterrupted(method, parameters), None
        except aiohttp.ClientResponseError as error:
            return None, error.status
        except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
            return None, _DROPPED
        except TimeoutError:
            return None, f"no reply within {self._timeout.total:g} s"
        except aiohttp.ClientConnectorError as error:
            return None, error.os_error.strerror or "no connection"
        except (
            aiohttp.ClientError,
            OSError,
            Web3Exception,
            ValueError,
            RecursionError,
        ) as error:
            return None, type(error).__name__

    async def _uninterrupted(self, method: str, parameters: Sequence[object]) -> Any:
        """Asks; a caller that is cancelled leaves the request to end by itself.

        web3 takes a lock of the whole process in a thread for each request, and one that is
        cancelled meanwhile would keep it for good: nothing in this process could ask any more.
        """
        asked = asyncio.ensure_future(
            self._provider.make_request(RPCEndpoint(method), list(parameters))
        )
        self._under_way.add(asked)
        asked.add_done_callback(self._under_way.discard)
        return await asyncio.shield(asked)

    async def _ensure_session(self) -> None:
        """Gives web3 a session that keeps connections; its own opens one for every request."""
        # One at a time: who overtakes the hand-over would have web3 open one that nobody closes.
        async with self._opening:
            if self._session is None or self._session.closed:
                self._session = aiohttp.ClientSession()
                await self._provider.cache_async_session(self._session)

    def _refusal(self, method: str, error: object) -> RpcRefusal:
        if not isinstance(error, dict):
            error = {"message": str(error)}
        reason = str(error.get("message", "no reason given")).replace(self._url, self.endpoint)
        code = error.get("code")
        return RpcRefusal(method, code if isinstance(code, int) else 0, reason, error.get("data"))

    # ---- what every reader needs

    async def block(self, block: int | str) -> BlockRef | None:
        """The canonical block at a height or under a name ("latest"), or None."""
        return await self.request_as(
            to_block_or_none, "eth_getBlockByNumber", [block_tag(block), False]
        )

    async def latest(self) -> BlockRef:
        """The head."""
        head = await self.block("latest")
        if head is None:
            raise ChainUnreachable(f"{self.endpoint} has no blocks")
        return head

    async def code(self, account: Address) -> bytes:
        """A contract's runtime code; empty where there is none."""
        return await self.request_as(to_bytes, "eth_getCode", [account, "latest"])

    async def call(
        self,
        to: Address,
        calldata: bytes,
        *,
        sender: Address | None = None,
        block: int | str = "latest",
    ) -> bytes:
        """An eth_call's return data, not decoded; a revert raises RpcRefusal."""
        message = {"to": to, "data": to_hex(calldata)}
        if sender is not None:
            message["from"] = sender
        return await self.request_as(to_bytes, "eth_call", [message, block_tag(block)])


_DROPPED: Final = "the connection was dropped"
