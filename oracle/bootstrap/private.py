"""The operator's own server around a running node: its parts, each over what the node has opened.

Responsible for which parts there are and for opening and closing the server. Knows nothing of what
a part shows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oracle.bootstrap.metrics import health_limits, metrics_part
from oracle.bootstrap.overview import ChainSide, NodeOverview, Sources
from oracle.bootstrap.parts import Parts
from oracle.bootstrap.troubles import Troubles, noted
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.staking_contract import StakingBinding
from oracle.core.health import health_of
from oracle.service.node import Node
from oracle.storage.overview import SqlOverview
from oracle.web import Server
from oracle.web.page import page_part, read_token
from oracle.web.private import Part, allowed_hosts, private_application


@asynccontextmanager
async def open_private(parts: Parts, node: Node) -> AsyncIterator[str | None]:
    """The server, as long as the node lives; its URL, or None where settings want none.

    Raises:
        ConfigurationError: the address cannot be had, or the token's file cannot be read.
    """
    settings = parts.settings
    if not settings.private:
        yield None
        return
    hosts = allowed_hosts(settings.private_host, settings.private_names.split())
    async with _page(parts, node) as page:
        served = [page, await metrics_part(parts, node)]
        server = Server(
            private_application(served, hosts=hosts),
            host=settings.private_host,
            port=settings.private_port,
            named="private",
        )
        async with server:
            yield server.address


@asynccontextmanager
async def _page(parts: Parts, node: Node) -> AsyncIterator[Part]:
    """The operator's page, over a connection of its own to the database."""
    settings, deployment, rpc = parts.settings, parts.deployment, parts.rpc
    named = settings.private_token_file
    token = None if named is None else read_token(named)
    limits = health_limits(settings)
    figures = SqlOverview(settings.database_url)
    troubles = Troubles()
    source = NodeOverview(
        Sources(
            node=node,
            storage=parts.storage,
            figures=figures,
            chain=ChainSide(
                rpc,
                OracleBinding(rpc, deployment.oracle),
                StakingBinding(rpc, deployment.staking),
                parts.models,
                parts.library,
                parts.operator,
                lambda: parts.sender,
                parts.senders,
                parts.offers,
            ),
            troubles=troubles,
            health=lambda: health_of(node.vitals(), limits, parts.clock.now()),
            credit=deployment.credit,
        )
    )
    try:
        with noted(troubles):
            yield page_part(source, actions=source, token=token)
    finally:
        await source.close()
        await figures.close()
