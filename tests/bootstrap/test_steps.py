"""What is due by the wall clock is done without it, too."""

from __future__ import annotations

from pathlib import Path

from oracle.bootstrap.steps import duties_of, give_duties_a_floor
from oracle.service.node import Step
from oracle.settings import Settings


async def nothing() -> bool:
    return False


def test_a_step_with_a_duty_runs_a_little_later_though_its_doorbell_is_silent(
    tmp_path: Path,
) -> None:
    """A scheduler by the wall clock rings nobody until a clock that was set back has caught up."""
    settings = Settings(data_dir=tmp_path)
    duties = duties_of(settings)
    assert {duty.step for duty in duties} == {"settle", "follow", "retain"}
    steps = [*(Step(duty.step, nothing) for duty in duties), Step("other", nothing)]
    give_duties_a_floor(steps, duties)
    for step, duty in zip(steps, duties, strict=False):
        assert step.idle_seconds is not None
        assert duty.every_seconds < step.idle_seconds < 2 * duty.every_seconds
    assert steps[-1].idle_seconds is None
