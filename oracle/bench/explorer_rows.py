"""Made-up lives of requests in the form that the explorer's index takes, as many as are wanted.

Shaped like real ones: what follows what, how large it is, how often it goes wrong. The same seed
gives the same rows. Nothing here was ever on a chain.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from oracle.core.chronicle import Entry, EntryKind
from oracle.core.event import BlockRef
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.types import Address, address

_OPG: Final = 10**18
_START_SECONDS: Final = 1_760_000_000
_SECONDS_A_BLOCK: Final = 2
_WINDOW_BLOCKS: Final = 5
_MOST_LOGS: Final = 1_000

_SCHEMA: Final = ModelSchema(
    inputs=(TensorSpec("pixels", ElementType.FLOAT32, (None, 64)),),
    outputs=(
        TensorSpec("label", ElementType.INT64, (None,)),
        TensorSpec("probabilities", ElementType.FLOAT32, (None, 10)),
    ),
).to_json()


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is."""

    requests: int
    models: int = 60
    operators: int = 40
    requesters: int = 500
    requests_a_block: int = 20


@dataclass(frozen=True, slots=True)
class _Planned:
    """An event to come, whose place is not known yet."""

    kind: EntryKind
    keys: Mapping[str, Any]
    facts: Mapping[str, Any]
    data: bytes = b""


class _Life:
    """Plans what happens, block by block."""

    def __init__(self, sizes: Sizes, seed: int) -> None:
        self._sizes = sizes
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._coming: dict[int, list[_Planned]] = defaultdict(list)
        self.models = [_digest("model", seed, one) for one in range(sizes.models)]
        self.operators = [_address("operator", seed, one) for one in range(sizes.operators)]
        self._requesters = [_address("requester", seed, one) for one in range(sizes.requesters)]
        self._seed = seed
        self._made = 0

    def found(self) -> None:
        """Models, operators, stakes and offers, in the first block."""
        say = self._coming[1].append
        for number, model in enumerate(self.models):
            say(_Planned(EntryKind.MODEL_REGISTERED, {"model_id": model}, _model(number, self)))
        for number, operator in enumerate(self.operators):
            keys = {"operator": operator}
            signing = {"signer": operator, "payout": operator, "operator": operator}
            say(_Planned(EntryKind.OPERATOR_REGISTERED, keys, signing))
            amount = (100 + number) * 1_000 * _OPG
            bond = {"operator": operator, "source": operator, "amount": amount, "stake": amount}
            say(_Planned(EntryKind.BONDED, keys, bond))
            uri = {"operator": operator, "uri": f"https://node-{number}.example"}
            say(_Planned(EntryKind.ENDPOINT_SET, keys, uri))
            for model in self._random.sample(self.models, min(5, len(self.models))):
                offer = {
                    "price": self._random.randrange(1, 50) * _OPG // 10,
                    "max_bond": 1_000 * _OPG,
                    "capacity": 100,
                    "min_time": 30,
                    "max_window": 3_600,
                    "max_callback_gas": 500_000,
                }
                both = {"operator": operator, "model_id": model}
                facts = {"operator": operator, "model_id": _hex(model), "offer": offer}
                say(_Planned(EntryKind.OFFER_SET, both, facts))

    @property
    def over(self) -> bool:
        return self._made >= self._sizes.requests and not self._coming

    def block(self, number: int) -> list[_Planned]:
        """What happens in a block."""
        if number > 1:
            left = self._sizes.requests - self._made
            for _ in range(min(self._sizes.requests_a_block, left)):
                self._request(number)
        return self._coming.pop(number, [])

    def _request(self, block: int) -> None:
        chance, self._made = self._random, self._made + 1
        request_id = _digest("request", self._seed, self._made)
        # Few models and operators have most of the requests, as everywhere.
        model = self.models[int(len(self.models) * chance.random() ** 2)]
        operator = self.operators[int(len(self.operators) * chance.random() ** 2)]
        fee = chance.randrange(1, 100) * _OPG // 10
        given = chance.randbytes(256)
        terms = {
            "requester": chance.choice(self._requesters),
            "nonce": self._made,
            "consumer": "0x" + "00" * 20,
            "model_id": _hex(model),
            "input_hash": _hex(sha256(given).digest()),
            "operator": operator,
            "fee": fee,
            "bond": 20 * fee,
            "value_at_risk": 0,
            "deadline": _time(block) + 600,
            "window": 10,
            "callback_gas_limit": 0,
            "eager": False,
            "input_bytes": len(given),
        }

        def say(after: int, kind: EntryKind, facts: Mapping[str, Any], data: bytes = b"") -> None:
            keys: dict[str, Any] = {"request_id": request_id}
            if kind is EntryKind.SLASHED:
                keys["operator"] = operator
            self._coming[block + after].append(_Planned(kind, keys, facts, data))

        say(0, EntryKind.REQUESTED, terms, given)
        self._goes_on(say, operator, fee, chance.random())

    def _goes_on(self, say: Callable[..., None], operator: Address, fee: int, luck: float) -> None:
        chance, watcher = self._random, self._requesters[0]
        if luck < 0.01:
            say(3, EntryKind.CANCELLED, {"refund": fee})
            return
        if luck < 0.015:
            say(300, EntryKind.EXPIRED, {"refund": fee})
            return
        say(0, EntryKind.ACCEPTED, {"operator": operator, "sequence": self._made})
        if luck < 0.025:
            lost = {"operator": operator, "refund": fee, "penalty": 2 * fee}
            say(300, EntryKind.DEFAULTED, lost)
            say(300, EntryKind.SLASHED, _slash(operator, 2 * fee))
            return
        answer = {
            "operator": operator,
            "trace_root": _hex(chance.randbytes(32)),
            "settle_at": _START_SECONDS,
            "result_bytes": 48,
        }
        say(1, EntryKind.ANSWERED, answer, chance.randbytes(48))
        if luck < 0.03:
            proof = {"operator": operator, "watcher": watcher, "claim": {}, "held": 0}
            say(3, EntryKind.FRAUD_PROVEN, proof)
            say(3, EntryKind.SLASHED, _slash(operator, 20 * fee))
            gone = {"operator": operator, "watcher": watcher, "refund": fee, "penalty": 20 * fee}
            say(3, EntryKind.VOIDED, gone)
            return
        if luck < 0.04:
            say(2, EntryKind.SUSPENDED, {})
            leaves = {"tensor": 3, "row": 0, "first": 0, "count": 2}
            demand = {"number": 0, "demander": watcher, "deposit": _OPG // 10, "leaves": leaves}
            say(2, EntryKind.REVEAL_DEMANDED, demand)
            say(4, EntryKind.REVEALED, {"number": 0, "data_bytes": 64}, chance.randbytes(64))
            say(4, EntryKind.RESUMED, {"settle_at": _START_SECONDS})
        if luck < 0.99:
            paid = {"operator": operator, "payout": operator, "fee": fee}
            say(1 + _WINDOW_BLOCKS, EntryKind.SETTLED, paid)


def chapters(
    sizes: Sizes, *, seed: int = 1, fork: int = 0
) -> Iterator[tuple[BlockRef, list[Entry]]]:
    """Blocks with what happened in them, from the first to the last.

    Args:
        fork: another number gives the same happenings in blocks with other hashes.
    """
    life = _Life(sizes, seed)
    life.found()
    number = 0
    while not life.over:
        number += 1
        block = block_of(number, fork)
        yield (
            block,
            [
                Entry(
                    block_number=number,
                    log_index=index,
                    block_hash=block.hash,
                    timestamp=block.timestamp,
                    transaction_hash=_digest("transaction", fork, number * _MOST_LOGS + index // 2),
                    kind=one.kind,
                    facts=one.facts,
                    data=one.data,
                    **one.keys,
                )
                for index, one in enumerate(life.block(number))
            ],
        )


def block_of(number: int, fork: int = 0) -> BlockRef:
    """A made-up block."""
    return BlockRef(number, _digest("block", fork, number), _time(number))


def _model(number: int, life: _Life) -> dict[str, Any]:
    return {
        "registrar": life.operators[number % len(life.operators)],
        "program_root": _hex(_digest("program", 0, number)),
        "profile_hash": _hex(bytes(32)),
        "schema_hash": _hex(bytes(32)),
        "tier": 2,
        "challenge_window": 10,
        "reveal_window": 0,
        "min_bond": _OPG,
        "epsilon": 3_438_534_374_403,
        "name": f"{_NAMES[number % len(_NAMES)]}-{number}",
        "schema": _SCHEMA,
        "uri": "",
    }


_NAMES: Final = ("digits-mlp", "credit-risk", "wine-forest", "churn", "fraud-gbt", "triage")


def _slash(operator: Address, amount: int) -> dict[str, Any]:
    return {
        "operator": operator,
        "amount": amount,
        "requester": operator,
        "to_requester": amount // 5,
        "watcher": operator,
        "to_watcher": amount * 3 // 10,
        "burned": amount // 2,
    }


def _time(block: int) -> int:
    return _START_SECONDS + _SECONDS_A_BLOCK * block


def _digest(kind: str, seed: int, number: int) -> bytes:
    return sha256(f"{kind} {seed} {number}".encode()).digest()


def _address(kind: str, seed: int, number: int) -> Address:
    return address("0x" + _digest(kind, seed, number)[:20].hex())


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
