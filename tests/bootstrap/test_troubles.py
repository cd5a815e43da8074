"""What is kept of the log for the operator's page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from oracle.bootstrap.troubles import MENDS, Troubles, noted
from oracle.ports.overview import Trouble
from tests.docs import test_operations


@pytest.fixture
def troubles() -> Iterator[Troubles]:
    """What this process's log lines leave, while they go nowhere else."""
    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    kept = Troubles(kept=3)
    with noted(kept):
        yield kept
    assert kept not in structlog.get_config()["processors"]
    structlog.configure(**before)


def only(troubles: Troubles) -> Trouble:
    (found,) = troubles.latest()
    return found


def test_warnings_and_worse_are_kept_and_the_rest_is_not(troubles: Troubles) -> None:
    log = structlog.get_logger()
    log.info("job", state="settled")
    log.debug("nothing")
    assert troubles.latest() == ()
    log.warning("step failed", step="watch", error="no endpoint answers")
    found = only(troubles)
    assert (found.level, found.what) == ("warning", "step failed: no endpoint answers")
    assert (found.where, found.mend, found.times) == ("step watch", "oracle node doctor", 1)


def test_the_same_again_is_counted_and_comes_first(troubles: Troubles) -> None:
    log = structlog.get_logger()
    for event in ("one", "two", "one"):
        log.error(event)
    assert [(one.what, one.times) for one in troubles.latest()] == [("one", 2), ("two", 1)]


def test_so_many_and_no_more(troubles: Troubles) -> None:
    for number in range(10):
        structlog.get_logger().error(f"event {number}")
    assert [one.what for one in troubles.latest()] == ["event 9", "event 8", "event 7"]
    structlog.get_logger().error("x" * 10_000)
    assert len(troubles.latest()[0].what) == 600


@pytest.mark.parametrize(
    ("event", "facts", "mend"),
    [
        ("inference failed", {"request": "0x12"}, "oracle job explain 0x12"),
        ("INTAKE STOPS: too little coin for gas", {"why": "w"}, "oracle node status"),
        ("transaction given up", {"nonce": 3}, "oracle tx list"),
        ("reorg", {"rewound_to": 3}, "by itself"),
        ("nobody foresaw this", {}, "oracle node doctor"),
        ("keys not read again", {"next": "mend the file"}, "mend the file"),
        ("not judged {0} {request!r}", {}, "oracle job explain ID"),
    ],
)
def test_each_has_what_mends_it(
    troubles: Troubles, event: str, facts: dict[str, object], mend: str
) -> None:
    structlog.get_logger().error(event, **facts)
    assert mend in only(troubles).mend


def test_every_alert_of_a_node_has_its_own_and_none_is_of_another_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, told = test_operations.PACKAGE, set()
    for name in ("service", "bootstrap", "inference", "storage", "web", "chain"):
        monkeypatch.setattr(test_operations, "PACKAGE", root / name)
        told |= test_operations.alerts()
    assert [one for one in sorted(told) if not one.startswith(tuple(MENDS))] == []
    words = told | {"endpoint"}  # as `log_endpoint` has it, at the level it is told
    assert [one for one in MENDS if not any(word.startswith(one) for word in words)] == []


def test_an_exception_is_an_error(troubles: Troubles) -> None:
    try:
        raise ValueError("inside")
    except ValueError:
        structlog.get_logger().exception("a defect of the page")
    assert only(troubles).level == "error"
    assert "inside" not in only(troubles).what


def test_addresses_and_credentials_are_masked(troubles: Troubles) -> None:
    structlog.get_logger().error(
        "step failed",
        error="https://user:hunter2@rpc.example/v2/KEY123?token=T0: refused; sent Bearer abc.def",
        next="see postgresql+psycopg://me:hunter2@db/oracle, then wss://rpc.example/KEY123.",
    )
    found = only(troubles)
    for secret in ("hunter2", "KEY123", "T0", "abc.def", "user:"):
        assert secret not in found.what + found.where + found.mend
    assert "https://rpc.example/…: refused" in found.what
    assert found.mend.endswith("wss://rpc.example/….")
