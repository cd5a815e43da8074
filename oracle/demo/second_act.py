"""The second act: an operator that cheats, and a watcher that convicts it, each its own process.

The operator runs a cheaper copy of the model; the watcher is `oracle watch`, with a key and a
folder of its own. Says what happens, and keeps the books of who lost and gained what.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.bootstrap.devnet import OPG, free_port, write_settings
from oracle.bootstrap.worker import Worker
from oracle.chain.sender import TransactionSender
from oracle.core.event import AnswerVoided, RequestAnswered
from oracle.core.types import Address, format_opg
from oracle.demo.cheques import Cheque, ChequeBook, handwriting
from oracle.demo.holdings import Holdings, Split, rows
from oracle.demo.pursuit import WATCH, Pursuit
from oracle.demo.scenario import CHEQUE_LIMIT, Cast, Say
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund
from oracle.settings import Settings

_STAKE = 2 * CHEQUE_LIMIT
_CHEQUE_NUMBER = 77


@dataclass(frozen=True, slots=True)
class Stage:
    """Before the curtain: two processes, and a dApp that trusts the wrong one."""

    operator: Address
    book: ChequeBook
    pursuit: Pursuit


async def set_stage(cast: Cast, settings: Settings, cheat: str, say: Say) -> Stage:
    """Gives the sleeping operator stake, an endpoint and a worker that cheats; starts the watcher.

    Args:
        cheat: the module that runs the dishonest operator, as `python -m` takes it.
    """
    devnet, staking = cast.ready.devnet, cast.ready.devnet.contracts.staking
    operator = devnet.sender(Person.SECOND_OWNER)
    port = free_port()
    say(
        f"second operator: adds {format_opg(_STAKE)} OPG of stake, and says where its traces are; "
        "a second dApp trusts it"
    )
    endpoint = staking.set_endpoint_data(f"http://127.0.0.1:{port}")
    book, _, _ = await asyncio.gather(
        _open_book(cast, operator.address),
        _stake(cast, operator),
        operator.send(staking.address, endpoint),
    )
    say("second operator: starts its worker; somebody else starts a watcher, `oracle watch`")
    common: dict[str, object] = {
        "rpc_url": devnet.state.url,
        "deployment": settings.deployment_path.absolute(),
    }
    folder = _folder(settings, "second-operator")
    shutil.copytree(settings.model_store, folder / "models", dirs_exist_ok=True)
    people = {"owner": Person.SECOND_OWNER, "signer": Person.SECOND_SIGNER}
    file = write_settings(folder, operator.address, people, serve_port=port, **common)
    worker = await Worker.start(file, folder, program=(cheat,))
    folder = _folder(settings, "watcher")
    file = write_settings(
        folder, operator.address, {"watcher": Person.WATCHER}, serve_port=0, **common
    )
    watcher = Worker.spawn(file, folder / "watch.log", program=WATCH)
    return Stage(operator.address, book, Pursuit(worker, watcher, folder))


async def _stake(cast: Cast, operator: TransactionSender) -> None:
    contracts = cast.ready.devnet.contracts
    staking, token = contracts.staking, contracts.token
    treasurer = cast.ready.devnet.sender(Person.DEPLOYER)
    await fund(treasurer, contracts, operator.address, opg=_STAKE)
    await operator.send(token.address, token.approve_data(staking.address, _STAKE))
    await operator.send(staking.address, staking.bond_data(operator.address, _STAKE))


async def _open_book(cast: Cast, operator: Address) -> ChequeBook:
    """A dApp that has its cheques read by this operator, with money in it."""
    book = await ChequeBook.open(
        cast.ready.devnet.contracts,
        cast.ready.devnet.sender(Person.DEPLOYER),
        model_id=cast.ready.models["digits-mlp"],
        operator=operator,
        fee=1 * OPG,
        limit=CHEQUE_LIMIT,
    )
    await asyncio.gather(book.pay_in(cast.payer, 3_000 * OPG), book.allow_fees(cast.payee))
    return book


async def play(cast: Cast, stage: Stage, say: Say) -> dict[str, Any]:
    """A cheque is read by the cheat; what happened, and the books."""
    await stage.pursuit.ready()
    say(
        "second operator: awake now, with weights that keep 3 bits of their fractions; it signs "
        "for the registered model"
    )
    contracts = cast.ready.devnet.contracts
    before = await _holdings(cast, stage, bytes(32))
    image = handwriting("1205").tobytes()
    cheque = Cheque(cast.payer.address, cast.payee.address, _CHEQUE_NUMBER, image)
    signature = await stage.book.sign(cheque, cast.payer.signer)
    request_id = await stage.book.present(cast.payee, cheque, signature)
    say(f"payee: cheque {_CHEQUE_NUMBER} presented to a dApp that the second operator answers")
    began = time.monotonic()
    findings = await stage.pursuit.follow(cast.clinic, request_id, say)
    story = await cast.clinic.story(request_id)
    answered, voided = story.find(RequestAnswered), story.find(AnswerVoided)
    assert answered is not None
    assert voided is not None
    blocks = voided.position.block_number - answered.position.block_number
    included = "announcing included" if findings.announcement else "unannounced"
    say(f"court: convicted, and the answer void, {blocks} blocks after it was given, {included}")
    after = await _holdings(cast, stage, request_id)
    split = Split.of(await contracts.oracle.limits())
    say(
        f"court: {format_opg(voided.penalty)} OPG of its stake slashed: {split.sentence}; the "
        "cheque was not paid, and may be presented again"
    )
    return {
        "request": request_id,
        "blocks_from_answer_to_conviction": blocks,
        "seconds": round(time.monotonic() - began, 1),
        **findings.as_facts(),
        "slashed_opg": format_opg(voided.penalty),
        "split": split.as_facts(),
        "who": rows(before, after, split),
    }


async def _holdings(cast: Cast, stage: Stage, request_id: bytes) -> Holdings:
    """The watcher's is what it may claim, and what is held for it of this request."""
    contracts = cast.ready.devnet.contracts
    staking, clearing = contracts.staking, stage.book.clearing
    watcher = signer_of(Person.WATCHER).address
    payee = cast.payee.address
    return Holdings(
        operator_stake=(await staking.status(stage.operator)).stake,
        payer_in_dapp=await clearing.view("balances", cast.payer.address),
        payee=await clearing.view("balances", payee) + await contracts.token.balance_of(payee),
        watcher=await staking.claimable(watcher)
        + (await contracts.court.held_share(request_id)).amount,
        to_be_burned=await staking.pending_burn(),
    )


def _folder(settings: Settings, name: str) -> Path:
    folder = settings.data_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
