"""A signer without coin: what it signed and no endpoint takes is said as it is, and goes on once
there is coin."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

from structlog.testing import capture_logs

from oracle.core.job import JobState
from oracle.core.transaction import SendOutcome
from oracle.devnet.accounts import Person, signer_of
from tests.support.failures import thorough
from tests.support.world import World, until

SIGNER = signer_of(Person.SIGNER).address


@thorough
async def test_an_answer_that_nobody_can_pay_for_is_explained_and_sent_once_there_is_coin(
    world: World,
) -> None:
    await world.chain.set_balance(SIGNER, 256)
    with capture_logs() as logged:
        async with world.node(bump_seconds=0.3, resend_seconds=0.3):
            made = await world.ask()
            await world.until_job(made.id, JobState.ANSWERING)
            await until(lambda: _refusals(logged, 5))
            (sent,) = await world.storage.transactions.transactions_for(made.id)
            assert [one.outcome for one in sent.attempts] == [SendOutcome.UNFUNDED]
            assert not [one for one in logged if one["event"] == "fee bumped"]
            told = await _said(world, "job", "explain", made.id.hex())
            need = f"{SIGNER} has too little coin; send it 0."
            assert told["stands"].startswith(
                f"our answer is signed, but the endpoints refuse it: {need}"
            )
            assert "raises its fees" not in told["next"]
            assert told["at_stake"].startswith("silence costs 2 OPG of the stake in ")
            assert told["you_can"].endswith(f"of the chain's coin to {SIGNER}")
            (listed,) = (await _said(world, "job", "list"))["jobs"]
            assert listed["reason"].startswith(need)
            await world.chain.set_balance(SIGNER, 10**18)
            await world.until_settled(made.id)
    (listed,) = (await _said(world, "job", "list"))["jobs"]
    assert listed["reason"] is None


async def _refusals(logged: list[Any], count: int) -> bool:
    return [one.get("outcome") for one in logged].count("unfunded") >= count


async def _said(world: World, *verb: str) -> dict[str, Any]:
    """What a verb prints, beside the node."""
    command = [sys.executable, "-m", "oracle", "--config", str(world.write_settings()), *verb]
    run = await asyncio.to_thread(
        subprocess.run, [*command, "--json"], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found
