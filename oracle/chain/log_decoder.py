"""From a contract's raw logs to the core's events.

Responsible for where a log stands and what it says. Knows no contract in particular, and nothing of
endpoints; whether the logs of a range belong together is the reader's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from oracle.chain import abi
from oracle.chain.abi import EventAbi
from oracle.chain.coder import UnreadableData
from oracle.chain.wire import RawLog, to_bytes, to_int
from oracle.core.event import LoggedEvent, Position
from oracle.errors import ChainUnreachable, InputError

E = TypeVar("E", bound=LoggedEvent)


class LogDecoder(Generic[E]):
    """The events of one contract that somebody follows, by their names in its ABI.

    A builder takes (position, indexed arguments, other arguments), each in ABI order.
    """

    def __init__(self, contract_name: str, builders: Mapping[str, Callable[..., E]]) -> None:
        self._contract_name = contract_name
        self._builders = builders

    def decode(self, log: RawLog) -> E | None:
        """The event a log carries, or None for one that nobody follows.

        Raises:
            ChainUnreachable: the log is cut short or malformed, which only a faulty endpoint makes
                it.
        """
        try:
            topics: list[str] = log["topics"]
            known = self._readers.get(topics[0]) if topics else None
            if known is None:
                return None
            event, build = known
            joined = bytes.fromhex("".join([topic[2:] for topic in topics[1:]]))
            indexed, unindexed = event.decode(joined, to_bytes(log["data"]))
            return build(position_of(log), *indexed, *unindexed)
        except (UnreadableData, InputError, KeyError, ValueError, TypeError, IndexError) as error:
            raise ChainUnreachable(
                f"the node sent a log that cannot be read: {error}",
                hint="use another endpoint; this one is faulty",
            ) from error

    def decode_all(self, logs: Iterable[RawLog]) -> tuple[E, ...]:
        """The events of several logs, in their order, such as a receipt's."""
        return tuple(event for event in map(self.decode, logs) if event is not None)

    @cached_property
    def _readers(self) -> Mapping[str, tuple[EventAbi, Callable[..., E]]]:
        """By the first topic, as the node writes it."""
        declared = abi.load(self._contract_name).events
        return {
            "0x" + declared[name].topic.hex(): (declared[name], build)
            for name, build in self._builders.items()
        }


def position_of(log: RawLog) -> Position:
    """Where a log stands."""
    return Position(
        block_number=to_int(log["blockNumber"]),
        log_index=to_int(log["logIndex"]),
        block_hash=to_bytes(log["blockHash"]),
        transaction_hash=to_bytes(log["transactionHash"]),
    )
