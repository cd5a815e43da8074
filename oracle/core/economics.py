"""What a request was expected to earn and to cost, and what it did: the sums an operator is shown.

The estimate is made when a request is judged, and is kept with its job. What it came to is read off
the fee that was credited and the transactions that were mined, each shared by the requests that it
served, so a reorg changes it as it changes them. Pure: knows no policy and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from oracle.core.job import Job
from oracle.core.transaction import Transaction
from oracle.errors import InputError

_OPG = 10**18


@dataclass(frozen=True, slots=True)
class GasParts:
    """Gas of one request's transactions, each without the result's bytes and without notices; of
    those bytes, wherever they are posted; and of the notices that its consumer may be due."""

    accept: int
    answer: int
    settle: int
    callback: int
    result: int

    @property
    def total(self) -> int:
        return self.accept + self.answer + self.settle + self.callback + self.result


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a request is expected to earn and to cost.

    Attributes:
        fee: base units.
        wei_per_opg: what one OPG was worth; 0 where that is not set, and profit judges nothing.
        margin_percent: profit wanted over the gas.
        gas_price_wei: the most that a transaction would have offered.
        gas: what it was expected to take.
    """

    fee: int
    wei_per_opg: int
    margin_percent: int
    gas_price_wei: int
    gas: GasParts

    @property
    def income_wei(self) -> int:
        """What the fee was worth; 0 where that is not known."""
        return self.fee * self.wei_per_opg // _OPG

    @property
    def cost_wei(self) -> int:
        return self.gas.total * self.gas_price_wei

    @property
    def needed_wei(self) -> int:
        """The cost, and the margin over it."""
        return self.cost_wei * (100 + self.margin_percent) // 100

    @property
    def profit_wei(self) -> int | None:
        """Income less cost; None where the worth of the fee is not known."""
        return self.income_wei - self.cost_wei if self.wei_per_opg else None

    @property
    def profitable(self) -> bool:
        """Whether the gate lets it through; always, where there is none."""
        return not self.wei_per_opg or self.income_wei >= self.needed_wei


@dataclass(frozen=True, slots=True)
class Estimate(Expectation):
    """The sum by which a request was judged.

    Attributes:
        decision: admit, decline, or bound where an offer had decided before.
        objection: why it was declined; of a bound request, why it would have been; else None.
        judged_at: Unix seconds by the worker's clock.
    """

    decision: str
    objection: str | None
    judged_at: float

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Estimate:
        """Raises InputError for a text that is no estimate."""
        try:
            fields: dict[str, Any] = json.loads(text)
            return cls(**{**fields, "gas": GasParts(**fields["gas"])})
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"this is no estimate: {error}") from error

    def as_facts(self) -> dict[str, Any]:
        """By name, the sums worked out, for people and scripts."""
        gas = {name: amount for name, amount in asdict(self.gas).items() if amount}
        return {
            "decision": self.decision,
            "objection": self.objection,
            "fee": self.fee,
            "income_wei": self.income_wei if self.wei_per_opg else None,
            "gas": gas | {"total": self.gas.total},
            "gas_price_wei": self.gas_price_wei,
            "cost_wei": self.cost_wei,
            "margin_percent": self.margin_percent,
            "needed_wei": self.needed_wei,
            "profit_wei": self.profit_wei,
        }


@dataclass(frozen=True, slots=True)
class Share:
    """One request's part of a mined transaction: an equal one, of as many requests as it served."""

    purpose: str
    hash: bytes
    succeeded: bool
    requests: int
    gas: int
    cost_wei: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request came to so far. `profit_wei` is None where an OPG's worth is not known."""

    earned: int
    shares: tuple[Share, ...]
    cost_wei: int
    profit_wei: int | None

    def as_facts(self) -> dict[str, Any]:
        return asdict(self)


def outcome(job: Job, transactions: Sequence[Transaction]) -> Outcome:
    """What a job earned and cost, by the transactions that served it."""
    shares = tuple(
        Share(
            one.purpose.value,
            one.mined.attempt_hash,
            one.mined.succeeded,
            len(one.request_ids),
            one.mined.gas_used // len(one.request_ids),
            one.mined.cost_wei // len(one.request_ids),
        )
        for one in transactions
        if one.mined is not None
    )
    cost = sum(share.cost_wei for share in shares)
    worth = Estimate.from_json(job.economics).wei_per_opg if job.economics else 0
    profit = job.fee_earned * worth // _OPG - cost if worth else None
    return Outcome(job.fee_earned, shares, cost, profit)
