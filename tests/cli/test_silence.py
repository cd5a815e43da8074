"""An endpoint that an operator announced is asked as any stranger's: no private address of ours."""

from __future__ import annotations

from oracle.cli.silence import _no_answer
from tests.support.watching import free_port


async def test_a_private_address_is_asked_only_on_a_chain_of_this_machine() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert await _no_answer(url, public_only=True) is None, "nothing is known"
    assert "nobody listens there" in (await _no_answer(url, public_only=False) or "")
