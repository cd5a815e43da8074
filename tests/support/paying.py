"""What scenes with views that have a price are made of: credit, vouchers, and payments by hand."""

from __future__ import annotations

from dataclasses import replace

from oracle.chain.keystore import LocalSigner
from oracle.core.transaction import Purpose, Transaction
from oracle.core.types import Address
from oracle.core.voucher import Credit, Payment, Voucher
from oracle.ports.views import HeldVoucher, ViewQuestion
from oracle.storage.lookup import Lookup
from tests.support.viewing import CALLER, question
from tests.support.world import DIGITS, OPG, World, until

PRICE = OPG // 100
PRICED = f"{DIGITS}=0.01"


def credit_contract(world: World) -> Address:
    assert world.deployment.credit is not None
    return world.deployment.credit


def payment(
    world: World,
    total: int,
    *,
    signer: LocalSigner = CALLER,
    payer: Address | None = None,
    operator: Address | None = None,
) -> Payment:
    """A voucher that is right unless it is said otherwise."""
    voucher = Voucher(payer or CALLER.address, operator or world.operator, total)
    digest = voucher.digest(world.client.credit.domain)
    return Payment(total, signer.sign_digest(digest))


async def paid_question(world: World, total: int, index: int = 0) -> ViewQuestion:
    return replace(await question(world, index), payment=payment(world, total))


async def credit(world: World, payer: Address = CALLER.address) -> Credit:
    return await world.client.credit.credit_of(payer, world.operator)


async def held(world: World, payer: Address = CALLER.address) -> HeldVoucher | None:
    return await world.storage.vouchers.voucher(credit_contract(world), payer)


async def until_collected(world: World, total: int) -> Credit:
    async def there() -> Credit | None:
        found = await credit(world)
        return found if found.collected >= total else None

    found = await until(there)
    assert found is not None
    return found


async def collections(world: World) -> list[Transaction]:
    """Every transaction that was made to collect, oldest first."""
    found = await Lookup(world.storage.database).transactions(100)
    return [one for one in reversed(found) if one.purpose is Purpose.COLLECT]
