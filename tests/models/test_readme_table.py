"""The README's table of sample models: what cards and manifests say, and what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.describe import measure as held_out
from oracle.bench import models as bench
from oracle.certificate.certificate import Certificate
from oracle.devnet.samples import Sample, samples

README = Path(__file__).parents[2] / "README.md"
COLUMNS = ("model", "tier", "held out", "epsilon", "trace bytes", "from source")


def known(sample: Sample) -> dict[str, Any]:
    """A model's row, of what is committed beside it."""
    manifest = sample.manifest()
    assert manifest.difference is not None
    assert manifest.certificate is not None
    return {
        "model": sample.name,
        "tier": manifest.tier.name.lower(),
        "held_out": held_out(sample.facts),
        "epsilon": bench.error_bar(Certificate.of_document(manifest.certificate)),
        "trace_bytes": manifest.sizes.trace_bytes,
        "from_source": bench.distance(manifest.difference),
    }


def test_the_readme_holds_the_table() -> None:
    rows = [known(one) for one in samples()]
    assert tuple(name.replace("_", " ") for name in rows[0]) == COLUMNS
    cells = [[f"{one:,}" if isinstance(one, int) else one for one in row.values()] for row in rows]
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *cells]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    assert table in README.read_text()


def test_the_bench_measures_what_the_readme_says() -> None:
    """But for the last digits of the distance: the source's float32 kernels are the machine's."""
    for found, sample in zip(bench.measure(lambda text: None)["models"], samples(), strict=True):
        expected = known(sample)
        assert float(found.pop("from_source")) == pytest.approx(
            float(expected.pop("from_source")), rel=0.5
        )
        assert found == expected
