"""The example dApp at work: cheques in real handwriting, written, presented and cleared.

Plays the payer and the payee of `contracts/examples/ChequeClearing.sol`. The amount of a cheque is
in its image only; nobody but the model reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray

from oracle.chain.binding import Binding
from oracle.chain.codec import decode_logs
from oracle.chain.contracts import Contracts
from oracle.chain.deployer import deploy_example
from oracle.chain.keystore import LocalSigner
from oracle.chain.logs import LogScanner
from oracle.chain.sender import TransactionSender
from oracle.chain.wire import to_bytes
from oracle.core.event import RequestSeen
from oracle.core.types import Address
from oracle.devnet.samples import sample
from oracle.errors import NotFound

OPG = 10**18
DIGITS = 4
MINIMUM_PROBABILITY = 8 * 10**17
BOUNCE_REASONS = ("illegible", "above the limit", "insufficient funds")


@dataclass(frozen=True, slots=True)
class Cheque:
    """A cheque as the payer writes it: who may cash which image."""

    payer: Address
    payee: Address
    number: int
    image: bytes

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order; the image by its Keccak-256."""
        return self.payer, self.payee, self.number, keccak(self.image)


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of a cheque: `amount` in base units where it was paid, else why it bounced."""

    amount: int
    bounced: str | None


class ChequeBook:
    """One deployed clearing contract and the people who use it."""

    def __init__(self, contracts: Contracts, clearing: Binding) -> None:
        self.contracts = contracts
        self.clearing = clearing

    @classmethod
    async def open(
        cls,
        contracts: Contracts,
        deployer: TransactionSender,
        *,
        model_id: bytes,
        operator: Address,
        fee: int,
        limit: int,
    ) -> ChequeBook:
        """Deploys the dApp for a digit model and one operator."""
        clearing = await deploy_example(
            deployer,
            "ChequeClearing",
            contracts.oracle.address,
            model_id,
            operator,
            fee,
            limit,
            MINIMUM_PROBABILITY,
        )
        return cls(contracts, clearing)

    async def pay_in(self, payer: TransactionSender, amount: int) -> None:
        """The payer deposits base units that its cheques draw on."""
        token = self.contracts.token
        await payer.send(token.address, token.approve_data(self.clearing.address, amount))
        await payer.send(
            self.clearing.address, self.clearing.encode("deposit", payer.address, amount)
        )

    async def allow_fees(self, payee: TransactionSender) -> None:
        """The payee lets the contract pull the fees of its presentations."""
        token = self.contracts.token
        await payee.send(token.address, token.approve_data(self.clearing.address, 2**96 - 1))

    async def withdraw(self, account: TransactionSender) -> None:
        """Pays out all that an account holds here."""
        balance = await self.clearing.view("balances", account.address)
        await account.send(self.clearing.address, self.clearing.encode("withdraw", balance))

    async def sign(self, cheque: Cheque, payer: LocalSigner) -> bytes:
        """The payer's EIP-712 signature of the cheque."""
        return payer.sign_digest(await self.clearing.view("chequeDigest", cheque.as_tuple()))

    async def present(self, payee: TransactionSender, cheque: Cheque, signature: bytes) -> bytes:
        """The payee presents a cheque, and pays for its being read; the request's id."""
        sent = await payee.send(
            self.clearing.address,
            self.clearing.encode("present", cheque.as_tuple(), cheque.image, signature),
        )
        oracle = self.contracts.oracle.address.lower()
        ours = [log for log in sent.logs if log["address"].lower() == oracle]
        return next(e for e in decode_logs(ours) if isinstance(e, RequestSeen)).request_id

    async def outcome(self, request_id: bytes) -> Cleared:
        """What the dApp did when the answer was final. Raises NotFound where it did nothing yet."""
        head = await self.contracts.rpc.latest()
        logs = await LogScanner(self.contracts.rpc, self.clearing.address).scan(
            self.contracts.deployment.deployed_block,
            head.number,
            [None, "0x" + request_id.hex()],
        )
        for log in reversed(logs):
            topic = to_bytes(log["topics"][0])
            indexed = b"".join(to_bytes(part) for part in log["topics"][1:])
            for name in ("ChequePaid", "ChequeBounced"):
                event = self.clearing.abi.events[name]
                if event.topic == topic:
                    _, (_, last) = event.decode(indexed, to_bytes(log["data"]))
                    if name == "ChequePaid":
                        return Cleared(last, None)
                    return Cleared(0, BOUNCE_REASONS[last])
        raise NotFound("the cheque has not cleared")


def handwriting(digits: str, *, pick: int = 0) -> NDArray[np.float32]:
    """Images of these digits from the held-out data: float32 [len(digits), 8 x 8], 0 to 16.

    Args:
        pick: which of the held-out images of a digit is taken.
    """
    images, labels = sample("digits-mlp").held_out_samples()
    chosen = [images[np.flatnonzero(labels == int(digit))[pick]] for digit in digits]
    return np.stack(chosen).astype(np.float32)


def smudged(digits: str, over: str) -> NDArray[np.float32]:
    """Digits written over others: the mean of both images."""
    mixed: NDArray[np.float32] = (handwriting(digits) + handwriting(over)) / np.float32(2)
    return mixed
