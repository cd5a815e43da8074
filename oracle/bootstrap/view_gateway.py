"""The gateway that the web asks for answers in views: who may ask how often, and what is said.

It is made with the server, before the node has its keys; until it is opened it says so. Knows
nothing of how an answer comes about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from oracle.chain.deployment import Deployment
from oracle.chain.views_contract import read_question, write_response
from oracle.core.view_price import read_prices
from oracle.core.view_receipt import ViewReceipt
from oracle.errors import (
    ConfigurationError,
    InputError,
    NotFound,
    OracleError,
    PaymentInvalid,
    PaymentRequired,
    RateLimited,
    ViewRefused,
)
from oracle.ports.clock import Clock
from oracle.ports.views import ViewAnswer
from oracle.service.lead import Lead
from oracle.service.node import Node, Step
from oracle.service.view import Views
from oracle.service.view_limits import Buckets, network_of
from oracle.settings import Settings

_SWEEP_SECONDS: Final = 5.0

_WHOLE_MINUTE: Final = 60
"""By up to so much a deadline is later than it is asked for."""

_LEAST_SECONDS: Final = 120
"""To post a receipt, over the margin: `AnswerViews` wants 60 when it is taken."""

_PAID_FOR_EACH_FREE: Final = 10
"""So many questions of one client about models with a price, for each that may be free: most of
them come twice, and one without a payment costs us a look at the chain."""

REFUSALS: Final[Mapping[type[OracleError], str]] = {
    # the first that fits
    RateLimited: "limit",
    PaymentInvalid: "payment",
    PaymentRequired: "payment",
    ViewRefused: "not now",
    NotFound: "not here",
    InputError: "question",
    OracleError: "failure",
}
"""Why a view was not given, in the words of the metric."""


class ViewTally:
    """What a gateway has given and refused since its start, for the figures."""

    def __init__(self) -> None:
        self.answered = {"free": 0, "paid": 0}
        self.refused: Counter[str] = Counter(dict.fromkeys(REFUSALS.values(), 0))

    def note_refused(self, error: OracleError) -> None:
        self.refused[next(why for kind, why in REFUSALS.items() if isinstance(error, kind))] += 1


class NodeViewGateway:
    """`ports.views.ViewGateway` of a node: who may ask how often, and then `Views`."""

    def __init__(self, settings: Settings, longest: int, clock: Clock) -> None:
        """`longest` is the deployment's longest time to a deadline, in seconds.

        Raises:
            ConfigurationError: no receipt could be posted in time.
        """
        if settings.views_seconds < settings.answer_margin_seconds + _LEAST_SECONDS:
            raise ConfigurationError(
                f"views_seconds = {settings.views_seconds} leaves nobody the time to post a "
                f"receipt: answer_margin_seconds is {settings.answer_margin_seconds}",
                hint=f"set it to {settings.answer_margin_seconds + _LEAST_SECONDS} at least",
            )
        if settings.views_seconds > longest - _WHOLE_MINUTE:
            raise ConfigurationError(
                f"views_seconds = {settings.views_seconds} is beyond the {longest} s to a deadline "
                "that this deployment allows",
                hint=f"set it to {longest - _WHOLE_MINUTE} at most",
            )
        rate = settings.views_per_minute
        self._clients = Buckets("client", rate, clock.now)
        self._callers = Buckets("caller", rate, clock.now)
        self._all = Buckets("client", _PAID_FOR_EACH_FREE * rate, clock.now, kind="asked for")
        self.tally = ViewTally()
        self._views: Views | None = None
        self._node: Node | None = None
        self._lead: Lead | None = None

    async def respond(self, data: bytes, client: str) -> bytes:
        try:
            price, answer = await self._answered(data, network_of(client))
        except OracleError as error:
            self.tally.note_refused(error)
            raise
        self.tally.answered["paid" if price else "free"] += 1
        return _response(answer)

    async def _answered(self, data: bytes, network: str) -> tuple[int, ViewAnswer]:
        self._all.spend(network)
        question = read_question(data)
        if self._views is None:
            raise ViewRefused("not answered now: the node is starting")
        price = await self._views.price(question.model_id)
        if not price:
            self._clients.spend(network)
            self._callers.spend(question.caller)
        return price, await self._views.answer(question)

    def furnish(self, build: Callable[[Callable[[], str | None]], Views], lead: Lead) -> Step:
        """Puts the service behind the gateway, which stays shut; the step that it needs."""
        self._lead = lead
        self._views = build(self._closed)
        step = Step("views", self._views.cycle, idle_seconds=_SWEEP_SECONDS)
        step.needs = lead.key
        return step

    def open(self, node: Node) -> None:
        """From here on there are answers, while this worker may sign and the node takes work on."""
        self._node = node

    async def close(self) -> None:
        """Ends what is being answered."""
        if self._views is not None:
            await self._views.close()

    def _closed(self) -> str | None:
        if self._node is None or self._lead is None:
            return "the node is starting"
        if self._node.draining:
            return "the node is ending"
        if not self._lead.key.held:
            return "another worker signs for this operator"
        return None


def opened_view_gateway(
    settings: Settings, deployment: Deployment, clock: Clock
) -> NodeViewGateway | None:
    """The gateway, where settings name models that are answered in views."""
    if not settings.views.split():
        return None
    if any(read_prices(settings.views).values()) and deployment.credit is None:
        raise ConfigurationError(
            "views has models with a price, and the deployment has no credit for views",
            hint="deploy ViewCredit and name it as `credit` in the deployment file, or take the "
            "prices out",
        )
    return NodeViewGateway(settings, deployment.parameters.max_ttl, clock)


def _response(answer: ViewAnswer) -> bytes:
    receipt = ViewReceipt(
        answer.request,
        answer.trace_root,
        answer.accept_until,
        answer.accept_signature,
        answer.answer_signature,
    )
    return write_response(answer.result, receipt)
