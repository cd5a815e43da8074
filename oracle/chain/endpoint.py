"""One HTTP endpoint: asks it, and translates whatever goes wrong.

Responsible for time limits, for the budget and count of calls, and for keeping the secrets of an
endpoint's address (a user, a password, a key in the path or query) out of every message. It uses
web3's provider without its formatting layers, which hide error codes and cost more than the
request. Knows neither other endpoints nor which chain it should be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from web3 import AsyncHTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from oracle.chain.call_budget import CallBudget, CallCount
from oracle.chain.refusal import NO_RPC, HttpRefusal, RpcRefusal
from oracle.core.redaction import Redaction, masked
from oracle.errors import ChainUnreachable, ConfigurationError

SEND: Final = "eth_sendRawTransaction"

# web3 logs endpoints in full, even at INFO.
logging.getLogger("web3").setLevel(logging.WARNING)


class Endpoint:
    """A connection to one endpoint; opened by the first question, and must be closed.

    Attributes:
        address: the masked address, fit for messages.
        count: what it was asked.
    """

    def __init__(self, url: str, *, timeout_seconds: float, calls_per_minute: int = 0) -> None:
        if "://" not in url:  # nothing of it is shown: it may be a key that was pasted alone
            raise ConfigurationError(
                "http:// or https:// is missing in front of an endpoint of the chain",
                hint="rpc_url, or --rpc-url, looks like http://127.0.0.1:8545",
            )
        if urlsplit(url).scheme not in ("http", "https") or masked(url).startswith("<"):
            raise ConfigurationError(
                f"{masked(url)} is not an HTTP endpoint",
                hint="an endpoint looks like http://127.0.0.1:8545",
            )
        self.address = masked(url)
        self.count = CallCount()
        self._budget = CallBudget(calls_per_minute)
        self._redaction = Redaction([url])
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

    def __repr__(self) -> str:
        return f"Endpoint({self.address!r})"

    async def close(self) -> None:
        """Closes the connection; may be called twice."""
        await self._provider.disconnect()
        if self._session is not None:
            await self._session.close()
            self._session = None
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def ask(
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
        if isinstance(failure, HttpRefusal):
            raise failure
        if failure is not None:
            raise ChainUnreachable(
                f"no answer to {method} from {self.address}: {failure}",
                hint=NO_RPC
                if failure == _NO_JSON
                else f"check that the chain's node at {self.address} runs, and that rpc_url is "
                "right",
            )
        if not isinstance(response, dict):
            raise ChainUnreachable(
                f"{self.address} answered {method} with something else", hint=NO_RPC
            )
        error = response.get("error")
        if error is not None:
            raise self._refusal(method, error)
        if "result" not in response:
            raise ChainUnreachable(f"{self.address} answered {method} without a result")
        return response["result"]

    async def _exchange(
        self, method: str, parameters: Sequence[object]
    ) -> tuple[Any, str | HttpRefusal | None]:
        """The response, or what went wrong: an HTTP error, or words that hold no secret."""
        await self._budget.take(urgent=method == SEND)
        self.count.add(method)
        try:
            await self._ensure_session()
            return await self._uninterrupted(method, parameters), None
        except aiohttp.ClientResponseError as error:
            after = error.headers.get("Retry-After") if error.headers else None
            return None, HttpRefusal(self.address, error.status, _seconds(after))
        except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
            return None, _DROPPED
        except TimeoutError:
            return None, f"no reply within {self._timeout.total:g} s"
        except aiohttp.ClientConnectorError as error:
            return None, error.os_error.strerror or "no connection"
        except JSONDecodeError:
            return None, _NO_JSON
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
        # Providers repeat the address, or the key in it.
        reason = self._redaction(str(error.get("message", "no reason given")))
        code, data = error.get("code"), error.get("data")
        shown = self._redaction(data) if isinstance(data, str) else data
        return RpcRefusal(method, code if isinstance(code, int) else 0, reason, shown)


def _seconds(retry_after: str | None) -> float | None:
    """What a Retry-After header asks for: seconds, or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(
        0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    )


_DROPPED: Final = "the connection was dropped"
_NO_JSON: Final = "what came back is not JSON"
