"""Which key signs when: announced, taken over, undone, missing, and dropped when it may go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from oracle.core.event import BlockRef
from oracle.core.operator import SignerChange
from oracle.core.transaction import Attempt, Call, Fees, Purpose, SendOutcome
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import KeystoreError, SignerRefused
from oracle.service.attempts import TransactPolicy
from oracle.service.keyring import Keyring, KeyringPolicy
from oracle.service.senders import Senders
from oracle.service.transact import Transact
from tests.service.fakes import NOW, OPERATOR, ORACLE, SIGNER, Clock, Gateway, Jobs, Transactions

NEXT = signer_of(Person.SECOND_SIGNER)
THIRD = signer_of(Person.WATCHER)
SOON = int(NOW) + 100
CALL = Call(ORACLE, b"\x01", 100_000)


class Register:
    """What the chain says. `announced` by block; `asked` are the ranges that were read."""

    def __init__(self) -> None:
        self.signer = SIGNER.address
        self.former: set[Address] = set()
        self.announced: dict[int, SignerChange] = {}
        self.asked: list[tuple[int, int]] = []
        self.delay = 500

    async def signer_of(self, operator: Address, *, pending: bool = False) -> Address:
        assert pending
        return self.signer

    async def was_signer(self, operator: Address, signer: Address) -> bool:
        return signer == self.signer or signer in self.former

    async def signer_delay(self) -> int:
        return self.delay

    async def announced_signers(
        self, operator: Address, first_block: int, last_block: int
    ) -> Sequence[SignerChange]:
        self.asked.append((first_block, last_block))
        blocks = sorted(self.announced)
        return [self.announced[one] for one in blocks if first_block <= one <= last_block]

    def change(self, signer: Address) -> None:
        self.former.add(self.signer)
        self.signer = signer


class Chain:
    """Blocks a second apart; the head at `NOW`."""

    def __init__(self, length: int = 10) -> None:
        self.number = length

    @property
    def head(self) -> BlockRef:
        return BlockRef(self.number, self.number.to_bytes(32, "big"), int(NOW))

    async def block(self, number: int) -> BlockRef | None:
        return BlockRef(number, number.to_bytes(32, "big"), int(NOW) - (self.number - number))


class Bench:
    def __init__(self, *held: object, length: int = 10, **policy: float) -> None:
        self.register, self.chain, self.clock = Register(), Chain(length), Clock()
        self.keyring = Keyring(
            self.register,
            self.chain,  # type: ignore[arg-type]
            lambda: self.chain.head,
            self.clock,
            OPERATOR,
            held or (SIGNER, NEXT),  # type: ignore[arg-type]
            KeyringPolicy(**({"start_block": 0, "check_seconds": 0.0} | policy)),  # type: ignore[arg-type]
        )
        self.jobs, self.gateway = Jobs(), Gateway()
        self.transactions = Transactions(self.jobs)
        self.senders = Senders(
            self.keyring,
            self.register,
            self.transactions,
            self.gateway,
            self.clock,
            OPERATOR,
            lambda payer: Transact(
                self.jobs,  # type: ignore[arg-type]
                self.transactions,
                self.gateway,
                payer,
                self.clock,
                31337,
                TransactPolicy(bump_seconds=100, resend_seconds=10),
            ),
        )

    def announce(self, signer: Address, effective_at: int = SOON, block: int = 10) -> None:
        self.register.announced[block] = SignerChange(signer, effective_at)

    @property
    def senders_of_all(self) -> list[Address]:
        return [one.sender for one in self.transactions.table.values()]


async def test_the_key_in_force_signs_and_the_other_when_the_chain_says_so() -> None:
    bench = Bench()
    await bench.keyring.open()
    assert bench.keyring.address == SIGNER.address
    assert await bench.keyring.sign(b"x") == await SIGNER.sign(b"x")
    bench.register.change(NEXT.address)
    await bench.keyring.cycle()
    assert bench.keyring.address == NEXT.address
    assert await bench.keyring.sign(b"x") == await NEXT.sign(b"x")


async def test_a_node_started_after_the_change_finds_the_key_in_force() -> None:
    bench = Bench()
    bench.register.change(NEXT.address)
    await bench.keyring.open()
    assert bench.keyring.address == NEXT.address
    with pytest.raises(KeystoreError, match="the keystore holds"):
        await Bench(THIRD).keyring.open()


async def test_before_a_change_what_can_wait_does() -> None:
    bench = Bench(handover_seconds=30)
    assert bench.keyring.pause_until(int(NOW)) is None
    bench.announce(NEXT.address)
    await bench.keyring.cycle()
    assert bench.keyring.pause_until(int(NOW)) is None
    assert bench.keyring.pause_until(SOON - 31) is None
    assert bench.keyring.pause_until(SOON - 30) == SOON
    # The chain's clock may stand still while nothing is mined.
    bench.clock.seconds = SOON - 1
    assert bench.keyring.pause_until(int(NOW)) == SOON
    bench.register.change(NEXT.address)
    await bench.keyring.cycle()
    assert bench.keyring.pause_until(SOON + 1) is None


async def test_a_key_that_is_announced_and_not_here_is_told_and_nothing_waits_for_it() -> None:
    bench = Bench(SIGNER)
    bench.announce(NEXT.address)
    for _ in range(2):
        with pytest.raises(KeystoreError, match=f"{NEXT.address} is announced") as told:
            await bench.keyring.cycle()
        assert "next_signer_keystore" in (told.value.hint or "")
    assert bench.keyring.pause_until(SOON - 1) is None
    bench.keyring.add([NEXT])
    await bench.keyring.cycle()
    assert bench.keyring.pause_until(SOON - 1) == SOON
    # In force and gone: nothing can be signed, and that is said.
    other = Bench(SIGNER)
    other.register.change(NEXT.address)
    with pytest.raises(KeystoreError, match="the keystore holds"):
        await other.keyring.cycle()
    assert other.keyring.address == SIGNER.address


async def test_an_announcement_that_a_reorg_took_back_is_forgotten() -> None:
    bench = Bench()
    bench.announce(NEXT.address)
    await bench.keyring.cycle()
    bench.register.announced.clear()
    bench.clock.seconds = SOON + 61
    await bench.keyring.cycle()
    assert bench.keyring.address == SIGNER.address
    assert bench.keyring.pause_until(SOON + 61) is None


async def test_a_second_announcement_replaces_the_first() -> None:
    bench = Bench(SIGNER, NEXT, THIRD)
    bench.announce(NEXT.address, block=9)
    bench.announce(THIRD.address, SOON + 50, block=10)
    await bench.keyring.cycle()
    assert bench.keyring.pause_until(SOON) is None
    assert bench.keyring.pause_until(SOON + 25) == SOON + 50


async def test_the_first_look_goes_back_as_far_as_an_announcement_may_be_to_come() -> None:
    bench = Bench(length=10_000, range_blocks=100)
    bench.register.delay = 250
    await bench.keyring.cycle()
    assert bench.register.asked == [(9_901, 10_000), (9_801, 9_900), (9_701, 9_800)]
    bench.register.asked.clear()
    bench.chain.number += 5
    await bench.keyring.cycle()
    assert bench.register.asked == [(9_936, 10_005)]
    young = Bench(length=150, range_blocks=100)
    await young.keyring.cycle()
    assert young.register.asked == [(51, 150), (0, 50)]


async def test_a_former_key_goes_when_it_is_old_and_one_to_come_stays() -> None:
    bench = Bench(SIGNER, NEXT, keep_seconds=600)
    assert await bench.keyring.former() == []  # NEXT has never signed
    bench.register.change(NEXT.address)
    await bench.keyring.cycle()
    assert await bench.keyring.former() == []
    bench.clock.seconds += 600
    assert await bench.keyring.former() == [SIGNER.address]
    bench.announce(SIGNER.address, int(bench.clock.seconds) + 100)
    await bench.keyring.cycle()
    assert await bench.keyring.former() == []
    bench.clock.seconds += 200
    bench.register.announced.clear()
    await bench.keyring.cycle()
    bench.clock.seconds += 600
    assert await bench.keyring.former() == []  # counted from when it was announced last
    bench.clock.seconds += 600
    (old,) = await bench.keyring.former()
    bench.keyring.drop(old)
    assert set(bench.keyring.held) == {NEXT.address}


# ---- who pays


async def test_open_transactions_stay_with_the_key_that_began_them() -> None:
    bench = Bench()
    bench.gateway.outcome = SendOutcome.UNKNOWN
    await bench.senders.submit(Purpose.REVEAL, CALL, [])
    bench.register.change(NEXT.address)
    await bench.keyring.cycle()
    await bench.senders.submit(Purpose.REVEAL, CALL, [])
    assert bench.senders_of_all == [SIGNER.address, NEXT.address]
    assert await bench.senders.needs(SIGNER.address)
    bench.clock.seconds += 200  # both are bumped, each by its own key
    await bench.senders.cycle(9)
    assert [len(one.attempts) for one in bench.transactions.table.values()] == [2, 2]
    for one in list(bench.transactions.table.values()):
        await bench.transactions.abandon(one.id, [])
    assert not await bench.senders.needs(SIGNER.address)
    assert await bench.senders.needs(NEXT.address)


async def test_a_key_without_gas_does_not_pay_while_another_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    balances = {SIGNER.address: 10**18, NEXT.address: 0}

    async def balance(account: Address) -> int:
        return balances[account]

    monkeypatch.setattr(bench.gateway, "balance", balance)
    bench.register.change(NEXT.address)
    await bench.keyring.cycle()
    await bench.senders.submit(Purpose.REVEAL, CALL, [])
    assert NEXT.address in (bench.senders.trouble or "")
    balances[NEXT.address] = 10**18
    bench.clock.seconds += 15
    await bench.senders.submit(Purpose.REVEAL, CALL, [])
    assert bench.senders.trouble is None
    assert bench.senders_of_all == [SIGNER.address, NEXT.address]


async def test_what_a_key_that_is_gone_left_open_is_sent_again_and_never_signed() -> None:
    bench = Bench()
    bench.gateway.outcome = SendOutcome.UNKNOWN
    await bench.senders.submit(Purpose.REVEAL, CALL, [])
    (left,) = bench.transactions.table.values()
    # Another process, without that key; a stranger's open transaction is none of its business.
    fresh = Bench(NEXT)
    fresh.transactions.table = bench.transactions.table
    fresh.register.change(NEXT.address)
    await bench.transactions.prepare(
        sender=THIRD.address,
        nonce=0,
        purpose=Purpose.REVEAL,
        call=CALL,
        request_ids=[],
        attempt=Attempt(b"\x03" * 32, b"\x03", Fees(1, 1), NOW, None, None),
        moves=[],
    )
    await fresh.keyring.open()
    await fresh.senders.open()
    fresh.clock.seconds += 200
    await fresh.senders.cycle(9)
    assert [one.raw for one in fresh.gateway.sent] == [left.attempts[0].raw]
    assert "is not here" in (fresh.senders.trouble or "")
    fresh.keyring.add([SIGNER])
    fresh.clock.seconds += 200
    await fresh.senders.cycle(9)
    assert len(fresh.gateway.sent) == 2
    assert fresh.gateway.sent[1].raw != left.attempts[0].raw
    assert fresh.senders.trouble is None


async def test_one_key_that_fails_does_not_keep_the_others_from_being_followed() -> None:
    bench = Bench()
    await bench.senders.submit(Purpose.REVEAL, CALL, [])
    bench.register.change(NEXT.address)
    await bench.keyring.cycle()
    await bench.senders.submit(Purpose.REVEAL, CALL, [])
    followed = []

    class Failing:
        async def cycle(self, cursor_block: int) -> bool:
            raise SignerRefused("no")

    class Following:
        async def cycle(self, cursor_block: int) -> bool:
            followed.append(cursor_block)
            return True

    bench.senders._followers = {SIGNER.address: Failing(), NEXT.address: Following()}  # type: ignore[dict-item]
    with pytest.raises(SignerRefused):
        await bench.senders.cycle(9)
    assert followed == [9]
