"""What the chain says of a request now: read once, through one endpoint, for all steps.

Responsible for reading what a saved receipt cannot prove by itself. Judges nothing. It believes the
endpoint: who does not should ask several.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.client.reader import OracleReader
from oracle.client.story import Story
from oracle.core.event import BlockRef, RequestAnswered
from oracle.core.operator import OperatorStatus
from oracle.core.saved_receipt import Contracts, RegisteredModel
from oracle.core.types import Address
from oracle.errors import NotFound
from oracle.ports.contracts import OnChainRequest
from oracle.verify.evidence import contracts_of, registered_model
from oracle.verify.signers import KeyChange, key_changes


@dataclass(frozen=True, slots=True)
class NotReached:
    """There are no facts, and why: the end of a sentence that begins with "because"."""

    reason: str


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """Who answered: what stands behind it now, where it is found, and its keys over time."""

    status: OperatorStatus | None
    endpoint: str | None
    keys: tuple[KeyChange, ...]


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What one endpoint says. `story` is None where the oracle has never seen the request.

    `answer_block` is the block that the chain has at the height of the claimed answer, and
    `now` the head's Unix second.
    """

    contracts: Contracts
    story: Story | None
    state: OnChainRequest
    model: RegisteredModel | str
    operator: OperatorFacts | None
    answer_block: BlockRef | None
    now: int

    @property
    def answered(self) -> RequestAnswered | None:
        """The event of the answer."""
        return self.story.answered if self.story else None


async def read_facts(
    reader: OracleReader,
    claimed: Contracts,
    request_id: bytes,
    model_id: bytes,
    answered_by: Address | None,
    block_number: int | None,
) -> ChainFacts | NotReached:
    """Reads what the steps need of the chain that the contracts claim to be on.

    Raises:
        ChainUnreachable: the endpoint does not answer, or not with what can be read.
    """
    contracts = await contracts_of(reader)
    if claimed.chain_id != contracts.chain_id:
        return NotReached(
            f"it is of chain {claimed.chain_id}, and the endpoint serves chain {contracts.chain_id}"
        )
    if claimed.oracle != contracts.oracle:
        return NotReached(
            f"it is of the oracle {claimed.oracle}, and the deployment file names another one, "
            f"{contracts.oracle}"
        )
    try:
        story = await reader.story(request_id)
    except NotFound:
        story = None
    head = await reader.rpc.latest()
    return ChainFacts(
        contracts=contracts,
        story=story,
        state=await reader.state(request_id),
        model=await registered_model(reader, model_id),
        operator=None if answered_by is None else await _operator(reader, answered_by, head.number),
        answer_block=None if block_number is None else await reader.rpc.block(block_number),
        now=head.timestamp,
    )


async def _operator(reader: OracleReader, operator: Address, last_block: int) -> OperatorFacts:
    try:
        status = await reader.staking.status(operator)
    except NotFound:
        status = None
    first_block = reader.deployment.deployed_block
    return OperatorFacts(
        status=status,
        endpoint=await reader.endpoint(operator),
        keys=await key_changes(reader.rpc, reader.staking, operator, first_block, last_block),
    )
