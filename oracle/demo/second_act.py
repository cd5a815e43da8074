"""The second act: an operator that cheats, and a watcher that convicts it, each its own process.

The operator runs a cheaper copy of the model; the watcher is `oracle watch`, with a key and a
folder of its own. Says what happens, and keeps the books of who lost and gained what.
"""

from __future__ import annotations

import functools
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.bootstrap.devnet import OPG, free_port, write_settings
from oracle.bootstrap.worker import Worker
from oracle.core.event import AnswerVoided, RequestAnswered
from oracle.core.types import Address, format_opg
from oracle.demo.cheques import Cheque, ChequeBook, handwriting
from oracle.demo.scenario import CHEQUE_LIMIT, Cast, Say, until
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund
from oracle.settings import Settings

_STAKE = 2 * CHEQUE_LIMIT
_CHEQUE_NUMBER = 77
WATCH = ("oracle", "watch")


@dataclass(frozen=True, slots=True)
class Stage:
    """The second act before its curtain: two processes, and a dApp that trusts the wrong one."""

    operator: Address
    book: ChequeBook
    cheat: Worker
    watcher: Worker

    async def clear(self) -> None:
        """Ends both processes."""
        await self.cheat.stop()
        await self.watcher.stop()


@dataclass(frozen=True, slots=True)
class Holdings:
    """Base units of everybody whom a conviction may touch."""

    operator_stake: int
    payer_in_dapp: int
    payee: int
    watcher: int
    to_be_burned: int


async def set_stage(cast: Cast, settings: Settings, cheat: str) -> Stage:
    """Gives the sleeping operator stake, an endpoint and a worker that cheats; starts the watcher.

    Args:
        cheat: the module that runs the dishonest operator, as `python -m` takes it.
    """
    devnet, contracts = cast.ready.devnet, cast.ready.devnet.contracts
    operator = devnet.sender(Person.SECOND_OWNER)
    treasurer = devnet.sender(Person.DEPLOYER)
    await fund(treasurer, contracts, operator.address, opg=_STAKE)
    staking, token = contracts.staking, contracts.token
    await operator.send(token.address, token.approve_data(staking.address, _STAKE))
    await operator.send(staking.address, staking.bond_data(operator.address, _STAKE))
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    await operator.send(staking.address, staking.set_endpoint_data(endpoint))
    book = await ChequeBook.open(
        contracts,
        treasurer,
        model_id=cast.ready.models["digits-mlp"],
        operator=operator.address,
        fee=1 * OPG,
        limit=CHEQUE_LIMIT,
    )
    await book.pay_in(cast.payer, 3_000 * OPG)
    await book.allow_fees(cast.payee)

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
        folder, operator.address, {"requester": Person.WATCHER}, serve_port=0, **common
    )
    watcher = Worker.spawn(file, folder / "watch.log", program=WATCH)
    return Stage(operator.address, book, worker, watcher)


async def play(cast: Cast, stage: Stage, say: Say) -> dict[str, Any]:
    """A cheque is read by the cheat; what happened, and the books."""
    say("second operator: awake now, with weights of 4 bits; it signs for the registered model")
    before = await _holdings(cast, stage)
    image = handwriting("1205").tobytes()
    cheque = Cheque(cast.payer.address, cast.payee.address, _CHEQUE_NUMBER, image)
    signature = await stage.book.sign(cheque, cast.payer.signer)
    request_id = await stage.book.present(cast.payee, cheque, signature)
    say(f"payee: cheque {_CHEQUE_NUMBER} presented to a dApp that the second operator answers")
    began = time.monotonic()
    await until(functools.partial(_is_voided, cast, request_id))
    story = await cast.clinic.story(request_id)
    answered, voided = story.find(RequestAnswered), story.find(AnswerVoided)
    assert answered is not None
    assert voided is not None
    blocks = voided.position.block_number - answered.position.block_number
    say(
        f"watcher: ran it again, found a number that cannot be, and proved it: answer void "
        f"{blocks} blocks after it was given"
    )
    after = await _holdings(cast, stage)
    say(
        f"court: {format_opg(voided.penalty)} OPG of its stake slashed; the cheque "
        "was not paid, and may be presented again"
    )
    return {
        "request": request_id,
        "blocks_from_answer_to_conviction": blocks,
        "seconds": round(time.monotonic() - began, 1),
        "slashed_opg": format_opg(voided.penalty),
        "who": _rows(before, after),
    }


async def _is_voided(cast: Cast, request_id: bytes) -> bool:
    return (await cast.clinic.story(request_id)).find(AnswerVoided) is not None


async def _holdings(cast: Cast, stage: Stage) -> Holdings:
    contracts = cast.ready.devnet.contracts
    staking, clearing = contracts.staking, stage.book.clearing
    watcher = signer_of(Person.WATCHER).address
    payee = cast.payee.address
    return Holdings(
        operator_stake=(await staking.status(stage.operator)).stake,
        payer_in_dapp=await clearing.view("balances", cast.payer.address),
        payee=await clearing.view("balances", payee) + await contracts.token.balance_of(payee),
        watcher=await staking.claimable(watcher),
        to_be_burned=await staking.pending_burn(),
    )


def _rows(before: Holdings, after: Holdings) -> list[dict[str, str]]:
    names = {
        "operator_stake": "the operator's stake",
        "payer_in_dapp": "the payer's money in the dApp",
        "payee": "the payee, who waited",
        "watcher": "the watcher's reward",
        "to_be_burned": "burned",
    }
    rows = []
    for name, words in names.items():
        first, last = getattr(before, name), getattr(after, name)
        sign = "-" if last < first else "+" if last > first else ""
        rows.append(
            {
                "who": words,
                "before_opg": format_opg(first),
                "after_opg": format_opg(last),
                "change_opg": sign + format_opg(abs(last - first)),
            }
        )
    return rows


def _folder(settings: Settings, name: str) -> Path:
    folder = settings.data_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
