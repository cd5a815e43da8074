"""Which key signed when, as `OperatorStaking` would say."""

from __future__ import annotations

from oracle.core.event import Position
from oracle.core.types import Address
from oracle.verify.signers import KeyChange, signer_at

A, B, C = Address("a"), Address("b"), Address("c")
DELAY = 100


def at(block: int, log: int = 0) -> Position:
    return Position(block, log, b"", b"")


def rotation(block: int, signer: Address, announced_at: int) -> KeyChange:
    return KeyChange(at(block), signer, announced_at, announced_at + DELAY)


REGISTERED = KeyChange(at(1), A, 0, 0)


def test_nobody_signs_before_registration() -> None:
    assert signer_at((), at(5), 50) is None
    assert signer_at((KeyChange(at(6), A, 0, 0),), at(5), 50) is None


def test_a_new_key_takes_over_after_its_delay() -> None:
    changes = (REGISTERED, rotation(2, B, 1_000))
    assert signer_at(changes, at(1, 5), 999) == A
    assert signer_at(changes, at(3), 1_099) == A
    assert signer_at(changes, at(4), 1_100) == B


def test_a_pending_key_that_is_replaced_never_signed() -> None:
    changes = (REGISTERED, rotation(2, B, 1_000), rotation(3, C, 1_050))
    assert signer_at(changes, at(4), 1_120) == A
    assert signer_at(changes, at(5), 1_150) == C


def test_a_key_that_took_over_stays_until_the_next_one_does() -> None:
    changes = (rotation(3, C, 1_200), REGISTERED, rotation(2, B, 1_000))
    assert signer_at(changes, at(4), 1_250) == B
    assert signer_at(changes, at(4), 1_300) == C


def test_what_comes_later_in_the_block_does_not_count() -> None:
    changes = (REGISTERED, KeyChange(at(5, 3), B, 1_000, 1_000))
    assert signer_at(changes, at(5, 2), 1_000) == A
    assert signer_at(changes, at(5, 4), 1_000) == B
