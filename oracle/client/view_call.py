"""A model's answer in a view (ERC-3668): no transaction, no fee, and no key to ask with.

The operator's gateway answers, `AnswerViews` checks in an `eth_call` that the operator could be
held to it, and the receipt that comes with it opens it to the court (`oracle.client.view_post`).
Until that is done the operator is free to withdraw what backs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from numpy.typing import ArrayLike, NDArray

from oracle.chain.credit_contract import CreditBinding
from oracle.chain.deployment import Deployment
from oracle.chain.rpc import Rpc
from oracle.chain.views_contract import CheckedAnswer, OffchainLookup, ViewsBinding
from oracle.client.answer import backing
from oracle.client.market import StandingOffer
from oracle.client.offchain_lookup import fetch
from oracle.client.view_payment import SpendingLimit, pay, too_dear
from oracle.core.model import UNCERTIFIED, Model
from oracle.core.saved_receipt import Contracts
from oracle.core.tensor import decode_outputs, encode_inputs, input_batch
from oracle.core.types import Address, Tier
from oracle.core.view_receipt import SavedView
from oracle.errors import ConfigurationError, NotFound, PaymentRequired
from oracle.ports.views import ViewQuestion

_WAD: Final = 10**18

Inputs = Mapping[str, ArrayLike] | Sequence[ArrayLike]


@dataclass(frozen=True, slots=True)
class ViewedAnswer:
    """One answer, as the contract took it.

    Attributes:
        outputs: read-only arrays by the schema's names.
        epsilon: the model's certified error bar, with 18 decimals; UNCERTIFIED for none.
        receipt: what opens the answer to the court; save it as `receipt.to_json()`.
        paid: the price that was paid for it, in base units; 0 for a free one.
    """

    outputs: Mapping[str, NDArray[Any]]
    tier: Tier
    epsilon: int
    receipt: SavedView
    paid: int = 0

    @property
    def request_id(self) -> bytes:
        """Under which it stands on chain once it is posted."""
        return self.receipt.request_id

    @property
    def operator(self) -> Address:
        return self.receipt.receipt.request.operator

    @property
    def error_bar(self) -> Fraction | None:
        """`epsilon` as a number; None for "not certified"."""
        return None if self.epsilon == UNCERTIFIED else Fraction(self.epsilon, _WAD)

    @property
    def post_until(self) -> int:
        """Last Unix second at which the receipt can be posted."""
        receipt = self.receipt.receipt
        return min(receipt.accept_until, receipt.request.deadline)

    @property
    def backing(self) -> str:
        """What stands behind the answer once it is posted, in words."""
        return backing(self.tier)


def views_at(rpc: Rpc, deployment: Deployment) -> ViewsBinding:
    """The deployment's `AnswerViews`. Raises ConfigurationError where it has none."""
    if deployment.views is None:
        raise ConfigurationError(
            "this deployment has no answers in views",
            hint="deploy AnswerViews, and name it as `views` in the deployment file",
        )
    return ViewsBinding(rpc, deployment.views)


async def view(
    rpc: Rpc,
    deployment: Deployment,
    model: Model,
    inputs: Inputs,
    *,
    caller: Address,
    operator: Address,
    allow_rounding: bool | None = None,
    limit: SpendingLimit | None = None,
    public_only: bool,
) -> ViewedAnswer:
    """Asks an operator's gateways, and the contract whether to believe them.

    Args:
        limit: what pays where a gateway asks for it; without one, that is an error.
        public_only: whether gateways are asked by https and at public addresses only.

    Raises:
        PaymentRequired: the answer costs more than was agreed to.
        TensorError: the inputs do not fit the model's schema.
        ViewRefused: no gateway gives an answer.
        ContractReverted: the operator has no gateways, or what they gave is not to be believed.
    """
    contract = views_at(rpc, deployment)
    data = encode_inputs(model.schema, inputs, allow_rounding=allow_rounding)
    lookup = await contract.lookup(caller, operator, model.id, data)

    async def asked(one: OffchainLookup) -> bytes:
        return await fetch(one, public_only=public_only)

    paid = 0
    try:
        response = await asked(lookup)
    except PaymentRequired as required:
        question = ViewQuestion(caller, operator, model.id, data)
        credit = None if deployment.credit is None else CreditBinding(rpc, deployment.credit)
        if limit is None:
            raise await too_dear(credit, question, required, None) from None
        response, paid = await pay(limit, credit, lookup, question, required, asked)
    checked = await contract.checked(caller, lookup, response)
    return _viewed(deployment, model, data, checked, paid)


async def with_gateways(
    contract: ViewsBinding, model: Model, offers: Sequence[StandingOffer]
) -> Address:
    """The operator with the cheapest offer that has gateways. Raises NotFound."""
    for one in offers:
        if await contract.gateways_of(one.operator):
            return one.operator
    raise NotFound(
        f"no operator that offers {model.name} answers in views",
        hint="send a request: `oracle request`",
    )


def _viewed(
    deployment: Deployment, model: Model, data: bytes, checked: CheckedAnswer, paid: int
) -> ViewedAnswer:
    outputs: Mapping[str, Any] = {}
    if checked.result:
        batch = input_batch(model.schema, len(data))
        outputs = decode_outputs(model.schema, checked.result, batch)
    saved = SavedView(
        contracts=Contracts(
            chain_id=deployment.chain_id,
            oracle=deployment.oracle,
            registry=deployment.registry,
            staking=deployment.staking,
            token=deployment.token,
            court=deployment.court,
        ),
        input=data,
        result=checked.result,
        receipt=checked.receipt,
    )
    return ViewedAnswer(outputs, checked.tier, checked.epsilon, saved, paid)
