"""A step that may run models is given the time that models may take."""

from __future__ import annotations

from types import SimpleNamespace

from oracle.bootstrap.guard import guard
from oracle.service.node import Step
from oracle.settings import Settings
from tests.service.fakes import Clock, Gateway


async def nothing() -> bool:
    return False


def test_whatever_runs_models_has_their_time_and_is_seen_to_get_on() -> None:
    """To show what is demanded a trace may have to be made again."""
    settings = Settings.model_construct()
    steps = {name: Step(name, nothing) for name in ("infer", "admit", "reveal", "answer")}
    engine = SimpleNamespace(last_progress=7.0)
    made = guard(settings, Clock(), Gateway(), lambda: ())  # type: ignore[arg-type]
    made.watch([*steps.values()], settings, engine)  # type: ignore[arg-type]
    longer = settings.inference_timeout_seconds + settings.model_load_seconds
    for name in ("infer", "admit", "reveal"):
        assert steps[name].patience_seconds == settings.hang_seconds + longer
        assert steps[name].progress() == 7.0
    assert steps["answer"].patience_seconds == settings.hang_seconds
