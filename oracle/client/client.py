"""The client: asks, pays and reclaims as a requester, and reads as anybody (`view`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from numpy.typing import ArrayLike

from oracle.chain.deployment import Deployment
from oracle.chain.keystore import LocalSigner
from oracle.chain.oracle_contract import RequestParams
from oracle.chain.rpc import Rpc, RpcPolicy
from oracle.chain.sender import Sent, TransactionSender
from oracle.chain.turn import turn
from oracle.client import arguments
from oracle.client.deprecated import require_live
from oracle.client.market import standing_offer
from oracle.client.notice import Told, deliver
from oracle.client.reader import OracleReader
from oracle.client.story import Story
from oracle.client.view_post import Posted, post
from oracle.core.event import RequestAccepted, RequestSeen
from oracle.core.model import Model
from oracle.core.operator import Demand
from oracle.core.request import Request, RequestState, minimum_bond
from oracle.core.signing import Signing
from oracle.core.tensor import encode_inputs
from oracle.core.types import ZERO_ADDRESS, Address, format_opg
from oracle.core.view_receipt import SavedView
from oracle.errors import ConfigurationError, ContractReverted, InputError, NotFound

DEFAULT_TIME_TO_ANSWER_SECONDS = 600
_SECONDS_TO_MINE = 5

Inputs = Mapping[str, ArrayLike] | Sequence[ArrayLike]


@dataclass(frozen=True, slots=True)
class Requested:
    """A request that was mined.

    `accepted` says whether an operator is already bound to it. Where one was named and is not,
    `objections` say why its standing offer did not take the request.
    """

    id: bytes
    request: Request
    accepted: bool
    sent: Sent
    objections: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"request 0x{self.id.hex()}, {'accepted' if self.accepted else 'not accepted yet'}"


class OracleClient(OracleReader):
    """One deployment through one endpoint, with or without a key. Made by `connect`."""

    def __init__(
        self,
        rpc: Rpc,
        deployment: Deployment,
        signer: LocalSigner | None,
        private_endpoints: bool | None = None,
    ) -> None:
        super().__init__(rpc, deployment, private_endpoints)
        self._sender = TransactionSender(rpc, signer) if signer else None
        self._allowance = asyncio.Lock()

    @property
    def sender(self) -> TransactionSender:
        """Sends for the client's key. Raises ConfigurationError where it has none."""
        if self._sender is None:
            raise ConfigurationError(
                "this needs a key and the client has none",
                hint="connect with a signer: `LocalSigner.from_keystore(file, password)`",
                cli_hint="set requester_keystore and password_file",
            )
        return self._sender

    # ---- asking

    async def request(
        self,
        model: bytes | str,
        inputs: Inputs,
        *,
        fee: int | None = None,
        operator: Address | None = None,
        open_to_all: bool = False,
        bond: int | None = None,
        value_at_risk: int = 0,
        time_to_answer: int = DEFAULT_TIME_TO_ANSWER_SECONDS,
        window: int | None = None,
        consumer: Address = ZERO_ADDRESS,
        callback_gas_limit: int = 0,
        eager: bool = False,
        allow_rounding: bool | None = None,
    ) -> Requested:
        """Makes a request, from the prepaid account if it suffices, else by token allowance.

        Args:
            model: id or name.
            inputs: arrays by the schema's names, or in its order.
            fee: base units, as `opg("1")` gives them; the chosen offer's price by default.
            operator: who is to answer; the cheapest standing offer that takes it by default.
            open_to_all: let any operator accept; needs a fee.
            bond: base units; by default the smallest that the oracle and the value at risk allow.
            value_at_risk: what a wrong answer could cost, in base units: `opg("25")`, not 25.
            time_to_answer: seconds to the deadline.
            window: seconds to finality; the model's by default.
            consumer, callback_gas_limit, eager: who is notified, if anybody.
            allow_rounding: as in `core.tensor.encode_inputs`.

        Raises:
            TensorError: the inputs do not fit the model's schema.
            NotFound: no such model, or no standing offer takes the request.
            InputError: the model was deprecated, an argument of another type, or a time or an
                amount that no request can have; amounts below 10^9 base units that are not 0 are
                taken for OPG by mistake.
            ContractReverted: the oracle refused the terms.
        """
        fee = None if fee is None else arguments.amount(fee, "fee")
        bond = None if bond is None else arguments.amount(bond, "bond")
        value_at_risk = arguments.amount(value_at_risk, "value_at_risk")
        callback_gas_limit = arguments.gas(callback_gas_limit, "callback_gas_limit")
        operator = None if operator is None else arguments.account(operator, "operator")
        consumer = arguments.account(consumer, "consumer")
        inputs = arguments.arrays(inputs)
        _check_times(time_to_answer, window)
        chosen = await self.model(model)
        require_live(chosen)
        data = encode_inputs(chosen.schema, inputs, allow_rounding=allow_rounding)

        def demand(fee: int) -> Demand:
            smallest = max(minimum_bond(chosen.terms.min_bond, fee), value_at_risk)
            return Demand(
                fee=fee,
                bond=smallest if bond is None else bond,
                seconds_left=time_to_answer,
                window=chosen.terms.challenge_window if window is None else window,
                callback_gas_limit=callback_gas_limit,
            )

        objections: tuple[str, ...] = ()
        if open_to_all:
            if fee is None or operator is not None:
                raise InputError(
                    "an open request needs a fee and names no operator",
                    hint='give one, like fee=opg("0.5"), and leave the operator out',
                    cli_hint="give one, like --fee 0.5, and leave --operator out",
                )
            operator, asked = ZERO_ADDRESS, demand(fee)
        elif operator is not None:
            standing = await standing_offer(self.staking, operator, chosen.id)
            asked = demand(standing.offer.price if fee is None else fee)
            objections = tuple(standing.objections(asked))
        else:
            operator, asked = await self._choose(chosen, fee, demand)
        params = RequestParams(
            consumer=consumer,
            model_id=chosen.id,
            operator=operator,
            fee=asked.fee,
            bond=asked.bond,
            value_at_risk=value_at_risk,
            deadline=await self.rpc.next_timestamp() + asked.seconds_left,
            window=asked.window,
            callback_gas_limit=asked.callback_gas_limit,
            eager=eager,
        )
        made = await self.send_request(params, data)
        return made if made.accepted else replace(made, objections=objections)

    async def send_request(self, params: RequestParams, data: bytes) -> Requested:
        """Makes a request of given terms and input bytes; pays as `request` does."""
        sent = await self._send_prepaid(params, data)
        if sent is None:
            calldata = self.oracle.request_with_pull_data(params, data)
            sent = await self._send_paid(params.fee, calldata)
        seen = next(event for event in sent.events if isinstance(event, RequestSeen))
        self._keep_deadline(seen.request_id, seen.request.deadline)
        return Requested(
            id=seen.request_id,
            request=seen.request,
            accepted=any(isinstance(event, RequestAccepted) for event in sent.events),
            sent=sent,
        )

    async def _send_prepaid(self, params: RequestParams, data: bytes) -> Sent | None:
        """Pays from the account; None where it does not hold the fee, or not any more."""
        account = await self.oracle.account(self.sender.address)
        if account.balance < params.fee:
            return None
        try:
            return await self.sender.send(
                self.oracle.address, self.oracle.request_data(params, data)
            )
        except ContractReverted as reverted:
            if reverted.name != "BalanceTooLow":
                raise
            return None  # a request beside this one came first

    async def _choose(
        self, model: Model, fee: int | None, demand: Callable[[int], Demand]
    ) -> tuple[Address, Demand]:
        """The cheapest standing offer that takes the request, with a little time to mine it.

        Raises:
            NotFound: there is none; says of each offer which of its bounds the request is beyond.
        """
        refusals: list[str] = []
        remedies: list[list[str]] = []
        for one in await self.offers(model.id):
            asked = demand(one.offer.price if fee is None else fee)
            objections = list(one.objections(asked, _SECONDS_TO_MINE))
            if not objections:
                return one.operator, asked
            price = format_opg(one.offer.price)
            refusals.append(f"{one.operator} from {price} OPG ({'; '.join(objections)})")
            remedies.append(list(one.remedies(asked, _SECONDS_TO_MINE)))
        if not refusals:
            raise NotFound(
                f"no standing offer for {model.name} takes this request: there are none",
                hint="make it open to all with a fee, for operators that have the model without "
                "an offer, or ask another model",
                cli_hint="`oracle model list` for another model; or --open with --fee, for "
                "operators that have this one without an offer",
            )
        raise NotFound(
            f"no standing offer for {model.name} takes this request: " + ", ".join(refusals),
            hint="; ".join(sorted(remedies, key=len)[0]),
        )

    async def _send_paid(
        self, amount: int, calldata: bytes, contract: Address | None = None
    ) -> Sent:
        """Allows a contract, by default the oracle, to pull an amount, and has it pulled before
        another is allowed."""
        spender = contract or self.oracle.address
        chain_id, payer = self.rpc.chain_id, self.sender.address
        async with self._allowance, turn(chain_id, payer, f"allowance-{spender}"):
            if await self.token.allowance(payer, spender) < amount:
                data = self.token.approve_data(spender, amount)
                await self.sender.send(self.token.address, data)
            return await self.sender.send(spender, calldata)

    # ---- answers in views

    @property
    def own_address(self) -> Address | None:
        return None if self._sender is None else self._sender.address

    @property
    def _paying(self) -> Signing:
        return self.sender.signer

    async def deposit_credit(self, operator: Address, amount: int) -> Sent:
        """Moves base units of the key's tokens to its credit for views with an operator.

        Takes an announced withdrawal back.
        """
        contract = self.credit
        amount = arguments.amount(amount, "amount", any_size=True)
        return await self._send_paid(
            amount, contract.deposit_data(operator, amount), contract.address
        )

    async def announce_credit_withdrawal(self, operator: Address) -> Sent:
        """Begins the delay after which the credit can be withdrawn."""
        contract = self.credit
        return await self.sender.send(contract.address, contract.announce_withdrawal_data(operator))

    async def withdraw_credit(self, operator: Address) -> Sent:
        """Pays the credit out, once its delay has passed."""
        contract = self.credit
        return await self.sender.send(contract.address, contract.withdraw_data(operator))

    async def post(self, receipt: SavedView) -> Posted:
        """Opens an answer of a view to the court; convicts an operator that posted another one.

        Raises:
            InputError: not this key's receipt, or one that nothing backs any more.
            ContractReverted: the oracle refuses it.
            NoAnswer: the request ended without an answer.
        """
        return await post(self, receipt)

    # ---- money

    async def deposit(self, amount: int) -> Sent:
        """Moves base units from the key's tokens to its account at the oracle."""
        amount = arguments.amount(amount, "amount", any_size=True)
        return await self._send_paid(amount, self.oracle.deposit_data(self.sender.address, amount))

    async def withdraw(self, amount: int, *, to: Address | None = None) -> Sent:
        """Moves base units from the key's account at the oracle to tokens, its own by default."""
        amount = arguments.amount(amount, "amount", any_size=True)
        return await self.sender.send(
            self.oracle.address, self.oracle.withdraw_data(to or self.sender.address, amount)
        )

    # ---- ending what nobody answered

    async def cancel(self, request_id: bytes | str) -> Sent:
        """Takes back a request that nobody has accepted."""
        request = (await self.story(request_id)).created.request
        return await self.sender.send(self.oracle.address, self.oracle.cancel_data(request))

    async def reclaim(self, request_id: bytes | str) -> Sent:
        """Ends a request whose deadline has passed: expires it, or defaults its operator.

        Raises:
            InputError: it is already over, or it has been answered.
            ContractReverted: the deadline has not passed.
        """
        state, story = await self.state(request_id), await self.story(request_id)
        request = story.created.request
        if state.state is RequestState.REQUESTED:
            data = self.oracle.expire_data(request)
        elif state.state is RequestState.ACCEPTED:
            data = self.oracle.mark_defaulted_data(request, state.accepted_by)
        else:
            raise InputError(
                f"the request is {state.state.name.lower()}: nothing to reclaim",
                hint=_where_the_fee_is(state.state, story),
            )
        try:
            return await self.sender.send(self.oracle.address, data, more=request.notice_gas)
        except ContractReverted as reverted:
            if reverted.name == "DeadlineNotPassed":
                left = request.deadline - (await self.rpc.latest()).timestamp
                reverted.hint = f"wait {left + 1} s more, until the deadline is over"
                if (
                    state.state is RequestState.REQUESTED
                    and request.requester == self.sender.address
                ):
                    named = f"0x{story.created.request_id.hex()}"
                    reverted.hint = (
                        f"nobody has taken it: `cancel` (or `oracle cancel {named}`) gives the fee "
                        f"back at once; or {reverted.hint}"
                    )
            raise

    # ---- telling the consumer

    async def deliver_notice(self, request_id: bytes, *, all_gas: bool = False) -> Told:
        """Delivers again a notice that its consumer could not be told.

        Args:
            all_gas: through the consumer's own `hearAgain` (those of `InferenceConsumer` have it),
                with as much gas as it takes; by default through the oracle, with the gas that the
                request promised.

        Raises:
            InputError: no failed notice of this request is open.
            ChainRefused: the notice would fail again, and why.
            ContractReverted: `hearAgain` refuses, with what the hook says.
            NotFound: the oracle has never seen this id.
        """
        return await deliver(self, request_id, all_gas=all_gas)


def _where_the_fee_is(state: RequestState, story: Story) -> str:
    if not state.terminal:
        return "it is answered: its fee comes back only if the answer is convicted"
    if state is RequestState.SETTLED:
        return "its answer is final, and its operator has the fee"
    requester = story.created.request.requester
    where = (
        f"its fee of {format_opg(story.refund)} OPG came back to the account of {requester} at the "
        "oracle: `oracle account show`"
    )
    if state in (RequestState.DEFAULTED, RequestState.SLASHED):
        return where + "; a share of what its operator lost is had by `oracle account claim`"
    return where


def _check_times(time_to_answer: int, window: int | None) -> None:
    time_to_answer = arguments.seconds(time_to_answer, "time_to_answer")
    window = None if window is None else arguments.seconds(window, "window")
    if time_to_answer < 1:
        raise InputError(
            f"a time to answer of {time_to_answer} s puts the deadline {-time_to_answer} s "
            "into the past",
            hint="pass at least 1 s (--time-to-answer), and what it takes to mine the request",
        )
    if window is not None and window < 0:
        raise InputError(
            f"a challenge window of {window} s ends before it begins",
            hint="pass 0 s or more (--window); the model's own is taken where none is given",
        )


@asynccontextmanager
async def connect(
    rpc_url: str | Sequence[str],
    deployment: Deployment | Path | str,
    signer: LocalSigner | None = None,
    *,
    timeout_seconds: float = 10.0,
    policy: RpcPolicy | None = None,
    private_endpoints: bool | None = None,
) -> AsyncIterator[OracleClient]:
    """Opens a client and closes it.

    Args:
        rpc_url: one endpoint, or several of one chain in the order of preference.
        deployment: the addresses, or the file that holds them.
        signer: the key that asks and pays; without one the client only reads.
        policy: how several are judged.
        private_endpoints: whether URLs that operators announced on chain are asked where they lead
            to private addresses; by default only where every endpoint is on this machine.

    Raises:
        ConfigurationError: a bad deployment file.
        WrongChain: the endpoint does not serve the deployment's chain.
        ChainUnreachable: the endpoint does not answer.
    """
    where = arguments.deployment(deployment)
    arguments.signer(signer)
    rpc = await Rpc.connect(
        rpc_url,
        chain_id=where.chain_id,
        genesis_hash=where.genesis_hash,
        timeout_seconds=timeout_seconds,
        policy=policy,
    )
    try:
        await where.verify(rpc)
        yield OracleClient(rpc, where, signer, private_endpoints)
    finally:
        await rpc.close()
