"""What a verification found: steps, each with findings, and one verdict over all of them.

Knows how findings add up; does not know how any of them is come by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Final


class Kind(IntEnum):
    """What a finding comes to; the higher, the more it weighs in its step."""

    MOOT = 0
    """There is nothing to check here, and why."""
    PASSED = 1
    UNCHECKED = 2
    """It cannot be checked, because of what the text says."""
    FAILED = 3
    """Something is not what it says it is."""
    WRONG = 4
    """The operator's answer is wrong."""

    @property
    def mark(self) -> str:
        """A tick, a cross or a dash."""
        return _MARKS[self]


_MARKS: Final[Mapping[Kind, str]] = {
    Kind.MOOT: "–",
    Kind.PASSED: "✓",
    Kind.UNCHECKED: "–",
    Kind.FAILED: "✗",
    Kind.WRONG: "✗",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, with the values that show it."""

    kind: Kind
    text: str


def passed(text: str) -> Finding:
    return Finding(Kind.PASSED, text)


def failed(text: str) -> Finding:
    return Finding(Kind.FAILED, text)


def wrong(text: str) -> Finding:
    return Finding(Kind.WRONG, text)


def unchecked(reason: str) -> Finding:
    return Finding(Kind.UNCHECKED, f"cannot be checked, because {reason}")


def moot(text: str) -> Finding:
    return Finding(Kind.MOOT, text)


def held(good: bool, text: str, otherwise: str) -> Finding:
    """Passed with one text, or failed with the other."""
    return passed(text) if good else failed(otherwise)


class Name(Enum):
    """The steps, in order."""

    REQUEST = "request"
    RECEIPT = "receipt"
    BINDING = "binding"
    MODEL = "model"
    TRACE = "trace"
    RUN = "run"
    SETTLEMENT = "settlement"


_FOUNDATION: Final = (Name.REQUEST, Name.RECEIPT, Name.BINDING, Name.MODEL)
"""Where these fail, whatever else is found says nothing of the operator."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step and its findings, in the order in which they were made."""

    name: Name
    findings: tuple[Finding, ...]

    @property
    def kind(self) -> Kind:
        """The weightiest of its findings."""
        return max((finding.kind for finding in self.findings), default=Kind.MOOT)

    @property
    def broken(self) -> bool:
        return self.kind >= Kind.FAILED


class Verdict(Enum):
    """What it all comes to."""

    VERIFIED = "verified"
    WRONG_ANSWER = "wrong answer"
    NOT_AS_CLAIMED = "not as claimed"
    NOT_CHECKED = "not checked"

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]

    @property
    def text(self) -> str:
        """One sentence for people."""
        return _SENTENCES[self]


_EXIT_CODES: Final[Mapping[Verdict, int]] = {
    Verdict.VERIFIED: 0,
    Verdict.WRONG_ANSWER: 20,
    Verdict.NOT_AS_CLAIMED: 21,
    Verdict.NOT_CHECKED: 22,
}
_SENTENCES: Final[Mapping[Verdict, str]] = {
    Verdict.VERIFIED: "verified: everything that there is to check holds",
    Verdict.WRONG_ANSWER: "WRONG: the operator signed an answer that the checks above contradict",
    Verdict.NOT_AS_CLAIMED: "NOT AS CLAIMED: something above is not what it says it is",
    Verdict.NOT_CHECKED: "not verified: nothing speaks against it, but not everything was checked",
}


@dataclass(frozen=True, slots=True)
class Report:
    """All steps of one verification."""

    request_id: bytes
    steps: tuple[Step, ...]

    @property
    def verdict(self) -> Verdict:
        if any(step.broken for step in self.steps if step.name in _FOUNDATION):
            return Verdict.NOT_AS_CLAIMED
        kinds = {step.kind for step in self.steps}
        if Kind.WRONG in kinds:
            return Verdict.WRONG_ANSWER
        if Kind.FAILED in kinds:
            return Verdict.NOT_AS_CLAIMED
        return Verdict.NOT_CHECKED if Kind.UNCHECKED in kinds else Verdict.VERIFIED

    def step(self, name: Name) -> Step:
        """The step of this name; without findings where it was not come to."""
        return next((one for one in self.steps if one.name is name), Step(name, ()))

    def facts(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "request": self.request_id,
            "verdict": self.verdict.value,
            "exit_code": self.verdict.exit_code,
            "steps": [
                {
                    "step": step.name.value,
                    "outcome": step.kind.name.lower(),
                    "findings": [
                        {"outcome": one.kind.name.lower(), "text": one.text}
                        for one in step.findings
                    ],
                }
                for step in self.steps
            ],
        }

    def text(self) -> str:
        """For people: a line a finding, and the verdict."""
        lines = [f"request 0x{self.request_id.hex()}", ""]
        width = max(len(name.value) for name in Name)
        for number, step in enumerate(self.steps, 1):
            for place, finding in enumerate(step.findings):
                label = f"{number} {step.name.value:<{width}}" if not place else " " * (width + 2)
                lines.append(f"{label}  {finding.kind.mark} {finding.text}")
        return "\n".join([*lines, "", self.verdict.text])
