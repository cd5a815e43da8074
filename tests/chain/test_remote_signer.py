"""A key behind HTTP: what it signs is checked, whatever else it does is an error with a name."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from coincurve import PrivateKey
from eth_keys.constants import SECPK1_N
from eth_utils.crypto import keccak

from oracle.chain.keystore import CHEAP_ITERATIONS, LocalSigner, create_keystore
from oracle.chain.remote_signer import RemoteSigner, read_authorization
from oracle.core.receipt import recover
from oracle.core.signing import signature_over, signed_transaction
from oracle.core.transaction import Call, Fees
from oracle.core.types import address
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.errors import (
    ConfigurationError,
    KeystoreError,
    SignerRefused,
    SignerUnreachable,
    WrongSigner,
)
from tests.support.signer_server import SignerServer

ME = signer_of(Person.SIGNER)
PUBLIC = PrivateKey(secret_of(Person.SIGNER)).public_key
PREIMAGE = b"\x19\x01" + b"\x07" * 64
PASSWORD = "correct horse"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def keystore(folder: Path, person: Person) -> Path:
    path = folder / f"{person.name}.json"
    create_keystore(path, PASSWORD, secret=secret_of(person), iterations=CHEAP_ITERATIONS)
    return path


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SignerServer]:
    """A real one, in its own process, with two keys."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    files = [keystore(tmp_path, one) for one in (Person.SIGNER, Person.SECOND_SIGNER)]
    made = SignerServer(password, *files)
    await made.start()
    yield made
    made.kill()


@asynccontextmanager
async def remote(url: str, seconds: float = 5.0, **options: str) -> AsyncIterator[RemoteSigner]:
    signer = RemoteSigner(url, ME.address, timeout_seconds=seconds, **options)
    try:
        yield signer
    finally:
        await signer.close()


@asynccontextmanager
async def answering(sign: Handler, keys: object = None) -> AsyncIterator[str]:
    """A server that lists our key, or something else, and signs as it likes."""
    listed = ["0x" + PUBLIC.format(compressed=False)[1:].hex()] if keys is None else keys

    async def public_keys(request: web.Request) -> web.Response:
        return web.json_response(listed)

    application = web.Application()
    application.router.add_post("/api/v1/eth1/sign/{identifier}", sign)
    application.router.add_get("/api/v1/eth1/publicKeys", public_keys)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def says(text: str, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return handler


async def test_it_signs_as_a_local_key_does(server: SignerServer) -> None:
    async with remote(server.url) as signer:
        assert await signature_over(signer, PREIMAGE) == await ME.sign(PREIMAGE)
        call = Call(address("0x" + "a1" * 20), b"\x01", 21_000)
        terms = {"chain_id": 1, "nonce": 3, "call": call, "fees": Fees(7, 2)}
        assert await signed_transaction(signer, **terms) == await signed_transaction(ME, **terms)  # type: ignore[arg-type]
        many = [bytes([number]) * 66 for number in range(100)]
        signed = await asyncio.gather(*(signature_over(signer, one) for one in many))
        assert [recover(keccak(one), its) for one, its in zip(many, signed, strict=True)] == (
            [ME.address] * 100
        )


async def test_a_server_that_went_away_and_came_back_is_asked_again(server: SignerServer) -> None:
    async with remote(server.url, 0.5) as signer:
        first = await signature_over(signer, PREIMAGE)
        server.kill()
        with pytest.raises(SignerUnreachable, match=r"127\.0\.0\.1") as away:
            await signature_over(signer, PREIMAGE)
        assert "goes on by itself" in (away.value.hint or "")
        await server.start()
        assert await signature_over(signer, PREIMAGE) == first
        server.signal(signal.SIGSTOP)
        with pytest.raises(SignerUnreachable, match=r"no reply within 0\.5 s"):
            await signature_over(signer, PREIMAGE)
        server.signal(signal.SIGCONT)
        assert await signature_over(signer, PREIMAGE) == first


async def test_a_key_that_is_taken_away_and_given_back(
    server: SignerServer, tmp_path: Path
) -> None:
    async with remote(server.url) as signer:
        await signature_over(signer, PREIMAGE)
        server.kill()
        await server.start(keystores=(tmp_path / "SECOND_SIGNER.json",))
        for _ in range(2):
            with pytest.raises(SignerRefused, match=r"404|not among them"):
                await signature_over(signer, PREIMAGE)
        server.kill()
        await server.start()
        assert await signature_over(signer, PREIMAGE)


async def test_a_server_that_signs_with_another_key_is_caught(server: SignerServer) -> None:
    server.kill()
    await server.start("--liar")
    async with remote(server.url) as signer:
        other = signer_of(Person.SECOND_SIGNER).address
        with pytest.raises(WrongSigner, match=f"with the key of {other}") as caught:
            await signature_over(signer, PREIMAGE)
        assert "nothing was saved or sent" in (caught.value.hint or "")


async def test_credentials(server: SignerServer, tmp_path: Path) -> None:
    server.kill()
    await server.start("--authorization", "Bearer a-token")
    async with remote(server.url, authorization="Bearer a-token") as signer:
        assert await signature_over(signer, PREIMAGE)
    for options in ({}, {"authorization": "Bearer another"}):
        async with remote(server.url, **options) as signer:
            with pytest.raises(SignerRefused, match="HTTP 401") as refused:
                await signature_over(signer, PREIMAGE)
            assert "signer_auth_file" in (refused.value.hint or "")
            assert "another" not in str(refused.value)
    server.kill()
    await server.start("--authorization", "Basic bWU6c3dvcmRmaXNo")
    async with remote(server.url.replace("//", "//me:swordfish@")) as signer:
        assert await signature_over(signer, PREIMAGE)
        assert "swordfish" not in repr(signer)
    async with remote(server.url.replace("//", "//me:tunafish@") + "/path") as signer:
        with pytest.raises(SignerRefused) as wrong:
            await signature_over(signer, PREIMAGE)
    assert "fish" not in str(wrong.value)
    assert "path" not in str(wrong.value)


def test_credentials_files(tmp_path: Path) -> None:
    file = tmp_path / "auth"
    with pytest.raises(KeystoreError, match="there is no signer_auth_file"):
        read_authorization(file)
    file.touch(0o600)
    for text in ("", "token", "Bearer ", "Basic nobody", "Digest a:b", "Bearer a\tb"):
        file.write_text(text)
        with pytest.raises(KeystoreError, match="holds no credentials") as refused:
            read_authorization(file)
        assert not text or text not in str(refused.value)
    file.write_text("Bearer a-token\nsecond line")
    assert read_authorization(file) == "Bearer a-token"
    file.write_text("Basic me:sword fish")
    assert read_authorization(file) == "Basic bWU6c3dvcmQgZmlzaA=="
    file.chmod(0o644)
    with pytest.raises(KeystoreError, match="open to others"):
        read_authorization(file)


def high_s() -> str:
    """A signature of ours in its other form, which recovers to the same key."""
    low = ME.sign_digest(keccak(PREIMAGE))
    s = SECPK1_N - int.from_bytes(low[32:64], "big")
    return "0x" + (low[:32] + s.to_bytes(32, "big") + bytes([55 - low[64]])).hex()


def own(preimage: bytes = PREIMAGE) -> str:
    return "0x" + ME.sign_digest(keccak(preimage)).hex()


@pytest.mark.parametrize(
    "text", [high_s(), own(b"something else"), "0x" + "00" * 64 + "1b", own()[:-2] + "25"]
)
async def test_what_is_no_signature_of_ours(text: str) -> None:
    async with answering(says(text)) as url, remote(url) as signer:
        with pytest.raises(WrongSigner):
            await signature_over(signer, PREIMAGE)


@pytest.mark.parametrize(
    "text", ["", "no", "0x", own()[:-2], own() + "00", own()[2:], "{}", own() + " " * 2_000]
)
async def test_what_is_no_signature_at_all(text: str) -> None:
    async with answering(says(text)) as url, remote(url) as signer:
        with pytest.raises(SignerUnreachable):
            await signature_over(signer, PREIMAGE)


@pytest.mark.parametrize("text", [own() + "\n", f'"{own()}"', own()[:-2] + "%02x"])
async def test_other_forms_of_a_good_one(text: str) -> None:
    """A quoted one, one with a line's end, one with a bare recovery bit."""
    if "%" in text:
        text %= int(own()[-2:], 16) - 27
    async with answering(says(text)) as url, remote(url) as signer:
        assert await signature_over(signer, PREIMAGE) == await ME.sign(PREIMAGE)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, SignerUnreachable),
        (401, SignerRefused),
        (403, SignerRefused),
        (404, SignerRefused),
        (500, SignerUnreachable),
        (503, SignerUnreachable),
        (204, SignerUnreachable),
    ],
)
async def test_http_errors(status: int, kind: type[Exception]) -> None:
    async with answering(says("a secret of the server", status)) as url, remote(url) as signer:
        with pytest.raises(kind, match=f"HTTP {status}") as refused:
            await signature_over(signer, PREIMAGE)
        assert "secret" not in str(refused.value)


async def test_a_redirection_is_not_followed() -> None:
    followed = []

    async def elsewhere(request: web.Request) -> web.Response:
        followed.append(request.headers.get("Authorization"))
        return web.Response(text=own())

    async with answering(elsewhere) as other:

        async def away(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": other + request.path})

        async with answering(away) as url, remote(url, authorization="Bearer mine") as signer:
            with pytest.raises(SignerUnreachable, match="HTTP 307"):
                await signature_over(signer, PREIMAGE)
    assert followed == []


async def test_bodies_without_end_and_without_text() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"0" * 65_536)
        except OSError:
            return response

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            try:
                await response.write(b"0")
            except OSError:
                return response
            await asyncio.sleep(0.05)

    async def binary(request: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xfe\xfd")

    async def dropped(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    for handler, said in (
        (flood, "more than 1024 bytes"),
        (trickle, "no reply within"),
        (binary, "no text"),
        (dropped, "no signature from"),
    ):
        async with answering(handler) as url, remote(url, 0.5) as signer:
            with pytest.raises(SignerUnreachable, match=said):
                await signature_over(signer, PREIMAGE)


@pytest.mark.parametrize(
    "keys", [{"keys": []}, "text", [1, None, "0x", "zz" * 64, "0x" + "00" * 64], [], 7]
)
async def test_lists_without_our_key(keys: object) -> None:
    async with answering(says(own()), keys) as url, remote(url) as signer:
        with pytest.raises((SignerRefused, SignerUnreachable)):
            await signer.find()


@pytest.mark.parametrize("compressed", [True, False])
async def test_other_forms_of_a_public_key(compressed: bool) -> None:
    key = PUBLIC.format(compressed=compressed).hex()
    async with answering(says(own()), [key]) as url, remote(url) as signer:
        assert await signature_over(signer, PREIMAGE)


@pytest.mark.parametrize("url", ["", "127.0.0.1:9000", "ftp://host", "http://", "http://[::1"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="signer_url"):
        RemoteSigner(url, ME.address)


class Liar(LocalSigner):
    """A signer in this process is believed no more than one elsewhere."""

    __slots__ = ()

    async def sign(self, preimage: bytes) -> bytes:
        return signer_of(Person.WATCHER).sign_digest(keccak(preimage))


async def test_whoever_signs_is_checked() -> None:
    with pytest.raises(WrongSigner, match="with the key of"):
        await signature_over(Liar(secret_of(Person.SIGNER)), PREIMAGE)
