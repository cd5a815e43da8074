"""What the chain says happened to the oracle's requests: by block, with times and gas.

Read after the fact, from logs and headers alone; trusts no worker. Knows nothing of processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from oracle.chain.codec import decode_logs
from oracle.chain.contracts import Contracts
from oracle.chain.logs import LogScanner
from oracle.chain.wire import quantity, to_int
from oracle.core import event as events


@dataclass(frozen=True, slots=True)
class BlockUse:
    """One block. `timestamp` is in Unix seconds."""

    number: int
    timestamp: int
    gas_used: int
    gas_limit: int
    transactions: int


@dataclass(frozen=True, slots=True)
class Record:
    """Request ids by what happened to them and in which block; and the blocks."""

    requested: Mapping[bytes, int]
    answered: Mapping[bytes, int]
    settled: Mapping[bytes, int]
    answer_transactions: Mapping[bytes, int]
    settle_transactions: Mapping[bytes, int]
    blocks: Mapping[int, BlockUse]

    @property
    def lost(self) -> set[bytes]:
        """Requests that were made and not answered."""
        return self.requested.keys() - self.answered.keys()

    def seconds_between(self, first: int, last: int) -> int:
        """Seconds from one block to another by their timestamps."""
        return self.blocks[last].timestamp - self.blocks[first].timestamp

    def span(self, first: int, last: int) -> list[BlockUse]:
        """Blocks of an inclusive range."""
        return [self.blocks[number] for number in range(first, last + 1)]


async def read_record(contracts: Contracts, first_block: int) -> Record:
    """Everything from a block to the head."""
    rpc = contracts.rpc
    head = await rpc.latest()
    logs = await LogScanner(rpc, contracts.oracle.address).scan(first_block, head.number)
    requested: dict[bytes, int] = {}
    answered: dict[bytes, int] = {}
    settled: dict[bytes, int] = {}
    answer_transactions: Counter[bytes] = Counter()
    settle_transactions: Counter[bytes] = Counter()
    for event in decode_logs(logs):
        block, transaction = event.position.block_number, event.position.transaction_hash
        match event:
            case events.RequestSeen():
                requested[event.request_id] = block
            case events.RequestAnswered():
                answered[event.request_id] = block
                answer_transactions[transaction] += 1
            case events.RequestSettled():
                settled[event.request_id] = block
                settle_transactions[transaction] += 1
            case _:
                pass
    blocks = {}
    for number in range(first_block, head.number + 1):
        raw = await rpc.request("eth_getBlockByNumber", [quantity(number), False])
        blocks[number] = BlockUse(
            number,
            to_int(raw["timestamp"]),
            to_int(raw["gasUsed"]),
            to_int(raw["gasLimit"]),
            len(raw["transactions"]),
        )
    return Record(requested, answered, settled, answer_transactions, settle_transactions, blocks)


async def gas_of(contracts: Contracts, transactions: Mapping[bytes, int]) -> int:
    """Gas that these transactions used together."""
    total = 0
    for transaction_hash in transactions:
        receipt = await contracts.rpc.request(
            "eth_getTransactionReceipt", ["0x" + transaction_hash.hex()]
        )
        total += to_int(receipt["gasUsed"])
    return total
