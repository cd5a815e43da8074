"""What convicting one element costs: real transactions, on a chain whose every byte is fixed.

Each lie is answered twice: one answer is convicted by an announced proof, the other at once. In
steady state: whoever is paid or slashed has been before. Knows nothing of what the lies are.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oracle.bench.dispute_rows import Lie, lies
from oracle.bench.flood import BOND, FEE
from oracle.bootstrap.devnet import OPG, standing_offer
from oracle.chain import abi
from oracle.chain.court_contract import NO_SALT, CourtBinding, Disputed
from oracle.chain.oracle_contract import RequestParams
from oracle.chain.proof_coder import encode_proof
from oracle.chain.sender import TransactionSender
from oracle.core.dispute import announcement_of
from oracle.core.event import RequestSeen
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.receipt import Answer, AnswerCommitment
from oracle.core.types import ZERO_ADDRESS, Address, Tier
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.anvil import AnvilOptions
from oracle.devnet.bring_up import (
    Devnet,
    bring_up,
    deposit,
    fund,
    register_model,
    register_operator,
)
from oracle.devnet.samples import sample
from oracle.inference.model_file import inspect
from oracle.ports.contracts import AnswerItem
from oracle.program.profile import profile_hash

Say = Callable[[str], None]

TRANSACTION_GAS_CAP: Final = 16_777_216
"""EIP-7825: what one transaction may use."""

_TRANSACTION_GAS = 21_000
_TOKEN_GAS, _FLOOR_TOKEN_GAS, _TOKENS_A_BYTE = 4, 10, 4
"""EIP-7623: of calldata; a zero byte is one token."""

_GENESIS = 1_800_000_000
_DEADLINE = _GENESIS + 3_000
_WINDOW = 600
_INPUT, _RESULT = bytes(range(256)), bytes(range(1, 49))
"""The court looks at neither: the proof is of an element."""
_SALT = b"\x5a" * 32


@dataclass(frozen=True, slots=True)
class Trial:
    """What one lie cost. Gas is of whole transactions, calldata included.

    Attributes:
        judge: the verifier's verdict alone, in a transaction of its own; `target` is for it.
        prove: the announced proof that voids the answer, slashes and pays.
        prove_calldata: what of `prove` is for calldata.
        floor: whether `prove` is no more than the least that EIP-7623 asks for its calldata.
        prove_unannounced: the proof that nobody announced; the share is held.
    """

    row: str
    leaf_bytes: int
    proof_bytes: int
    judge: int
    target: int | None
    announce: int
    prove: int
    prove_calldata: int
    floor: bool
    prove_unannounced: int

    @property
    def ok(self) -> bool:
        """Whether judging keeps to its target, and one transaction can convict."""
        within = self.target is None or self.judge <= self.target
        return within and max(self.prove, self.prove_unannounced) < TRANSACTION_GAS_CAP


async def measure(say: Say) -> list[Trial]:
    """A trial for each lie."""
    async with _court() as court:
        found: list[Trial] = []
        for lie in lies():
            if not found:  # the first conviction opens accounts
                await court.trial(lie)
            say(f"rows: {lie.name}")
            found.append(await court.trial(lie))
        return found


class _Court:
    """A chain with an operator that signs whatever it is given."""

    def __init__(self, devnet: Devnet) -> None:
        self._devnet = devnet
        self._contracts = devnet.contracts
        self._binding = CourtBinding(devnet.rpc, devnet.contracts.deployment.court)
        self._owner = devnet.sender(Person.OWNER)
        self._signer = devnet.sender(Person.SIGNER)
        self._requester = devnet.sender(Person.REQUESTER)
        self._watcher = devnet.sender(Person.WATCHER)

    async def prepare(self) -> None:
        """Gives everybody what their part takes."""
        contracts, treasurer = self._contracts, self._devnet.sender(Person.DEPLOYER)
        stake = 50 * BOND
        await fund(treasurer, contracts, self._owner.address, opg=stake)
        await fund(treasurer, contracts, self._requester.address, opg=1_000 * OPG)
        await register_operator(
            self._owner,
            contracts,
            signer=self._signer.address,
            payout=signer_of(Person.PAYOUT).address,
            bond=stake,
        )
        await deposit(self._requester, contracts, 100 * FEE)

    async def trial(self, lie: Lie) -> Trial:
        """Tells the lie twice and convicts it twice."""
        proof = encode_proof(lie.proof)
        announced = await self._answered(lie)
        claim = announced.claim
        judge = abi.load("FraudVerifier").functions["judge"].encode(claim.as_tuple(), proof)
        judged = await self._gas(self._watcher, self._contracts.deployment.verifier, judge)
        request_id = announced.request.id(self._contracts.oracle.domain)
        announcement = announcement_of(self._watcher.address, request_id, proof, _SALT)
        announce = await self._to_court(self._binding.announce_data(announcement))
        await self._pass_time((await self._binding.limits()).announcement_age)
        data = self._binding.prove_fraud_data(announced, proof, _SALT)
        prove = await self._to_court(data)
        calldata, floor = _calldata(data, prove)
        at_once = self._binding.prove_fraud_data(await self._answered(lie), proof, NO_SALT)
        return Trial(
            row=lie.name,
            leaf_bytes=lie.prover.program.leaf_bytes,
            proof_bytes=len(proof),
            judge=judged,
            target=lie.target,
            announce=announce,
            prove=prove,
            prove_calldata=calldata,
            floor=floor,
            prove_unannounced=await self._to_court(at_once),
        )

    async def _answered(self, lie: Lie) -> Disputed:
        """A request for the lie's program, answered with the lie."""
        oracle, schema = self._contracts.oracle, inspect(sample("digits-mlp").file).schema
        terms = ModelTerms(
            program_root=lie.prover.encoded.root,
            profile_hash=profile_hash(Tier.ROUNDED),
            schema_hash=schema.schema_hash,
            tier=Tier.ROUNDED,
            challenge_window=_WINDOW,
            reveal_window=_WINDOW // 4,
            min_bond=10 * OPG,
            epsilon=UNCERTIFIED,
        )
        model_id = await register_model(
            self._owner, self._contracts, terms, name=lie.name, schema=schema, uri=""
        )
        staking = self._contracts.staking
        if await staking.offer(self._owner.address, model_id) != standing_offer():
            offer = staking.set_offer_data(model_id, standing_offer())
            await self._owner.send(staking.address, offer)
        params = RequestParams(
            consumer=ZERO_ADDRESS,
            model_id=model_id,
            operator=self._owner.address,
            fee=FEE,
            bond=BOND,
            value_at_risk=0,
            deadline=_DEADLINE,
            window=_WINDOW,
            callback_gas_limit=0,
            eager=False,
        )
        sent = await self._requester.send(oracle.address, oracle.request_data(params, _INPUT))
        request = next(one for one in sent.events if isinstance(one, RequestSeen)).request
        trace_root = lie.prover.commitment.trace_root
        answer = Answer.of(
            request.id(oracle.domain), request, self._owner.address, _RESULT, trace_root
        )
        signature = self._signer.signer.sign_digest(answer.digest(oracle.domain))
        item = AnswerItem(request, _RESULT, trace_root)
        data = oracle.answer_data(item, self._owner.address, signature)
        await self._signer.send(oracle.address, data)
        return Disputed(request, AnswerCommitment.of(answer), self._owner.address, terms)

    async def _to_court(self, data: bytes) -> int:
        return await self._gas(self._watcher, self._binding.address, data)

    async def _gas(self, who: TransactionSender, to: Address, data: bytes) -> int:
        return (await who.send(to, data, gas=TRANSACTION_GAS_CAP)).mined.gas_used

    async def _pass_time(self, seconds: int) -> None:
        await self._devnet.rpc.request("evm_increaseTime", [seconds])
        await self._devnet.rpc.request("evm_mine")


@asynccontextmanager
async def _court() -> AsyncIterator[_Court]:
    """A chain of its own, gone when the context ends.

    Its clock starts at a fixed second, so that no time in calldata has other bytes than before.
    """
    with tempfile.TemporaryDirectory(prefix="oracle-bench-") as name:
        folder = Path(name)
        more = ("--block-base-fee-per-gas", "0", "--timestamp", str(_GENESIS))
        devnet = await bring_up(folder, folder / "deployment.json", AnvilOptions(more=more))
        try:
            court = _Court(devnet)
            await court.prepare()
            yield court
        finally:
            await devnet.rpc.close()
            devnet.state.stop(folder)


def _calldata(data: bytes, used: int) -> tuple[int, bool]:
    """What of a transaction's gas is for its calldata, and whether that is the floor."""
    zeros = data.count(0)
    tokens = zeros + _TOKENS_A_BYTE * (len(data) - zeros)
    floor = used == _TRANSACTION_GAS + _FLOOR_TOKEN_GAS * tokens
    return tokens * (_FLOOR_TOKEN_GAS if floor else _TOKEN_GAS), floor
