"""The scenario: cheques that clear and bounce, patients that are screened, an operator that sleeps.

Everything is real: a chain, contracts, a worker in its own process, models trained on real data and
inputs they have not seen. Prints what happens through `say`; the books are `tally`'s.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.bootstrap.devnet import OPG, ReadyDevnet, standing_offer
from oracle.chain.sender import TransactionSender
from oracle.client import OracleClient
from oracle.core.types import Address, format_opg
from oracle.demo.cheques import Cheque, ChequeBook, handwriting, smudged
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund, register_operator
from oracle.devnet.samples import sample
from oracle.errors import NoAnswer, NotFound

Say = Callable[[str], None]

CHEQUE_LIMIT = 5_000 * OPG
_PATIENTS = 12
_SLEEPER_SECONDS = 4
_LONG_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, with money in hand and contracts in place, before the first request."""

    ready: ReadyDevnet
    clinic: OracleClient
    payer: TransactionSender
    payee: TransactionSender
    book: ChequeBook
    sleeper: Address


async def prepare(ready: ReadyDevnet) -> Cast:
    """Hands out money, deploys the example dApp and binds a second operator that has no worker."""
    devnet = ready.devnet
    contracts = devnet.contracts
    treasurer = devnet.sender(Person.DEPLOYER)
    payer, payee = devnet.sender(Person.RELAYER), devnet.sender(Person.PAYEE)
    sleeper = devnet.sender(Person.SECOND_OWNER)
    await fund(treasurer, contracts, payer.address, opg=6_000 * OPG)
    await fund(treasurer, contracts, payee.address, opg=10 * OPG)
    await fund(treasurer, contracts, sleeper.address, opg=1_000 * OPG)
    await register_operator(
        sleeper,
        contracts,
        signer=signer_of(Person.SECOND_SIGNER).address,
        payout=sleeper.address,
        bond=1_000 * OPG,
        offers={ready.models["digits-mlp"]: standing_offer()},
    )
    book = await ChequeBook.open(
        contracts,
        treasurer,
        model_id=ready.models["digits-mlp"],
        operator=ready.operator,
        fee=1 * OPG,
        limit=CHEQUE_LIMIT,
    )
    await book.pay_in(payer, 3_000 * OPG)
    await book.allow_fees(payee)
    clinic = OracleClient(devnet.rpc, contracts.deployment, signer_of(Person.REQUESTER))
    return Cast(ready, clinic, payer, payee, book, sleeper.address)


async def play(cast: Cast, say: Say) -> dict[str, Any]:
    """Plays all parts; what happened, by key."""
    sleeping = await _send_to_sleeper(cast, say)
    cheques, patients, reclaimed = await asyncio.gather(
        _cheques(cast, say), _patients(cast, say), _reclaim(cast, sleeping, say)
    )
    return {"cheques": cheques, "patients": patients, "sleeping_operator": reclaimed}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Asks the chain until the condition holds.

    Raises:
        NoAnswer: it does not, for two minutes.
    """
    give_up_at = time.monotonic() + _LONG_SECONDS
    while not await condition():
        if time.monotonic() > give_up_at:
            raise NoAnswer("the demo got stuck", hint="see the worker's log")
        await asyncio.sleep(0.2)


async def _cheques(cast: Cast, say: Say) -> list[dict[str, Any]]:
    """A payer writes three cheques by hand; the payee presents them; the contract clears them."""
    written = {
        "1205": handwriting("1205"),
        "0380": handwriting("0380", pick=3),
        "4444 written over 7777": smudged("4444", "7777"),
    }
    cheques = [
        Cheque(cast.payer.address, cast.payee.address, number, pixels.tobytes())
        for number, pixels in enumerate(written.values(), start=1)
    ]
    requests = await asyncio.gather(*(_present(cast, cheque) for cheque in cheques))
    for number, words in enumerate(written, start=1):
        say(f"payee: cheque {number} presented, handwriting {words!r}")
    window = cast.ready.devnet.contracts.deployment.parameters.default_window
    say(f"contract: pays nothing before an answer has stood for its window of {window} s")
    outcomes = []
    for cheque, words, request_id in zip(cheques, written, requests, strict=True):
        await until(functools.partial(_has_cleared, cast.book, request_id))
        cleared = await cast.book.outcome(request_id)
        paid = f"paid {format_opg(cleared.amount)} OPG"
        what = paid if cleared.bounced is None else f"bounced, {cleared.bounced}"
        say(f"contract: cheque {cheque.number} ({words}) {what}, when the answer was final")
        outcomes.append(
            {
                "number": cheque.number,
                "handwriting": words,
                "request": request_id,
                "paid_opg": format_opg(cleared.amount),
                "bounced": cleared.bounced,
            }
        )
    await cast.book.withdraw(cast.payee)
    held = await cast.ready.devnet.contracts.token.balance_of(cast.payee.address)
    say(f"payee: everything withdrawn, {format_opg(held)} OPG in hand")
    return outcomes


async def _present(cast: Cast, cheque: Cheque) -> bytes:
    signature = await cast.book.sign(cheque, cast.payer.signer)
    return await cast.book.present(cast.payee, cheque, signature)


async def _has_cleared(book: ChequeBook, request_id: bytes) -> bool:
    try:
        await book.outcome(request_id)
    except NotFound:
        return False
    return True


async def _patients(cast: Cast, say: Say) -> dict[str, Any]:
    """A clinic's script asks the tree model about held-out patients, some of them openly."""
    rows, truth = sample("breast-cancer-gbt").held_out_samples()
    model_id = cast.ready.models["breast-cancer-gbt"]
    asked = await asyncio.gather(
        *(
            cast.clinic.request(
                model_id,
                [rows[index : index + 1]],
                fee=1 * OPG,
                open_to_all=index % 4 == 3,
                operator=None if index % 4 == 3 else cast.ready.operator,
            )
            for index in range(_PATIENTS)
        )
    )
    say(f"clinic: {_PATIENTS} held-out patients sent to the tree model, a quarter to any operator")
    answers = await asyncio.gather(
        *(cast.clinic.wait(one.id, until="answered", timeout=_LONG_SECONDS) for one in asked)
    )
    labels = [int(np.ravel(answer.outputs["label"])[0]) for answer in answers]
    right = sum(label == int(true) for label, true in zip(labels, truth, strict=False))
    receipt = await cast.clinic.receipt(asked[0].id)
    await cast.clinic.verify_signature(receipt)
    say(f"clinic: {len(answers)} answers, {right} right, {answers[0].backing}")
    say(f"clinic: the first answer's receipt is signed by {receipt.signer}, verified")
    return {"asked": len(asked), "right": right, "first_request": asked[0].id}


async def _send_to_sleeper(cast: Cast, say: Say) -> bytes:
    """The second operator is bound by its standing offer, and runs no worker."""
    made = await cast.clinic.request(
        cast.ready.models["digits-mlp"],
        [handwriting("7")],
        fee=5 * OPG,
        operator=cast.sleeper,
        time_to_answer=_SLEEPER_SECONDS,
    )
    if not made.accepted:
        raise NoAnswer("the sleeping operator's standing offer did not take the request")
    say("clinic: a request to a second operator, bound by its standing offer; its worker is off")
    return made.id


async def _reclaim(cast: Cast, request_id: bytes, say: Say) -> dict[str, Any]:
    client = cast.clinic
    deadline = (await client.story(request_id)).created.request.deadline

    async def deadline_passed() -> bool:
        return (await client.rpc.latest()).timestamp > deadline

    await until(deadline_passed)
    await client.reclaim(request_id)
    told = await client.story(request_id)
    requester = client.sender.address
    compensation = await client.staking.claimable(requester)
    await client.sender.send(client.staking.address, client.staking.claim_data(requester))
    say(
        f"clinic: the deadline passed; {format_opg(told.refund)} OPG refunded, "
        f"{format_opg(compensation)} OPG compensation from the silent operator's stake"
    )
    return {
        "request": request_id,
        "refunded_opg": format_opg(told.refund),
        "compensation_opg": format_opg(compensation),
    }
