"""What the storage tests run in processes of their own: one is killed, two race.

python processes.py hang LOCATION            moves every job, and stops before the commit
python processes.py reserve LOCATION DIGIT   reserves 50 signatures with a digest of its own
"""

from __future__ import annotations

import asyncio
import sys
import time

from sqlalchemy import Connection, Engine, event

from oracle.core.job import JobState, Trigger
from oracle.errors import SignedTwice
from oracle.ports.jobs import JobMove
from oracle.storage import open_storage


class RealClock:
    def now(self) -> float:
        return time.time()


async def hang(location: str) -> None:
    storage = open_storage(location, RealClock())
    waiting = await storage.jobs.jobs([JobState.SEEN], limit=100)

    def stop(_connection: Connection) -> None:
        print("written", flush=True)
        time.sleep(60)

    event.listen(Engine, "commit", stop)
    await storage.jobs.move([JobMove(job.request_id, Trigger.ADMIT) for job in waiting])


async def reserve(location: str, digit: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    storage = open_storage(location, RealClock())
    for number in range(50):
        try:
            request_id = number.to_bytes(32, "big")
            await storage.jobs.reserve_signatures("answer", [(request_id, bytes([digit]) * 32)])
            print("won", number, flush=True)
        except SignedTwice:
            print("lost", number, flush=True)
    await storage.close()


if __name__ == "__main__":
    if sys.argv[1] == "hang":
        asyncio.run(hang(sys.argv[2]))
    else:
        asyncio.run(reserve(sys.argv[2], int(sys.argv[3])))
