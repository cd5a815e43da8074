"""When an own run is a reason to demand: beyond the certified bar, and never for a rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oracle.core.model import UNCERTIFIED
from oracle.core.receipt import AnswerCommitment
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.errors import InferenceError, OracleError
from oracle.ports.inference import Inference, Tensors
from oracle.program.encoding import encode
from oracle.watcher.own_run import OwnRun, run_again
from oracle.watcher.subject import OpenedProgram, Subject
from tests.service.fakes import INPUT as MESSAGE
from tests.service.fakes import OPERATOR, OUTPUT, good, model, request
from tests.support.small_programs import small_program

WAD = 10**18


class Machine:
    """Gives what it is told to give."""

    def __init__(self, outcome: Inference | OracleError) -> None:
        self._outcome = outcome

    async def run(
        self, file: bytes, root: bytes, schema: ModelSchema, tier: Tier, inputs: Tensors
    ) -> Inference:
        if isinstance(self._outcome, OracleError):
            raise self._outcome
        return self._outcome


async def found(
    result: bytes,
    outcome: Inference | OracleError | None = None,
    *,
    message: bytes = MESSAGE,
    epsilon: int = UNCERTIFIED,
    tier: Tier = Tier.ROUNDED,
) -> OwnRun:
    asked = model()
    asked = replace(asked, terms=replace(asked.terms, tier=tier, epsilon=epsilon))
    commitment = AnswerCommitment(OPERATOR, b"\x01" * 32, b"\x02" * 32)
    subject = Subject(b"\x03" * 32, request(), message, result, commitment, asked)
    program = small_program()
    opened = OpenedProgram(b"", program, encode(program))
    return await run_again(subject, opened, lambda: Machine(outcome or good()))


def off(by: float) -> bytes:
    return (OUTPUT + np.float32(by)).astype(np.float32).tobytes()


async def test_the_same_answer_is_no_reason() -> None:
    assert (await found(OUTPUT.tobytes())).differs is None


@pytest.mark.parametrize(
    ("epsilon", "tier", "agrees"),
    [
        (WAD // 10, Tier.ROUNDED, True),
        (WAD // 1000, Tier.ROUNDED, False),
        (UNCERTIFIED, Tier.ROUNDED, False),
        (WAD, Tier.EXACT, False),
    ],
)
async def test_the_certified_bar_decides(epsilon: int, tier: Tier, agrees: bool) -> None:
    own = await found(off(0.01), epsilon=epsilon, tier=tier)
    assert (own.differs is None) == agrees, own


@pytest.mark.parametrize("said", [b"", OUTPUT.tobytes()[:-1], off(np.nan), off(np.inf)])
async def test_what_is_no_result_differs(said: bytes) -> None:
    assert (await found(said, epsilon=WAD)).differs is not None


async def test_nan_agrees_with_nan_and_with_nothing_else() -> None:
    hollow = np.full_like(OUTPUT, np.nan)
    nan = replace(good(), outputs={"y": hollow})
    assert (await found(hollow.tobytes(), nan)).differs is None
    assert (await found((-hollow).tobytes(), nan)).differs is None, "of other bits"
    for epsilon in (WAD, UNCERTIFIED):
        own = await found(OUTPUT.tobytes(), nan, epsilon=epsilon)
        assert own.differs == "y is 3.0 at [0, 0], nan on this machine"
    assert "the result is empty" in ((await found(b"", nan)).differs or "")


async def test_a_result_that_fits_no_transaction_may_be_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oracle.court.message.MAX_RESULT_BYTES", 3)
    assert (await found(b"")).differs is None


async def test_a_malformed_input_and_a_machine_that_cannot() -> None:
    assert "malformed" in ((await found(b"", message=b"\0")).differs or "")
    unable = await found(OUTPUT.tobytes(), InferenceError("out of memory"))
    assert unable.differs is None
    assert "out of memory" in (unable.failure or "")
