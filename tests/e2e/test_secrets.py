"""No secret is ever shown: by a node that works, by one that fails, wherever one may look."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable

import aiohttp
import pytest
import structlog

from oracle.cli.context import start_logging
from oracle.core.job import JobState
from oracle.settings import Settings
from tests.support.canaries import Canaries
from tests.support.fault_proxy import (
    EVERY,
    http_status,
    lose_reply,
    refuse,
)
from tests.support.fickle_signer import Mood
from tests.support.guarded import (
    Guarded,
    got,
    guarded_world,
    health,
    in_turn,
    node,
    pages,
    spoken,
    spoken_on,
    trouble,
    verbs,
)
from tests.support.logging_reset import reset_logging
from tests.support.watching import free_port
from tests.support.world import World, digit, until


@pytest.fixture
async def guarded(world: World) -> AsyncIterator[Guarded]:
    async with guarded_world(world) as opened:
        yield opened


# ---- a node that works, and one that fails


async def test_a_node_shows_no_secret_whatever_goes_wrong(guarded: Guarded) -> None:
    world, proxy, canaries = guarded.world, guarded.proxy, guarded.canaries
    async with node(guarded):
        made = await world.ask()
        guarded.asked.append(made.id)
        await world.until_settled(made.id)
        assert await pages(guarded) > 6
        identity = "0x" + made.id.hex()
        await verbs(
            guarded, ("job", "show", identity), ("job", "explain", identity), ("show", identity)
        )

        secrets = canaries.secrets
        echo = f"no access for {secrets['rpcquery']}: {guarded.settings['rpc_url']}"
        echoes = f"{echo} ({secrets['rpcpath']}, {secrets['rpcuser']}, {secrets['rpcpassword']})"
        proxy.on(
            EVERY,
            in_turn(http_status(503), http_status(401), lose_reply, refuse(-32000, echoes)),
        )
        await until(lambda: health(guarded, 503))
        await pages(guarded)
        await verbs(guarded)
        proxy.heal()

        async def calm() -> bool:
            return not await trouble(guarded, "infer")

        for mood in (Mood.AWAY, Mood.REFUSES, Mood.LIES):
            guarded.signer.mood = mood
            made = await world.ask(digit(len(guarded.asked)))
            guarded.asked.append(made.id)
            await until(lambda: trouble(guarded, "infer"))
            await pages(guarded)
            await spoken(guarded, "node", "status")
            guarded.look_below(world.settings.data_dir)
            guarded.signer.mood = Mood.WELL
            await world.until_job(made.id, JobState.ANSWERED, JobState.SETTLED)
            await until(calm)  # else the next one's trouble would be this one's
        await until(lambda: health(guarded, 200))


async def test_a_log_for_machines_shows_no_secret_either(guarded: Guarded) -> None:
    echo = f"no access: {guarded.settings['rpc_url']} {guarded.canaries.secrets['rpcquery']}"
    async with node(guarded, log_format="json", log_level="info") as running:
        made = await guarded.world.ask()
        await guarded.world.until_settled(made.id)
        guarded.proxy.on(EVERY, refuse(-32000, echo))
        await until(lambda: health(guarded, 503))
        guarded.proxy.heal()
        await until(lambda: health(guarded, 200))
    lines = [json.loads(line) for line in running.log_file.read_text().splitlines()]
    assert {"event", "level", "timestamp"} <= set.intersection(*map(set, lines))
    states = [
        line["state"]
        for line in lines
        if line["event"] == "job" and line["request"] == "0x" + made.id[:5].hex()
    ]
    # One line for each change of state, and none twice. A standing offer accepts at once.
    assert states == ["accepted", "computed", "answering", "answered", "settling", "settled"]


# ---- a watcher


async def test_a_watcher_shows_no_secret(guarded: Guarded) -> None:
    world, canaries = guarded.world, guarded.canaries
    keystore = guarded.settings["sender_keystore"]
    port = free_port()
    echo = f"no access: {guarded.settings['rpc_url']} {canaries.secrets['rpcpath']}"
    data_dir = world.settings.data_dir
    running = spoken_on(
        guarded,
        guarded.write(watcher_port=port, log_format="json"),
        *("watch", "--keystore", str(keystore)),
    )
    guarded.private = f"http://127.0.0.1:{port}"

    async def listens() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            return await health(guarded, 200)
        return False

    await until(listens)
    guarded.proxy.on(EVERY, in_turn(http_status(503), refuse(-32000, echo)))
    await until(lambda: health(guarded, 503))
    async with aiohttp.ClientSession() as session:
        for path in ("/metrics", "/health", "/ready"):
            guarded.look(path, (await got(session, guarded.private + path))[0])
    guarded.proxy.heal()
    await until(lambda: health(guarded, 200))
    assert await running.stop() == 0
    guarded.look("the log", running.log_file.read_bytes())
    guarded.look_below(data_dir)


# ---- what this test sees


@pytest.mark.parametrize("form", ["as it is", "in capitals", "in hexadecimal", "in base64"])
def test_a_secret_is_seen_in_whatever_form(form: str) -> None:
    canaries = Canaries()
    secret = canaries.new("form")
    shown = {
        "as it is": f"a {secret} b",
        "in capitals": secret.upper(),
        "in hexadecimal": f"0x{secret.encode().hex()}",
        "in base64": base64.b64encode(f"user:{secret}".encode()).decode(),
    }
    assert canaries.seen_in(shown[form]) == ["form"]
    assert canaries.seen_in("a canary b") == []


# ---- a fault of ours


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_in_the_log_shows_neither_variables_nor_addresses(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    canaries = Canaries()
    secret = canaries.new("local")
    url = f"https://u:{canaries.new('inurl')}@host/{canaries.new('inpath')}?k={canaries.new('q')}"
    start_logging(Settings.model_construct(log_format=log_format, rpc_url=url))
    try:
        _fail(secret, url)
    except RuntimeError:
        structlog.get_logger("oracle.test").critical("a fault", exc_info=True)
    finally:
        reset_logging()
    said = capsys.readouterr().err
    assert "RuntimeError" in said
    assert "_fail" in said
    assert not canaries.seen_in(said)


def _fail(secret: str, url: str) -> Awaitable[None]:
    assert secret
    raise RuntimeError(f"cannot read {url}")
