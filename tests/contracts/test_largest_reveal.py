"""What showing as much as one demand may ask for takes: an operator keeps coin for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from oracle.bench.dispute_trial import TRANSACTION_GAS_CAP, _Court, _court
from oracle.bootstrap.devnet import OPG
from oracle.chain.court_reader import CourtReader
from oracle.chain.proof_coder import encode_place
from oracle.core.schema import ElementType
from oracle.court.opening import open_record, open_trace
from oracle.court.proof import Place
from oracle.court.proving import Prover
from oracle.devnet.accounts import Person
from oracle.devnet.bring_up import fund
from oracle.program.instruction import Trace
from oracle.service.attempts import with_headroom
from oracle.service.funds import GAS_OF_A_REVEAL
from tests.contracts.courtroom import committed
from tests.support.small_programs import small_program

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

AROUND = 4_000_000
"""Bytes before and after what is shown, so that its path is long."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What `_Court` wants of a lie."""

    name: str
    prover: Prover


async def test_coin_is_kept_for_the_largest_reveal() -> None:
    async with _court() as court:
        token, watcher = court._contracts.token, court._watcher
        treasurer = court._devnet.sender(Person.DEPLOYER)
        await fund(treasurer, court._contracts, watcher.address, opg=10_000 * OPG)
        approval = token.approve_data(court._binding.address, 2**96 - 1)
        await watcher.send(token.address, approval)
        limits = await court._binding.limits()
        for leaf_bytes in (64, 4_096):
            used = await shown(court, leaf_bytes, limits.max_reveal_bytes)
            assert used > 40 * limits.max_reveal_bytes, "the floor of its calldata"
            assert with_headroom(used) <= GAS_OF_A_REVEAL < 1.05 * with_headroom(used)


async def shown(court: _Court, leaf_bytes: int, size: int) -> int:
    """Gas of showing all leaves of a tensor of so many bytes, none of them zero."""
    sizes = (AROUND, size, AROUND)
    program = small_program([(ElementType.UINT8, one) for one in sizes], leaf_bytes=leaf_bytes)
    random = np.random.default_rng(1)
    trace = Trace((tuple(random.integers(1, 256, size=one, dtype=np.uint8) for one in sizes),))
    prover = committed(program, trace)
    disputed = await court._answered(Shown(f"leaves of {leaf_bytes}", prover))  # type: ignore[arg-type]
    count = size // leaf_bytes
    record = open_record(prover.encoded, program.producer[1] + 1)
    place = Place(prover.encoded.header, record, input=0, rows=1, row=0, first=0, count=count)
    binding = court._binding
    demand_data = binding.demand_reveal_data(disputed, encode_place(place), 2**95)
    await court._watcher.send(binding.address, demand_data)
    request_id = disputed.request.id(court._contracts.oracle.domain)
    head = (await court._devnet.rpc.latest()).number
    reader = CourtReader(court._devnet.rpc, binding.address)
    (demand,) = (await reader.proceedings(request_id, 0, head)).demands
    opening = open_trace(program, trace, prover.commitment, row=0, tensor=1, first=0, count=count)
    data = binding.reveal_data(disputed.request, demand, opening.data, opening.path)
    sent = await court._signer.send(binding.address, data, gas=TRANSACTION_GAS_CAP)
    return sent.mined.gas_used
