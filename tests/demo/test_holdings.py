"""The table of who lost and gained: shares as the contracts have them, changes with their sign."""

from __future__ import annotations

from oracle.demo.holdings import Holdings, Split, rows
from tests.support.world import OPG, World


def test_every_change_has_its_sign_and_every_share_its_percentage() -> None:
    before = Holdings(100 * OPG, 3 * OPG, 0, 0, OPG)
    after = Holdings(60 * OPG, 3 * OPG, 4 * OPG, 5 * OPG, 32 * OPG)
    found = rows(before, after, Split(requester_bps=1_000, watcher_bps=1_250))
    assert [one["change_opg"] for one in found] == ["-40", "0", "+4", "+5", "+31"]
    assert [one["who"].partition(" (")[2] for one in found] == ["", "", "10%)", "12.5%)", "77.5%)"]


async def test_the_split_is_the_deployed_contracts(world: World) -> None:
    limits = await world.contracts.oracle.limits()
    split = Split.of(limits)
    assert split.sentence == "20% to the requester, 30% to the watcher, 50% burned"
    assert split.as_facts() == {"requester": "20%", "watcher": "30%", "burned": "50%"}
