"""How long an operator gets to show what is demanded: what suits a program, and what is refused.

The longer a reveal window, the fewer demands fit into the time that a deployment has for disputes,
and the deeper a program, the more of them a watcher may need. Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from oracle.chain.deployment import DeploymentParameters
from oracle.core.model import untimely
from oracle.court.ahead import program_depth
from oracle.errors import InputError
from oracle.program.instruction import Program

_SHORTEST_SUGGESTED: Final = 600
"""Seconds in which a node that restarts, behind a full chain, still shows what it has."""

_LEAST_ROUNDS: Final = 12
"""Windows that fit the allowance, however shallow a program is."""


@dataclass(frozen=True, slots=True)
class RevealAdvice:
    """Of one program in one deployment; times in seconds.

    Attributes:
        depth: demands, one after the other, that a walk of a step at a time takes at most.
        available: what the dispute limit leaves after an answer, at least.
        allowance: what disputes may add to an answer's window.
        sensible: the longest window with which such a walk ends in time.
        suggested: what a model gets unless its registrar says otherwise.
    """

    depth: int
    available: int
    allowance: int
    sensible: int
    suggested: int

    def require(self, reveal_window: int) -> None:
        """Raises InputError where demands within the challenge window could be refused."""
        reason = untimely(reveal_window, self.allowance)
        if reason is not None:
            raise InputError(reason, hint=f"--reveal-window {self.suggested} suits this program")

    def warning(self, reveal_window: int) -> str | None:
        """What is to be said of a window that a slow walk does not fit into."""
        needed = 2 * self.depth * reveal_window
        if needed <= self.available:
            return None
        return (
            f"a program {self.depth} steps deep with a reveal window of {reveal_window} s: an "
            f"operator that shows everything in its last second could draw out a walk of a step at "
            f"a time to {needed} s, and disputes may take {self.available} s. Watchers must look "
            f"further ahead, for higher deposits; the longest sensible window is {self.sensible} s"
        )


def reveal_advice(
    program: Program, parameters: DeploymentParameters, challenge_window: int
) -> RevealAdvice:
    """What to do about the reveal window of a program."""
    depth = max(1, program_depth(program))
    allowance = parameters.dispute_allowance
    available = challenge_window + allowance
    sensible = max(1, available // (2 * depth))
    longest = max(1, allowance // _LEAST_ROUNDS)
    suggested = max(sensible, min(_SHORTEST_SUGGESTED, longest))
    return RevealAdvice(
        depth, available, allowance, sensible, min(challenge_window, longest, suggested)
    )
