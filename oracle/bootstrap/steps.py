"""A node's verbs, built over its parts, and the steps that run them.

Responsible for what each verb gets, when it runs, what it wakes, and which of several workers runs
it. Opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from oracle.bootstrap import connection
from oracle.bootstrap.endpoints import endpoint_trouble
from oracle.bootstrap.guard import FUNDS_SECONDS
from oracle.bootstrap.parts import Parts
from oracle.bootstrap.unserved import UnservedOffers
from oracle.bootstrap.views import collecting, views_of
from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader
from oracle.chain.reader import RecentHead
from oracle.service.accept import Accept
from oracle.service.admit import Admit
from oracle.service.adopt import Adopt
from oracle.service.answer import Answer
from oracle.service.estimate import Estimator
from oracle.service.follow_demands import FollowDemands, FollowPolicy
from oracle.service.infer import Infer
from oracle.service.lead import afresh
from oracle.service.node import Duty, Step
from oracle.service.post import Post
from oracle.service.remake import Remake
from oracle.service.retain import Retain
from oracle.service.reveal import Reveal
from oracle.service.settle import Settle
from oracle.service.view_promises import ViewPromises
from oracle.settings import Settings

_FOLLOW_SECONDS: Final = 1.0
_ADOPT_SECONDS: Final = 2.0
_RETAIN_SECONDS: Final = 10.0
_OFFERS_SECONDS: Final = 60.0

_FLOOR: Final = 1.25
"""Of a duty's period: how long a step waits for its doorbell, on the monotonic clock."""

_LED: Final = {"watch", "admit", "accept", "settle", "adopt", "collect"}
"""Steps of the one worker that reads the chain; a second would do the same."""

_SENDING: Final = {"infer", "answer", "reveal", "follow"}
"""Steps that sign or send: of each worker, while nobody else sends with its key."""


@dataclass(frozen=True, slots=True)
class Work:
    """The steps of a node, and the verbs that are asked for more than their rounds."""

    steps: list[Step]
    reveal: Reveal
    unserved: UnservedOffers

    def trouble(self, parts: Parts) -> Mapping[str, str | None]:
        """What is wrong though every round went well, by what it is about."""
        return {
            **parts.guards.intake.trouble(),
            "transactions": parts.transact.trouble,
            "models": self.unserved.trouble,
            "demands": self.reveal.trouble,
            "endpoints": endpoint_trouble(parts.rpc.reports()),
        }


def work_of(parts: Parts) -> Work:
    """Every step, guarded: with the gate of `lead`, and failures counted."""
    settings, ports, rpc, lead = parts.settings, parts.ports, parts.rpc, parts.lead
    admit, accept, infer = _admit(parts), _accept(parts), _infer(parts)
    post = Post(ports.jobs, ports.gateway, parts.transact, ports.contract, parts.sender)
    answer, settle, reveal = _answer(parts, post), _settle(parts, post), _reveal(parts)
    unserved = _unserved(parts)

    async def follow() -> bool:
        cursor = await ports.jobs.cursor()  # whoever reads the chain
        return await parts.transact.cycle(cursor.number if cursor else -1)

    steps = [
        Step(
            "watch",
            partial(rpc.on_one_endpoint, afresh(lead.chain, parts.watch.cycle, parts.watch.forget)),
            wakes=("admit", "infer", "follow", "settle"),
            idle_seconds=settings.poll_seconds,
        ),
        Step("admit", admit.cycle, wakes=("accept",), idle_seconds=5.0, intake=True),
        Step("accept", accept.cycle, idle_seconds=5.0, intake=True),
        Step("infer", infer.cycle, wakes=("answer",), idle_seconds=1.0),
        Step("answer", answer.cycle, idle_seconds=1.0),
        Step("settle", settle.cycle),
        Step(
            "reveal",
            partial(rpc.on_one_endpoint, reveal.cycle),
            idle_seconds=settings.poll_seconds,
        ),
        Step("follow", partial(rpc.on_one_endpoint, follow), wakes=("answer", "settle")),
        Step("retain", Retain(ports.traces, ports.jobs).cycle),
        Step("keys", parts.keys.cycle, idle_seconds=settings.signer_check_seconds),
        Step(
            "adopt",
            partial(rpc.on_one_endpoint, _adopt(parts).cycle),
            idle_seconds=_ADOPT_SECONDS,
        ),
        Step("funds", parts.guards.funds.cycle, idle_seconds=FUNDS_SECONDS),
        Step(
            "offers",
            partial(rpc.on_one_endpoint, unserved.cycle),
            idle_seconds=_OFFERS_SECONDS,
        ),
    ]
    if ports.credit is not None:
        steps.append(collecting(parts, ports.credit))
    if parts.view_gateway is not None:
        steps.append(parts.view_gateway.furnish(partial(views_of, parts), lead))
    give_duties_a_floor(steps, duties_of(settings))
    parts.guards.watch(steps, settings, parts.engine)
    for step in steps:
        if step.name in _LED:
            step.needs = lead.chain
        elif step.name in _SENDING:
            step.needs = lead.key
    return Work(steps, reveal, unserved)


def give_duties_a_floor(steps: Sequence[Step], duties: Sequence[Duty]) -> None:
    """The scheduler goes by the wall clock: one that is set back rings nobody until it is again
    where it was."""
    every_seconds = {duty.step: duty.every_seconds for duty in duties}
    for step in steps:
        if step.name in every_seconds:
            step.idle_seconds = _FLOOR * every_seconds[step.name]


def duties_of(settings: Settings) -> list[Duty]:
    """What is due by the clock alone."""
    return [
        Duty("settle", settings.settle_seconds),
        Duty("follow", max(_FOLLOW_SECONDS, settings.poll_seconds)),
        Duty("retain", _RETAIN_SECONDS),
    ]


def _unserved(parts: Parts) -> UnservedOffers:
    return UnservedOffers(
        parts.offers,
        parts.models,
        parts.library,
        parts.deployment.parameters.dispute_allowance,
        parts.operator,
    )


def _admit(parts: Parts) -> Admit:
    ports = parts.ports
    return Admit(
        ports.jobs,
        ports.registry,
        ports.staking,
        ports.gateway,
        parts.library,
        parts.engine,
        parts.operator,
        parts.policy,
        parts.deployment.parameters.dispute_allowance,
        parts.guards.intake,
    )


def _accept(parts: Parts) -> Accept:
    ports = parts.ports
    return Accept(
        ports.jobs,
        ports.contract,
        ports.gateway,
        parts.transact,
        parts.key,
        parts.clock,
        parts.deployment.domain,
        parts.operator,
        margin_seconds=parts.settings.answer_margin_seconds,
        handover=parts.keys.keyring,
    )


def _infer(parts: Parts) -> Infer:
    ports = parts.ports
    return Infer(
        ports.jobs,
        ports.registry,
        ports.engine,
        ports.traces,
        parts.key,
        parts.clock,
        parts.deployment.domain,
        parts.operator,
        breaker=parts.guards.breaker,
        estimate=Estimator(ports.gateway, ports.registry, parts.clock, parts.policy).bound,
        promised=ViewPromises(ports.views, ports.traces, ports.jobs, parts.deployment.domain),
    )


def _answer(parts: Parts, post: Post) -> Answer:
    ports = parts.ports
    return Answer(
        ports.jobs,
        ports.contract,
        ports.gateway,
        post,
        parts.key,
        parts.clock,
        parts.deployment.domain,
        parts.operator,
        batch=parts.settings.answer_batch,
        handover=parts.keys.keyring,
    )


def _settle(parts: Parts, post: Post) -> Settle:
    ports = parts.ports
    return Settle(
        ports.jobs,
        ports.contract,
        ports.gateway,
        post,
        parts.clock,
        parts.operator,
        batch=parts.settings.settle_batch,
    )


def _reveal(parts: Parts) -> Reveal:
    settings, deployment, ports, rpc = parts.settings, parts.deployment, parts.ports, parts.rpc
    court = CourtBinding(rpc, deployment.court)
    follow = FollowDemands(
        parts.instrument("reader", RecentHead(parts.reader, 2 * settings.poll_seconds)),
        CourtReader(rpc, deployment.court, largest_span=settings.range_blocks),
        parts.storage.demands,
        ports.jobs,
        ports.transactions,
        court,
        parts.clock,
        parts.operator,
        FollowPolicy(deployment.deployed_block, settings.range_blocks),
    )
    return Reveal(
        follow,
        parts.storage.demands,
        ports.jobs,
        ports.transactions,
        court,
        ports.gateway,
        parts.transact,
        ports.traces,
        parts.serving.prover,
        Remake(ports.registry, ports.engine, parts.serving.programs),
        parts.sender,
        parts.lead,
    )


def _adopt(parts: Parts) -> Adopt:
    ports = parts.ports
    return Adopt(
        ports.jobs,
        ports.transactions,
        ports.gateway,
        parts.leases,
        parts.clock,
        parts.deployment.chain_id,
        connection.transact_policy(parts.settings),
        lambda: parts.keys.senders.followed if parts.payer is None else parts.senders(),
    )
