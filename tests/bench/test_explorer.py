"""The bench of the explorer fills an index and times what it says; no time is judged."""

from __future__ import annotations

from oracle.bench.explorer import measure
from oracle.bench.explorer_rows import Sizes, chapters


async def test_it_times_lists_pages_and_searches() -> None:
    said: list[str] = []
    facts = await measure(300, said.append)
    assert facts["requests"] == 300
    assert facts["entries"] > 4 * 300
    names = [row["what"] for row in facts["lookups"]]
    assert len(names) == len(set(names))
    assert {name.partition(":")[0] for name in names} == {"index", "served"}
    assert all(row["worst_ms"] >= row["median_ms"] > 0 for row in facts["lookups"])
    assert said


def test_the_same_seed_makes_the_same_rows() -> None:
    sizes = Sizes(50, models=3, operators=3)
    assert list(chapters(sizes)) == list(chapters(sizes))
    assert list(chapters(sizes)) != list(chapters(sizes, seed=2))
