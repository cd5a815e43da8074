"""What a watcher is ready to do, and to pay. Decides nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WatcherPolicy:
    """How far a watcher goes.

    Attributes:
        start_block: first block whose answers are looked into.
        range_blocks: most blocks a log query spans.
        overlap_blocks: read again each time: a reorg, or a log that came late.
        announce: announce proofs before they are shown, where the window leaves the time.
        min_reward: base units below which a conviction is not worth its gas.
        wei_per_opg: value of one OPG in wei, to weigh a reward against gas; 0 does not weigh.
        max_gas_price_wei: convictions wait while the chain asks for more per gas.
        demand: demand what is withheld. The deposits come from the key's tokens.
        demand_all: also where the own run agrees with the answer.
        max_deposit: base units that all demands on one answer may cost.
        abreast: answers that are looked into side by side.
        only: the one request that is watched; None for all.
    """

    start_block: int
    range_blocks: int = 2_000
    overlap_blocks: int = 64
    announce: bool = True
    min_reward: int = 0
    wei_per_opg: int = 0
    max_gas_price_wei: int = 500 * 10**9
    demand: bool = True
    demand_all: bool = False
    max_deposit: int = 200 * 10**18
    abreast: int = 4
    only: bytes | None = None
