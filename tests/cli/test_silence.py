"""An endpoint that an operator announced is asked as any stranger's: no private address of ours."""

from __future__ import annotations

from typing import Any

import pytest

from oracle.cli.silence import _ask, _no_answer
from oracle.core.types import ZERO_ADDRESS
from tests.support.watching import free_port


async def test_a_private_address_is_asked_only_on_a_chain_of_this_machine() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert await _no_answer(url, public_only=True) is None, "nothing is known"
    assert "nobody listens there" in (await _no_answer(url, public_only=False) or "")


@pytest.mark.parametrize("private", [False, True])
async def test_whether_it_is_asked_is_the_clients_to_say(private: bool) -> None:
    """As the settings told it, wherever the endpoint is that is in use at this moment."""

    class Client:
        asks_private = private

        async def endpoint(self, operator: str) -> str:
            return f"http://127.0.0.1:{free_port()}"

        async def deadline(self, request_id: bytes) -> int:
            return 1

    said: list[Any] = []
    await _ask(Client(), bytes(32), ZERO_ADDRESS, said.append)  # type: ignore[arg-type]
    assert len(said) == private
