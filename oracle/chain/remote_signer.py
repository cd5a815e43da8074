"""A key in another process, or another machine: asked over HTTP in the manner of Web3Signer.

Implements `ports.Signer` by `POST /api/v1/eth1/sign/{key}`, which is handed the preimage and hashes
it itself. Responsible for finding the key of an address among the server's, for limits of time and
size, and for showing no secret of the URL or of the credentials. Believes the server nothing that
`core.signing` does not check again; knows nothing of what is signed.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import structlog
from coincurve import PublicKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from oracle.chain.keystore import read_private
from oracle.core.redaction import masked
from oracle.core.types import Address
from oracle.errors import (
    ConfigurationError,
    KeystoreError,
    SignerError,
    SignerRefused,
    SignerUnreachable,
)

_log = structlog.get_logger("oracle.signer")

DEFAULT_TIMEOUT_SECONDS: Final = 10.0
MOST_ABREAST: Final = 16
"""Connections at once; what is beyond waits for one."""

_SIGNATURE = re.compile(r"0x([0-9a-fA-F]{130})")
_MOST_SIGNATURE_BYTES = 1_024
_MOST_LIST_BYTES = 1 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class RemoteSigner:
    """One key of one server. Opens its connections when it is first asked; must be closed.

    Attributes:
        endpoint: the server's masked address, fit for messages.
    """

    def __init__(
        self,
        url: str,
        address: Address,
        *,
        authorization: str | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self.endpoint = masked(url)
        if self.endpoint.startswith("<") or urlsplit(url).scheme not in ("http", "https"):
            raise ConfigurationError(
                f"signer_url {self.endpoint} is not an HTTP address",
                hint="a remote signer's looks like http://127.0.0.1:9000",
            )
        parts = urlsplit(url)
        secret = authorization or parts.username or parts.password
        if secret and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            _log.warning("credentials go over plain HTTP", signer=self.endpoint, next="use https")
        self._url = url.rstrip("/")
        self._address = address
        self._authorization = authorization
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._identifier: str | None = None

    @property
    def address(self) -> Address:
        return self._address

    async def sign(self, preimage: bytes) -> bytes:
        """What the server gave for this preimage: 65 bytes that nobody has checked.

        Raises:
            SignerUnreachable: no answer, a slow one, too long a one, or one that is no signature.
            SignerRefused: the server has no such key, or does not let us in.
        """
        if self._identifier is None:
            await self.find()
        try:
            text = await self._ask(
                "POST",
                f"/api/v1/eth1/sign/{self._identifier}",
                _MOST_SIGNATURE_BYTES,
                {"data": "0x" + preimage.hex()},
            )
        except SignerRefused:
            self._identifier = None  # it may have been loaded anew
            raise
        found = _SIGNATURE.fullmatch(text.strip().strip('"'))
        if found is None:
            raise SignerUnreachable(f"{self.endpoint} gave something that is no signature")
        signature = bytes.fromhex(found[1])
        # Some signers give the recovery bit bare.
        return signature[:64] + bytes([signature[64] + 27 if signature[64] < 2 else signature[64]])

    async def find(self) -> None:
        """Looks for the key among the server's.

        Raises:
            SignerRefused: it is not there.
            SignerUnreachable: no answer, or none that can be read.
        """
        text = await self._ask("GET", "/api/v1/eth1/publicKeys", _MOST_LIST_BYTES)
        try:
            listed: object = json.loads(text)
        except (ValueError, RecursionError):
            listed = None
        if not isinstance(listed, list):
            raise SignerUnreachable(f"{self.endpoint} gave something that is no list of keys")
        for one in listed:
            if _address_of(one) == self._address:
                self._identifier = str(one)
                return
        raise SignerRefused(
            f"the signer at {self.endpoint} has {len(listed)} keys, that of {self._address} not "
            "among them",
            hint="load the key there, or correct signer_address",
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def __repr__(self) -> str:
        return f"RemoteSigner({self._address} at {self.endpoint})"

    async def _ask(self, method: str, path: str, most: int, body: Any = None) -> str:
        """The text of a good answer."""
        answer, failure = await self._exchange(method, path, most, body)
        # Raised outside of any handler, so that no traceback shows aiohttp's message with the URL.
        if failure is not None:
            raise failure
        return answer

    async def _exchange(
        self, method: str, path: str, most: int, body: Any
    ) -> tuple[str, SignerError | None]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(limit=MOST_ABREAST),
                headers={"Authorization": self._authorization} if self._authorization else None,
            )
        why: str
        try:
            # A redirection would carry the credentials to somebody else.
            async with self._session.request(
                method, self._url + path, json=body, allow_redirects=False
            ) as response:
                if response.status != 200:
                    return "", self._refusal(response.status)
                taken = bytearray()
                async for piece in response.content.iter_chunked(1 << 16):
                    taken += piece
                    if len(taken) > most:
                        response.close()
                        return "", SignerUnreachable(f"{self.endpoint} gave more than {most} bytes")
                return taken.decode(), None
        except TimeoutError:
            why = f"no reply within {self._timeout.total:g} s"
        except aiohttp.ClientConnectorError as error:
            why = error.os_error.strerror or "no connection"
        except UnicodeDecodeError:
            why = "it gave something that is no text"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = type(error).__name__
        return "", SignerUnreachable(
            f"no signature from {self.endpoint}: {why}",
            hint="check that the remote signer runs; what waits for it goes on by itself",
        )

    def _refusal(self, status: int) -> SignerError:
        said = f"the signer at {self.endpoint} answered HTTP {status}"
        if status in (401, 403):
            return SignerRefused(said, hint="check signer_auth_file, and who is let in there")
        if status == 404:
            return SignerRefused(said, hint=f"does it have the key of {self._address}?")
        return SignerUnreachable(said, hint="see its log; what waits for it goes on by itself")


def read_authorization(file: Path) -> str:
    """The header for a remote signer, from a file: `Bearer TOKEN` or `Basic USER:PASSWORD`.

    Raises:
        KeystoreError: it cannot be read, is open to others, or holds neither.
    """
    lines = read_private(file, "signer_auth_file", hint="write one, mode 600").splitlines()
    scheme, _, rest = (lines[0] if lines else "").partition(" ")
    rest = rest.strip()
    if scheme == "Bearer" and rest.isascii() and rest.isprintable() and rest:
        return f"Bearer {rest}"
    if scheme == "Basic" and ":" in rest:
        return "Basic " + base64.b64encode(rest.encode()).decode()
    raise KeystoreError(
        f"{file} holds no credentials", hint="its first line is Bearer TOKEN or Basic USER:PASSWORD"
    )


def _address_of(listed: object) -> Address | None:
    """Whose public key this is: 64 bytes, or 65 or 33 with their prefix; None for anything else."""
    if not isinstance(listed, str) or not re.fullmatch(r"(0x)?[0-9a-fA-F]{66,130}", listed):
        return None
    try:
        key = bytes.fromhex(listed.removeprefix("0x"))
        public = PublicKey(b"\x04" + key if len(key) == 64 else key)
    except ValueError:
        return None
    return Address(to_checksum_address(keccak(public.format(compressed=False)[1:])[-20:]))
