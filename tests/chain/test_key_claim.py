"""A key is one database's on a machine: several processes of one database share it."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from oracle.chain.key_claim import keys_claimed
from oracle.core.types import Address
from oracle.errors import KeyInUse

FIRST = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
SECOND = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")

GENESIS = b"\x01" * 32

HOLDS = """
import asyncio, sys
from oracle.chain.key_claim import keys_claimed
async def hold():
    async with keys_claimed(int(sys.argv[1]), bytes([1]) * 32, [sys.argv[2]], sys.argv[3]):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(hold())
"""


@pytest.fixture
def chain_id() -> int:
    return random.randrange(10**9, 2 * 10**9)


def holder(chain_id: int, database: str) -> subprocess.Popen[bytes]:
    started = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(chain_id), FIRST, database], stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"held\n"
    return started


async def test_another_database_is_refused_until_the_last_of_the_first_has_ended(
    chain_id: int,
) -> None:
    with holder(chain_id, "one") as first, holder(chain_id, "one") as second:
        try:
            async with keys_claimed(chain_id, GENESIS, [FIRST, SECOND], "one"):
                pass
            first.kill()
            first.wait()
            with pytest.raises(KeyInUse, match="another database") as refused:
                async with keys_claimed(chain_id, GENESIS, [SECOND, FIRST], "two"):
                    pass
            assert FIRST in refused.value.message
            assert refused.value.hint is not None
            async with keys_claimed(chain_id, GENESIS, [SECOND], "two"):
                pass
            async with keys_claimed(chain_id + 1, GENESIS, [FIRST], "two"):
                pass
        finally:
            first.kill()
            second.kill()
    async with keys_claimed(chain_id, GENESIS, [FIRST], "two"):
        with pytest.raises(KeyInUse):
            async with keys_claimed(chain_id, GENESIS, [FIRST], "one"):
                pass
