"""A cheat and a watcher in processes of their own, told step by step from answer to conviction.

Knows nothing of the dApp that asked, nor of who gains what.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oracle.bootstrap.worker import Worker
from oracle.chain.court_contract import CourtBinding
from oracle.client import OracleClient
from oracle.core.event import AnswerVoided, ChainEvent, RequestAnswered
from oracle.demo.findings import Findings, is_watching, read_findings
from oracle.demo.scenario import Say, until
from oracle.errors import OracleError

WATCH: Final = ("oracle", "watch")


@dataclass(frozen=True, slots=True)
class Pursuit:
    """Both processes. `watcher_folder` is the watcher's data directory."""

    cheat: Worker
    watcher: Worker
    watcher_folder: Path

    async def clear(self) -> None:
        """Ends both."""
        await self.cheat.stop()
        await self.watcher.stop()

    async def ready(self) -> None:
        """Waits until the watcher watches: on a slow machine a window could be over before.

        Raises:
            OracleError: a process ended.
            NoAnswer: it takes more than two minutes.
        """

        async def watching() -> bool:
            self._check()
            return await is_watching(self.watcher_folder)

        await until(watching)

    async def follow(self, client: OracleClient, request_id: bytes, say: Say) -> Findings:
        """Says each step of one request as it happens; what the watcher found and paid.

        Raises:
            OracleError: a process ended.
            NoAnswer: a step takes more than two minutes.
        """

        async def look() -> Findings:
            self._check()
            return await read_findings(self.watcher_folder, request_id)

        async def has(event: type[ChainEvent]) -> bool:
            self._check()
            return (await client.story(request_id)).find(event) is not None

        async def answered() -> bool:
            return await has(RequestAnswered)

        async def accused() -> bool:
            return bool((await look()).wrong)

        async def sent() -> bool:
            found = await look()
            return found.announcement is not None or found.proof is not None

        async def proven() -> bool:
            return (await look()).proof is not None and await has(AnswerVoided)

        await until(answered)
        say("second operator: answered, and signed; the watcher fetches the trace, and judges it")
        await until(accused)
        place, numbers = (await look()).place_and_numbers
        say(f"watcher: a number that cannot be: {place}")
        say(f"watcher: {numbers}")
        await until(sent)
        court = CourtBinding(client.rpc, client.deployment.court)
        limits = await court.limits()
        if (await look()).announcement is not None:
            say(
                f"watcher: announced its proof, and means to show it {limits.announcement_age} s "
                "later: then it is paid at once, and a copy of the proof brings nobody the reward"
            )
        await until(proven)
        found = await look()
        say(f"watcher: paid {found.cost}")
        if (await court.held_share(request_id)).amount:
            why = (
                "its announcement was too young when the window closed"
                if found.announcement is not None
                else "it had no time to announce"
            )
            say(
                f"watcher: {why}, so its reward is held for {limits.priority_period} s, in case "
                "somebody announced a proof before it; the table counts it as the watcher's"
            )
        return found

    def _check(self) -> None:
        for name, one in (("second operator", self.cheat), ("watcher", self.watcher)):
            if one.process.poll() is not None:
                raise OracleError(
                    f"the {name} ended: {one.last_lines()}", hint=f"its log is {one.log_file}"
                )
