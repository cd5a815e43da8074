"""The receipts of a node's own answers: from its database, and two facts that only the chain has.

What is signed is read back from the calldata that was mined, so a receipt from here is the same
document as one that a reader makes from the chain. A request that was not answered by this
operator costs one look into the database. Serves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle.client.receipt_reader import posted_receipt
from oracle.core.job import Job
from oracle.core.saved_receipt import Contracts, Posted, RegisteredModel, SavedReceipt
from oracle.core.transaction import Mined, Purpose, Transaction, TransactionState
from oracle.errors import NotFound
from oracle.ports.contracts import RegistryContract
from oracle.ports.jobs import JobStore
from oracle.ports.reading import ChainReader
from oracle.ports.sending import TransactionStore


@dataclass(frozen=True, slots=True)
class NodeReceipts:
    """`ports.ReceiptSource` over a node's stores. `contracts` is the deployment it works for."""

    contracts: Contracts
    jobs: JobStore
    transactions: TransactionStore
    chain: ChainReader
    registry: RegistryContract

    async def receipt(self, request_id: bytes) -> SavedReceipt | None:
        """The receipt, from the moment that the answer's transaction is known to be mined.

        Raises:
            ChainUnreachable: the chain does not answer.
        """
        job = await self.jobs.job(request_id)
        if job is None or job.answered_block is None:
            return None
        sent = await self.transactions.transactions_for(request_id)
        found = _answering(sent, job.answered_block)
        if found is None:
            return None
        transaction, mined = found
        block = await self.chain.block(mined.block_number)
        if block is None or block.hash != mined.block_hash:
            return None  # a reorg that the node has not seen yet
        # Not the job's: a dispute moves that, and the receipt is of what the answer's log says.
        settle_at = block.timestamp + job.request.window
        posted = Posted(block.number, block.hash, mined.attempt_hash, settle_at)
        return await self._saved(job, transaction, posted)

    async def _saved(
        self, job: Job, transaction: Transaction, posted: Posted
    ) -> SavedReceipt | None:
        model = await self.registry.model(job.request.model_id)
        try:
            receipt = posted_receipt(
                transaction.call.data, self.contracts.domain, job.request_id, model.terms.tier
            )
        except NotFound:
            return None
        return SavedReceipt(
            contracts=self.contracts,
            request_id=job.request_id,
            request=job.request,
            input=job.input,
            answer=receipt.answer,
            result=job.result or b"",
            signer=receipt.signer,
            signature=receipt.signature,
            batch=receipt.batch,
            posted=posted,
            model=RegisteredModel(
                model.id, model.registrar, model.terms, model.name, model.schema, model.uri
            ),
        )


def _answering(sent: Sequence[Transaction], block_number: int) -> tuple[Transaction, Mined] | None:
    """The transaction whose log is the answer; a batch can be mined without one of its items."""
    for one in sent:
        answers = one.purpose is Purpose.ANSWER and one.state is TransactionState.MINED
        if answers and one.mined is not None and one.mined.block_number == block_number:
            return one, one.mined
    return None
