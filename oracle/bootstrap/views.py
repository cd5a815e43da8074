"""What a node's gateway of views is made of, and the step that collects what views earn.

Knows what each of them gets; how an answer comes about, and when a debt is drawn, is `service`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from oracle.bootstrap.parts import Parts
from oracle.chain.credit_contract import CreditBinding
from oracle.chain.views_contract import ViewsBinding
from oracle.core.types import opg
from oracle.core.view_price import read_prices
from oracle.service.collect import Collect
from oracle.service.node import Step
from oracle.service.view import Views
from oracle.service.view_terms import ViewRules, ViewTerms
from oracle.service.view_vouchers import ViewVouchers

_log = structlog.get_logger("oracle.views")

_LOOKS_IN_A_DELAY: Final = 8
_SLOWEST_LOOK_SECONDS: Final = 60.0
"""At what is owed: often enough to see a withdrawal long before it can be made."""


def views_of(parts: Parts, closed: Callable[[], str | None]) -> Views:
    """The service behind the gateway. Args: closed: why it gives no answer now, or None."""
    settings, deployment, ports = parts.settings, parts.deployment, parts.ports
    domain = deployment.domain
    rules = ViewRules(
        prices=read_prices(settings.views),
        seconds=settings.views_seconds,
        margin_seconds=settings.answer_margin_seconds,
        dispute_allowance=deployment.parameters.dispute_allowance,
    )
    terms = ViewTerms(
        ports.jobs,
        ports.registry,
        ports.staking,
        ports.gateway,
        parts.clock,
        domain,
        parts.policy,
        rules,
    )
    return Views(
        terms,
        ports.views,
        ports.jobs,
        ports.engine,
        ports.traces,
        parts.key,
        parts.clock,
        domain,
        parts.operator,
        closed=closed,
        handover=parts.keys.keyring,
        vouchers=_vouchers(parts),
    )


def _vouchers(parts: Parts) -> ViewVouchers | None:
    """Where payments are taken, if the deployment has credit for them."""
    credit = parts.ports.credit
    if credit is None:
        return None
    return ViewVouchers(parts.storage.vouchers, credit, parts.clock, credit.domain, parts.operator)


def collecting(parts: Parts, credit: CreditBinding) -> Step:
    """The step that draws what payers owe. It goes on where prices are no longer asked."""
    settings, ports = parts.settings, parts.ports
    longest_pause = parts.deployment.parameters.credit_delay / _LOOKS_IN_A_DELAY
    collect = Collect(
        parts.storage.vouchers,
        credit,
        ports.transactions,
        ports.gateway,
        parts.transact,
        parts.clock,
        parts.operator,
        lambda: parts.sender,
        enough=opg(settings.views_collect_at),
        longest_pause_seconds=longest_pause,
        wei_per_opg=settings.wei_per_opg,
    )
    often = max(settings.poll_seconds, min(_SLOWEST_LOOK_SECONDS, longest_pause))
    return Step("collect", collect.cycle, idle_seconds=often)


async def look_at_gateways(parts: Parts) -> None:
    """Says so where nobody can find the gateway, or where no contract would check what it gives."""
    views = parts.deployment.views
    next_step = "`oracle operator gateways https://…/views`, as serve_port is reached from outside"
    if views is None:
        what, next_step = "the deployment has no contract for answers in views", "set views = []"
    elif await ViewsBinding(parts.rpc, views).gateways_of(parts.operator):
        return
    else:
        what = "answers in views are on, and no gateway is announced"
    _log.warning(what, kind="views", next=next_step)
