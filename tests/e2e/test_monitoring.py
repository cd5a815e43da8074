"""What a monitor sees of a real node: the same as its database, red when it is cut off."""

from __future__ import annotations

import asyncio
import functools

from oracle.bootstrap.metrics_watcher import open_watcher_server
from oracle.bootstrap.watcher import open_watcher
from oracle.core.case import CaseState
from oracle.core.health import STALLS
from oracle.core.job import JobState
from oracle.ports.jobs import Totals
from oracle.web.metrics_node import NODE_METRICS
from oracle.web.metrics_watcher import WATCHER_METRICS
from tests.support.fault_proxy import EVERY, fault_proxy, frozen, http_status
from tests.support.scraping import Scraped, asked, scrape
from tests.support.watching import WATCHER, policy, watcher_settings
from tests.support.world import World, until

BASE_UNITS = 10**18


async def test_a_scrape_shows_each_metric_and_what_the_database_says(world: World) -> None:
    async with world.node() as node:
        first, second = await world.ask(), await world.ask()
        await world.until_settled(first.id, second.id)

        async def settled() -> tuple[Scraped, Totals] | None:
            """A scrape between two equal looks at the table, when nothing is under way any more."""
            before = await world.storage.jobs.totals()
            found = await scrape(node.private)
            done = found.value("oracle_jobs", state="settled") == 2
            mined = found.value("oracle_transactions_open") == 0
            purse = found.values("oracle_gas_balance_coins")  # looked at by a step of its own
            # A block may come after the last settlement, to let a window pass.
            read = found.values("oracle_head_block") == [(await world.chain.head()).number]
            same = before == await world.storage.jobs.totals()
            return (found, before) if done and mined and purse and read and same else None

        seen = await until(settled)
        assert seen is not None
        found, totals = seen
    assert set(found.families) == {one.name for one in NODE_METRICS}
    for metric in NODE_METRICS:
        family = found.families[metric.name]
        assert (family.type, family.documentation) == (metric.kind.value, metric.meaning)
        assert all(set(metric.labels) == set(one.labels) - {"le"} for one in family.samples)
    for state in JobState:
        assert found.value("oracle_jobs", state=state.value) == totals.jobs.get(state, 0)
    assert found.value("oracle_fees_earned_opg") == totals.fees_earned / BASE_UNITS > 0
    assert found.value("oracle_gas_spent_coins") == totals.gas_spent_wei / BASE_UNITS > 0
    assert found.value("oracle_transactions_total") == totals.transactions
    for name in ("oracle_answer_seconds", "oracle_inference_seconds"):
        assert found.value(f"{name}_count") == found.value(f"{name}_bucket", le="+Inf") == 2
        assert 0 < found.value(f"{name}_sum") < 60
    assert found.value("oracle_healthy") == found.value("oracle_ready") == 1
    assert {one.labels["cause"]: one.value for one in found.families["oracle_stalled"].samples} == (
        dict.fromkeys(STALLS, 0)
    )
    head = (await world.chain.head()).number
    assert found.value("oracle_head_block") == found.value("oracle_cursor_block") == head
    assert found.value("oracle_gas_balance_coins") > found.value("oracle_gas_minimum_coins")
    assert found.value("oracle_endpoint_in_use", position="1") == 1
    assert found.value("oracle_endpoint_calls_total", method="eth_sendRawTransaction") >= 2
    assert found.value("oracle_leads", what="chain") == found.value("oracle_workers") == 1
    assert found.value("oracle_trace_used_bytes") > 0
    assert not found.values("oracle_earliest_deadline_timestamp_seconds")


async def test_health_is_red_while_the_endpoint_is_gone_and_green_again_after(
    world: World,
) -> None:
    async with (
        fault_proxy(world.chain.rpc.endpoint) as proxy,
        world.node(rpc_url=proxy.url, stalled_seconds=0.5) as node,
    ):

        async def health(wanted: int) -> dict[str, object] | None:
            status, said = await asked(node.private, "/health")
            return said if status == wanted else None

        well = await until(functools.partial(health, 200))
        assert well == {"status": "well", "stalled": [], "resting": [], "wanting": []}

        proxy.on(EVERY, http_status(503))

        async def refused() -> dict[str, str] | None:
            """The reason: at first it may be only that nothing was read for a while."""
            red = await health(503)
            if red is None:
                return None
            assert red["status"] == "stalled"
            (reason,) = red["stalled"]  # type: ignore[misc]
            assert reason["cause"] == "chain"
            return reason if "HTTP 503" in reason["what"] else None

        reason = await until(refused)
        assert reason is not None
        assert "endpoint" in reason["next"]
        assert (await asked(node.private, "/ready"))[0] == 503
        found = await scrape(node.private)
        assert found.value("oracle_healthy") == found.value("oracle_ready") == 0
        assert found.value("oracle_stalled", cause="chain") == 1
        assert found.value("oracle_trouble", where="watch") == 1
        assert found.value("oracle_endpoint_up", position="1") == 0

        proxy.heal()
        assert await until(functools.partial(health, 200)) == well


async def test_an_endpoint_that_shows_less_than_before_makes_health_red(world: World) -> None:
    async with (
        fault_proxy(world.chain.rpc.endpoint) as proxy,
        world.node(rpc_url=proxy.url, stalled_seconds=0.5) as node,
    ):

        async def cause() -> str | None:
            _, said = await asked(node.private, "/health")
            return said["stalled"][0]["what"] if said["stalled"] else None

        head = (await world.chain.head()).number
        await until(functools.partial(_reads_up_to, node.private, head))
        proxy.on(EVERY, frozen(head - 2))
        assert "lies behind what was read before" in str(await until(cause))
        proxy.heal()

        async def well() -> bool:
            return (await asked(node.private, "/health"))[0] == 200

        await until(well)


async def test_a_node_that_drains_is_healthy_and_not_ready(world: World) -> None:
    async with world.node() as node:
        request = await world.ask()
        await world.chain.automine(False)
        # What is begun cannot end now, so that draining lasts.
        await world.until_job(request.id, JobState.ANSWERING)
        node.drain()
        status, said = await asked(node.private, "/health")
        assert (status, said["status"]) == (200, "draining")
        status, said = await asked(node.private, "/ready")
        assert status == 503
        assert said["resting"][0]["next"]
        assert (await scrape(node.private)).value("oracle_draining") == 1
        await world.chain.automine(True)
        await world.chain.mine()
        await world.until_job(request.id, JobState.ANSWERED)


async def test_a_watcher_has_figures_and_health_of_its_own(court: World) -> None:
    async with fault_proxy(court.chain.rpc.endpoint) as proxy:
        settings = watcher_settings(court).model_copy(
            update={"rpc_url": proxy.url, "watcher_port": 0, "stalled_seconds": 0.5}
        )
        async with (
            open_watcher(settings, WATCHER, policy(court)) as opened,
            open_watcher_server(
                settings, opened.watcher, opened.purse, opened.storage, opened.client.rpc
            ) as url,
        ):
            running = asyncio.create_task(opened.watcher.run())

            async def watched() -> Scraped | None:
                found = await scrape(url)
                # Its purse is looked at after the chain.
                purse = len(found.values("oracle_watcher_purse_held")) == 2
                return found if purse and found.values("oracle_watcher_head_block") else None

            found = await until(watched)
            assert found is not None
            assert set(found.families) == {one.name for one in WATCHER_METRICS}
            for metric in WATCHER_METRICS:
                family = found.families[metric.name]
                assert (family.type, family.documentation) == (metric.kind.value, metric.meaning)
            assert len(found.values("oracle_watcher_cases")) == len(CaseState)
            for what in ("coin", "OPG"):
                held = found.value("oracle_watcher_purse_held", what=what)
                assert held > found.value("oracle_watcher_purse_needed", what=what) > 0

            async def status(wanted: int) -> bool:
                return (await asked(url, "/health"))[0] == wanted

            await until(functools.partial(status, 200))
            proxy.on(EVERY, http_status(503))
            await until(functools.partial(status, 503))

            async def troubled() -> bool:
                """It may be red at first as nothing was read for a while, before a round failed."""
                return (await scrape(url)).value("oracle_watcher_trouble") == 1

            await until(troubled)
            proxy.heal()
            await until(functools.partial(status, 200))
            opened.watcher.stop()
            await running


async def _reads_up_to(url: str | None, block: int) -> bool:
    return (await scrape(url)).values("oracle_head_block") == [float(block)]
