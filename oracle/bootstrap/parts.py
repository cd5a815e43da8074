"""What a node's verbs work with, opened once and closed as one: adapters, keys, and who may send.

Responsible for what has to be there before what. Knows no verb but `watch`, whose view of the
chain's head the keys need.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from oracle.bootstrap import connection
from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.endpoints import log_endpoint
from oracle.bootstrap.guard import Guard, guard
from oracle.bootstrap.keys import NodeKeys, Reload, open_keys
from oracle.bootstrap.leading import lead_of, leases_of, paid_by, paying_key
from oracle.bootstrap.readiness import require_registered
from oracle.bootstrap.receipts import NodeReceipts
from oracle.bootstrap.serving import Serving, open_serving
from oracle.bootstrap.view_gateway import NodeViewGateway, opened_view_gateway
from oracle.chain.credit_contract import CreditBinding
from oracle.chain.deployment import Deployment
from oracle.chain.gateway import Gateway
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.reader import Reader
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.client.market import OwnOffers
from oracle.core.redaction import masked
from oracle.core.types import Address, opg
from oracle.inference.model_library import ModelLibrary
from oracle.inference.supervised import SupervisedEngine
from oracle.ports.clock import Clock
from oracle.ports.contracts import OracleContract, RegistryContract, StakingContract
from oracle.ports.inference import InferenceEngine
from oracle.ports.jobs import DatabaseIdentity, JobStore
from oracle.ports.leases import LeaseStore
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.ports.signing import Signer
from oracle.ports.traces import TraceStore
from oracle.ports.views import ViewStore
from oracle.service.lead import GuardedGateway, GuardedSigner, Lead
from oracle.service.policy import Policy
from oracle.service.senders import Senders
from oracle.service.transact import Transact
from oracle.service.watch import Watch, WatchPolicy
from oracle.settings import Settings
from oracle.storage.claim import Claim
from oracle.storage.storage import Storage, open_storage

_log = structlog.get_logger("oracle.node")

Adapter = TypeVar("Adapter")


class Instrument(Protocol):
    """Puts something, such as a clock, between the services and the adapter of a port."""

    def __call__(self, name: str, adapter: Adapter, /) -> Adapter: ...


def bare(_name: str, adapter: Adapter, /) -> Adapter:
    """No instrument."""
    return adapter


@dataclass(frozen=True, slots=True)
class Ports:
    """The adapters as services get them: through the instrument, and through what guards them."""

    jobs: JobStore
    transactions: TransactionStore
    views: ViewStore
    traces: TraceStore
    engine: InferenceEngine
    registry: RegistryContract
    staking: StakingContract
    contract: OracleContract
    credit: CreditBinding | None
    gateway: TransactionGateway


@dataclass(frozen=True, slots=True)
class Parts:
    """What a node has opened.

    Attributes:
        offers: the operator's own, as they stand.
        library: the models that are here.
        engine: the process that runs them.
        view_gateway: where views are asked for; None where settings name none.
        leases: who leads, among the workers that share the database; `lead` is this one's part.
        guards: what keeps a failing or penniless node from taking more on.
        payer: the key that pays, where it is not the signer's.
        key: signs, while this worker may.
        transact: where this worker's transactions go.
        ports: what services get.
    """

    settings: Settings
    operator: Address
    deployment: Deployment
    clock: Clock
    instrument: Instrument
    policy: Policy
    rpc: Rpc
    reader: Reader
    models: RegistryBinding
    offers: OwnOffers
    library: ModelLibrary
    engine: SupervisedEngine
    storage: Storage
    serving: Serving
    view_gateway: NodeViewGateway | None
    leases: LeaseStore
    lead: Lead
    guards: Guard
    watch: Watch
    keys: NodeKeys
    payer: Signer | None
    key: Signer
    transact: Senders | Transact
    ports: Ports

    @property
    def sender(self) -> Address:
        """Whose coin pays for what is sent next."""
        return self.key.address if self.payer is None else self.payer.address

    def senders(self) -> Collection[Address]:
        """The keys that pay for this node's transactions now."""
        return list(self.keys.keyring.held) if self.payer is None else [self.payer.address]


@asynccontextmanager
async def open_parts(
    settings: Settings,
    operator: Address,
    *,
    instrument: Instrument,
    signers: list[Signer],
    reload: Reload,
    engine: SupervisedEngine,
    claim: Claim,
) -> AsyncIterator[Parts]:
    """Opens them on a data directory that is claimed.

    Args:
        signers: the keys that were read at the start; what is read later is added.
        engine: is starting.

    Raises:
        StorageError: the database cannot be used, or is another node's.
        ConfigurationError: deployment, operator or settings are not as they must be.
        KeystoreError: none of the keys is the operator's signer.
        ChainUnreachable: the endpoint does not answer.
    """
    clock = SystemClock()
    deployment = connection.deployment(settings)
    library = ModelLibrary(settings.model_store)
    async with AsyncExitStack() as opened:
        asked = " ".join(masked(one) for one in connection.rpc_urls(settings))
        _log.info("connecting", endpoints=asked)
        rpc = await connection.open_rpc(settings, deployment, notice=log_endpoint)
        opened.push_async_callback(rpc.close)
        await deployment.verify(rpc)
        await require_registered(rpc, deployment, operator)
        reader = await Reader.open(rpc, deployment.oracle, largest_span=settings.range_blocks)
        storage = open_storage(settings.database_url, clock, holder=claim.holder)
        opened.push_async_callback(storage.close)
        await storage.jobs.bind(
            DatabaseIdentity(deployment.chain_id, deployment.oracle, operator, reader.genesis_hash)
        )
        models = RegistryBinding(rpc, deployment.registry, deployed_block=deployment.deployed_block)
        receipts = NodeReceipts(
            contracts=connection.contracts(deployment),
            jobs=storage.jobs,
            transactions=storage.transactions,
            chain=reader,
            registry=models,
        )
        view_gateway = opened_view_gateway(settings, deployment, clock)
        serving = await opened.enter_async_context(
            open_serving(settings, library, clock, receipts, view_gateway)
        )
        register = StakingBinding(rpc, deployment.staking)
        payer = await paying_key(settings)
        held = [one.address for one in (*signers, payer) if one is not None]
        leases, claims = await opened.enter_async_context(
            leases_of(settings, claim, storage, deployment, held)
        )

        def senders() -> Collection[Address]:
            return parts.senders()  # who asks does so once there are keys

        lead = lead_of(settings, leases, deployment.chain_id, senders)
        guards = guard(
            settings,
            clock,
            instrument("gateway", GuardedGateway(Gateway(rpc), lead.key)),
            lambda: [parts.sender],
        )
        credit = None
        if deployment.credit is not None:
            credit = instrument("credit", CreditBinding(rpc, deployment.credit))
        offers = OwnOffers(rpc, register, operator, deployment.deployed_block)
        ports = Ports(
            jobs=instrument("jobs", storage.jobs),
            transactions=instrument("transactions", storage.transactions),
            views=instrument("views", storage.views),
            traces=instrument("traces", serving.traces),
            engine=instrument("engine", engine),
            registry=instrument("registry", models),
            staking=instrument("staking", register),
            contract=instrument("contract", OracleBinding(rpc, deployment.oracle)),
            credit=credit,
            gateway=guards.gateway,
        )
        watch = Watch(
            instrument("reader", reader),
            ports.staking,
            ports.jobs,
            operator,
            WatchPolicy(
                start_block=deployment.deployed_block,
                confirmations=settings.confirmations,
                range_blocks=settings.range_blocks,
            ),
        )

        def guarded(signer: Signer) -> GuardedSigner:
            return GuardedSigner(instrument("signer", signer), lead.key)

        def follower(signer: Signer) -> Transact:
            return Transact(
                ports.jobs,
                ports.transactions,
                ports.gateway,
                guarded(signer),
                clock,
                deployment.chain_id,
                connection.transact_policy(settings),
            )

        keys = await opened.enter_async_context(
            open_keys(
                settings,
                signers,
                reload=reload,
                register=register,
                reader=reader,
                head=lambda: watch.head,
                clock=clock,
                operator=operator,
                start_block=deployment.deployed_block,
                transactions=ports.transactions,
                gateway=ports.gateway,
                follower=follower,
                claims=claims,
            )
        )
        parts = Parts(
            settings=settings,
            operator=operator,
            deployment=deployment,
            clock=clock,
            instrument=instrument,
            policy=_policy(settings),
            rpc=rpc,
            reader=reader,
            models=models,
            offers=offers,
            library=library,
            engine=engine,
            storage=storage,
            serving=serving,
            view_gateway=view_gateway,
            leases=leases,
            lead=lead,
            guards=guards,
            watch=watch,
            keys=keys,
            payer=payer,
            key=guarded(keys.keyring),
            transact=paid_by(payer, keys, follower),
            ports=ports,
        )
        yield parts


def _policy(settings: Settings) -> Policy:
    least = settings.minimum_fee_opg
    return Policy(
        minimum_fee=None if least is None else opg(least),
        answer_margin_seconds=settings.answer_margin_seconds,
        max_callback_gas=settings.max_callback_gas,
        max_window_seconds=settings.max_window_seconds,
        wei_per_opg=settings.wei_per_opg,
        margin_percent=settings.margin_percent,
    )
