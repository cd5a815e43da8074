"""One accepted request on a whole deployment, answered and accused as often as a test likes.

Responsible for the transactions, really signed, and for putting the chain back after each trial.
Knows neither what is wrong with an answer nor what is proven of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from oracle.chain.court_contract import Disputed, decode_logs
from oracle.chain.proof_coder import encode_proof
from oracle.chain.revert import decode_revert
from oracle.chain.sender import TransactionSender
from oracle.chain.wire import to_bytes, to_hex, to_int
from oracle.core.dispute import FraudProven, HeldShare
from oracle.core.model import ModelTerms
from oracle.core.receipt import Answer, AnswerCommitment
from oracle.core.request import Request, RequestState
from oracle.core.schema import ModelSchema
from oracle.core.transaction import Call, Fees
from oracle.core.types import Address, Tier
from oracle.court.proof import Proof
from oracle.court.proving import Prover
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import register_model
from oracle.errors import ContractReverted
from oracle.ports.contracts import AnswerItem
from oracle.program.profile import profile_hash
from tests.contracts.harness import Chain
from tests.contracts.message_runs import message_of
from tests.support.scene import BOND, Scene, terms
from tests.support.signing import transaction_of

GAS: Final = 16_777_216
"""EIP-7825: what one transaction may use."""
SHARE: Final = BOND * 3 // 10
WINDOW: Final = 600
FEES: Final = Fees(max_fee=100 * 10**9, max_priority_fee=10**9)
CALLS: Final = 50
"""In one HTTP request."""

Refusal: TypeAlias = tuple[str, dict[str, Any]]
"""The name of a custom error, and its arguments."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one transaction of a watcher came to.

    Attributes:
        refused: the revert's name and arguments; None where the transaction succeeded.
        stake_lost: by the operator, base units.
        proven: the court's event.
        share: the watcher's, held because nobody had announced the proof.
    """

    refused: Refusal | None
    state: RequestState
    stake_lost: int
    proven: FraudProven | None
    share: HeldShare
    gas: int


class Docket:
    """A model's request that an operator accepted; each answer to it is undone."""

    def __init__(self, scene: Scene, model: ModelTerms, request: Request) -> None:
        self._scene = scene
        self._terms = model
        self._request = request
        self._request_id = request.id(scene.contracts.oracle.domain)
        self._chain = Chain(scene.chain.url)
        self._watcher = scene.chain.sender(Person.WATCHER)
        staking = scene.contracts.staking
        self._stake_call = (staking, "positions", (scene.owner.address,))
        self._stake: int = self._ask([self._stake_call])[0][0]

    @classmethod
    async def open(cls, scene: Scene, prover: Prover, schema: ModelSchema, name: str) -> Docket:
        """Registers the program, asks it about the inputs of an honest trace, and accepts."""
        tier: Tier = prover.program.tier
        model = replace(
            terms(), program_root=prover.encoded.root, profile_hash=profile_hash(tier),
            schema_hash=schema.schema_hash, tier=tier, challenge_window=WINDOW, reveal_window=10,
        )  # fmt: skip
        model_id = await register_model(
            scene.owner, scene.contracts, model, name=name, schema=schema, uri=f"file:///{name}"
        )
        params = await scene.params(seconds=3_000)
        params = replace(params, model_id=model_id, window=WINDOW)
        given = message_of(prover.program.inputs, prover.trace)
        request = (await scene.request(params, given)).request
        await scene.accept(request)
        return cls(scene, model, request)

    def accuse(self, answered: Prover, proof: Proof) -> Trial:
        """The operator answers with a trace, and the watcher sends one transaction."""
        with self._answered(answered) as disputed:
            court = self._scene.contracts.court
            data = court.prove_fraud_data(disputed, encode_proof(proof))
            receipt = self._send(self._watcher, court.address, data)
            mined = receipt["status"] == "0x1"
            refused = None if mined else self._refusal(data)
            share, stored, position = self._ask(
                [
                    (court, "heldShareOf", (self._request_id,)),
                    (self._scene.contracts.oracle, "stateOf", (self._request_id,)),
                    self._stake_call,
                ]
            )
            events = [one for one in decode_logs(receipt["logs"]) if isinstance(one, FraudProven)]
            assert len(events) == mined
            return Trial(
                refused=refused,
                state=RequestState(stored[0]),
                stake_lost=self._stake - position[0],
                proven=events[0] if events else None,
                share=HeldShare(*share),
                gas=to_int(receipt["gasUsed"]),
            )

    def refusals(self, answered: Prover, proofs: Sequence[Proof]) -> list[Refusal | None]:
        """Why `proveFraud` would fail with each of several proofs; None where it would not."""
        with self._answered(answered) as disputed:
            court = self._scene.contracts.court
            encoded = [court.prove_fraud_data(disputed, encode_proof(proof)) for proof in proofs]
            return [self._reason(reply) for reply in self._calls(encoded)]

    @property
    def watcher(self) -> Address:
        return self._watcher.address

    @contextmanager
    def _answered(self, prover: Prover) -> Iterator[Disputed]:
        """An answer that says what the trace says, however wrong; undone at the end."""
        oracle, scene = self._scene.contracts.oracle, self._scene
        before = self._chain.request("evm_snapshot")
        try:
            result = message_of(prover.program.outputs, prover.trace)
            root = prover.commitment.trace_root
            owner = scene.owner.address
            answer = Answer.of(self._request_id, self._request, owner, result, root)
            signature = scene.signer.signer.sign_digest(answer.digest(oracle.domain))
            item = AnswerItem(self._request, result, root)
            data = oracle.answer_data(item, owner, signature)
            receipt = self._send(scene.signer, oracle.address, data)
            assert receipt["status"] == "0x1", receipt
            commitment = AnswerCommitment.of(answer)
            yield Disputed(self._request, commitment, owner, self._terms)
        finally:
            assert self._chain.request("evm_revert", before) is True

    def _send(self, who: TransactionSender, to: Address, data: bytes) -> dict[str, Any]:
        """The receipt of a transaction, succeeded or not."""
        nonce = to_int(self._chain.request("eth_getTransactionCount", who.address, "latest"))
        _, raw = transaction_of(
            who.signer,
            chain_id=self._scene.chain.chain_id,
            nonce=nonce,
            call=Call(to, data, GAS),
            fees=FEES,
        )
        receipt: dict[str, Any] = self._chain.request("eth_sendRawTransactionSync", to_hex(raw))
        return receipt

    def _refusal(self, data: bytes) -> Refusal:
        """Why the transaction that was mined last failed: a failure changed nothing."""
        (reply,) = self._calls([data])
        reason = self._reason(reply)
        assert reason is not None
        return reason

    def _calls(self, encoded: Sequence[bytes]) -> list[dict[str, Any]]:
        message = {
            "from": self._watcher.address,
            "to": self._scene.contracts.court.address,
            "gas": hex(GAS),
        }
        calls = [("eth_call", [{**message, "data": to_hex(one)}, "latest"]) for one in encoded]
        return [
            reply
            for start in range(0, len(calls), CALLS)
            for reply in self._chain.batch(calls[start : start + CALLS])
        ]

    def _reason(self, reply: dict[str, Any]) -> Refusal | None:
        if "error" not in reply:
            return None
        reverted: ContractReverted = decode_revert(to_bytes(reply["error"]["data"]))
        return reverted.name, reverted.arguments

    def _ask(self, views: Sequence[tuple[Any, str, Sequence[object]]]) -> list[Any]:
        """What views of contracts return, asked at once."""
        calls = [
            ("eth_call", [{"to": one.address, "data": to_hex(one.encode(name, *given))}, "latest"])
            for one, name, given in views
        ]
        replies = self._chain.batch(calls)
        results = [
            one.abi.functions[name].decode(to_bytes(reply["result"]))
            for (one, name, _), reply in zip(views, replies, strict=True)
        ]
        return [found[0] if len(found) == 1 else found for found in results]
