"""The operator's own server around a real node: where it listens, for whom, and that it ends."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import aiohttp
import pytest

from oracle.bootstrap.node import open_node
from oracle.core.job import JobState
from oracle.errors import ConfigurationError
from oracle.service.infer import Infer
from oracle.storage.heartbeat import HeartbeatFile
from tests.support.world import World, until


async def test_a_node_says_where_its_page_is_and_takes_it_along(world: World) -> None:
    async with aiohttp.ClientSession() as http:
        async with world.node() as node:
            url = node.private
            assert url is not None
            assert url.startswith("http://127.0.0.1:")
            assert node.heartbeat().private == url

            async def written() -> bool:
                beat = HeartbeatFile(world.settings.data_dir / "node.json").read()
                return beat is not None and beat.private == url

            assert await until(written)
            async with http.get(url) as page:
                assert page.status == 200
                assert "All is well" in await page.text()
            async with http.get(url, headers={"Host": "evil.example"}) as page:
                assert page.status == 421
            watching = await http.get(f"{url}/events")
            assert watching.status == 200
        # A watcher did not keep the node from ending.
        watching.close()
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(url)


async def test_a_node_without_a_page_listens_for_traces_alone(world: World) -> None:
    async with world.node(private=False) as node:
        assert node.private is None
        assert node.heartbeat().serving is not None


async def test_an_address_that_is_taken_is_named_with_its_setting(world: World) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        settings = world.settings.model_copy(update={"private_port": stranger.getsockname()[1]})
        with pytest.raises(ConfigurationError, match="cannot serve on") as refused:
            async with open_node(settings, world.operator):
                pass
    assert "private_port" in (refused.value.hint or "")


async def test_a_job_that_failed_is_tried_again_from_its_page(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would be tried again by itself, before one has asked for it.
    monkeypatch.setattr("oracle.service.infer._SLOWEST_RETRY_SECONDS", 3_600.0)
    monkeypatch.setitem(Infer.__init__.__kwdefaults__, "retry_seconds", 3_600.0)
    token = tmp_path / "token"
    token.write_text("correct horse battery staple")
    os.chmod(token, 0o600)
    asked = await world.ask()
    # The model cannot be loaded while its file is away, and is given up for it.
    library = world.settings.model_store
    target = library.readlink()
    library.unlink()
    async with world.node(private_token_file=token) as node, aiohttp.ClientSession() as http:
        assert node.private is not None
        job = await world.until_job(asked.id, JobState.FAILED, JobState.ACCEPTED)

        async def troubled() -> bool:
            found = await world.job(asked.id)
            return found is not None and (found.state is JobState.FAILED or bool(found.attempts))

        assert await until(troubled)
        library.symlink_to(target)
        page = f"{node.private}/jobs/0x{asked.id.hex()}"
        async with http.post(f"{page}/retry", data={"token": token.read_text()}) as done:
            assert done.status == 200, await done.text()
            assert "accepted" in await done.text()
        (settled,) = await world.until_settled(asked.id)
        assert settled.fee_earned == job.request.fee
        async with http.get(node.private) as shown:
            text = await shown.text()
        assert "oracle job explain" in text or "oracle node doctor" in text
