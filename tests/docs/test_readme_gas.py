"""The gas that the README states is that of the snapshot, which forge writes of the contracts."""

from __future__ import annotations

import json
import re

from tests.docs.test_blocks import ROOT


def test_the_readme_quotes_the_snapshot() -> None:
    snapshot = json.loads((ROOT / "snapshots" / "verbs.json").read_text())
    readme = (ROOT / "README.md").read_text()
    table = re.search(r"^\| verb \| gas \|\n\|---\|---\|\n((?:\|.*\n)+)", readme, re.MULTILINE)
    assert table is not None
    rows = dict(re.findall(r"^\| (.+) \| ([\d,]+) \|$", table[1], re.MULTILINE))
    assert len(rows) == len(table[1].splitlines()) >= 7
    assert rows == {verb: f"{int(snapshot[verb]):,}" for verb in rows}
