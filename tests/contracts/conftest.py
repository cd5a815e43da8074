"""One chain for all comparisons of this package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts import harness


@pytest.fixture(scope="session")
def court_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Chain]:
    anvil = harness.start(tmp_path_factory.mktemp("court") / "anvil.log")
    yield harness.Chain(anvil.url)
    anvil.kill()
