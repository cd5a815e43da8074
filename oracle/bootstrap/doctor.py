"""Every check that a node makes when it starts, and those that it cannot make, one after another.

Responsible for going on after a failure, so that one look shows all that is wrong, and for saying
of each what to do. Changes nothing: nothing is sent, signed or created.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from oracle.bootstrap import connection
from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.doctor_ports import ports_for, ports_of
from oracle.bootstrap.doctor_standing import Standing, not_timed_beside_a_node
from oracle.bootstrap.finding import CheckStatus, Finding
from oracle.bootstrap.keys import opened_signers
from oracle.bootstrap.leading import paying_key
from oracle.bootstrap.readiness import lack_of_gas, require_registered, signer_gas
from oracle.bootstrap.running import START, process_of
from oracle.chain.deployment import Deployment
from oracle.chain.remote_signer import RemoteSigner
from oracle.chain.rpc import Rpc, masked
from oracle.chain.staking_contract import StakingBinding
from oracle.core.types import Address, address, format_wad
from oracle.errors import ConfigurationError, OracleError
from oracle.inference.model_library import ModelLibrary
from oracle.inference.provider import select_provider
from oracle.settings import Settings
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.storage import open_storage

_CLOCK_TOLERANCE_SECONDS: Final = 30
_LITTLE_DISK_BYTES: Final = 1 << 30
_SILENT_SECONDS: Final = 10.0


class _Skipped(Exception):
    """A check that an earlier failure makes pointless."""


Check = Callable[[], Awaitable[Finding | list[Finding]]]


class Doctor:
    """Examines one installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._operator: Address | None = None
        self._signer: Address | None = None
        self._payer: Address | None = None
        self._held: list[Address] = []
        self._deployment: Deployment | None = None
        self._rpc: Rpc | None = None
        self._standing: Standing | None = None
        self._heartbeat = HeartbeatFile(settings.data_dir / "node.json")
        self._opened = AsyncExitStack()

    async def examine(self) -> AsyncIterator[Finding]:
        """Makes every check, in the order in which a node needs them."""
        checks: tuple[tuple[str, Check], ...] = (
            ("operator", self._names_operator),
            ("data directory", self._data_directory),
            ("signer's key", self._key),
            ("provider", self._provider),
            ("deployment file", self._deployment_file),
            ("endpoint", self._endpoint),
            ("contracts", self._contracts),
            ("clock", self._clock),
            ("registration", self._registration),
            ("stake", self._stake),
            ("announced endpoint", self._announced),
            ("gas", self._gas),
            ("offers and models", self._models),
            ("ports", self._ports),
            ("database", self._database),
            ("node", self._node),
            # Takes by far the longest, and may take the machine's memory: all else is said before.
            ("full requests", self._full_requests),
        )
        try:
            for name, check in checks:
                try:
                    found = await check()
                except _Skipped as skipped:
                    found = Finding(name, CheckStatus.SKIPPED, f"not checked: {skipped}")
                except OracleError as error:
                    found = Finding(name, CheckStatus.BAD, error.message, error.hint)
                for one in found if isinstance(found, list) else [found]:
                    yield one
        finally:
            await self._opened.aclose()

    # ---- this machine

    async def _names_operator(self) -> Finding:
        if self._settings.operator is None:
            raise self._settings.lacking(
                "settings name no operator", hint="`oracle operator init`, then set operator"
            )
        self._operator = address(self._settings.operator)
        return Finding("operator", CheckStatus.GOOD, self._operator)

    async def _data_directory(self) -> Finding:
        folder = self._settings.data_dir
        existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        if not _writable(existing):
            raise ConfigurationError(
                f"{folder} cannot be written by this user",
                hint="set data_dir to a folder that this user may write",
            )
        free = shutil.disk_usage(existing).free
        told = f"{folder}, {free / 2**30:.1f} GiB free"
        if free < _LITTLE_DISK_BYTES:
            mend = "free some: a full disk takes neither jobs nor traces"
            return Finding("data directory", CheckStatus.WARNING, told, mend)
        if free < self._settings.trace_budget_bytes:
            budget = self._settings.trace_budget_bytes / 2**30
            mend = f"traces may take {budget:.1f} GiB: lower trace_budget_bytes, or free some"
            return Finding("data directory", CheckStatus.WARNING, told, mend)
        return Finding("data directory", CheckStatus.GOOD, told)

    async def _key(self) -> Finding:
        async with opened_signers(self._settings) as held:
            self._signer = held[0].address
            self._held = [one.address for one in held]
            told = []
            for one in held:
                where = ""
                if isinstance(one, RemoteSigner):
                    await one.find()
                    where = f" at {one.endpoint}"
                told.append(one.address + where)
        payer = await paying_key(self._settings)
        if payer is not None:
            self._payer = payer.address
            told.append(f"{payer.address}, which pays")
        return Finding("signer's key", CheckStatus.GOOD, " and ".join(told))

    async def _ports(self) -> Finding:
        """Where a node serves, or would."""
        beat = self._heartbeat.read()
        if beat is not None and process_of(beat) is not None:
            return ports_of(beat, self._settings)
        return await ports_for(self._settings)

    async def _provider(self) -> Finding:
        return Finding("provider", CheckStatus.GOOD, select_provider(self._settings.provider).name)

    # ---- the chain

    async def _deployment_file(self) -> Finding:
        self._deployment = connection.deployment(self._settings)
        told = f"{self._settings.deployment_path}, chain {self._deployment.chain_id}"
        return Finding("deployment file", CheckStatus.GOOD, told)

    async def _endpoint(self) -> Finding:
        deployment = self._need_deployment()
        started = time.monotonic()
        self._rpc = await self._opened.enter_async_context(
            await connection.open_rpc(self._settings, deployment)
        )
        head = await self._rpc.latest()
        reports = self._rpc.reports()
        states = ", ".join(f"{one['address']} ({one['why'] or one['state']})" for one in reports)
        told = f"{states}, block {head.number}, {time.monotonic() - started:.2f} s"
        if any(one["why"] for one in reports):
            mend = "mend it, or remove it from rpc_url: the others are used meanwhile"
            return Finding("endpoint", CheckStatus.WARNING, told, mend)
        return Finding("endpoint", CheckStatus.GOOD, told)

    async def _contracts(self) -> Finding:
        deployment = self._need_deployment()
        await deployment.verify(self._need_rpc())
        return Finding("contracts", CheckStatus.GOOD, f"oracle at {deployment.oracle}")

    async def _clock(self) -> Finding:
        head = await self._need_rpc().latest()
        behind = head.timestamp - time.time()
        told = f"the newest block is {-behind:.0f} s old by this machine's clock"
        if behind > _CLOCK_TOLERANCE_SECONDS:
            mend = "set the clock (NTP): answers would be judged to be in time when they are not"
            return Finding(
                "clock", CheckStatus.BAD, f"it is {behind:.0f} s behind the chain's", mend
            )
        return Finding("clock", CheckStatus.GOOD, told)

    async def _registration(self) -> Finding:
        deployment, rpc = self._need_deployment(), self._need_rpc()
        if self._operator is None:
            raise _Skipped("settings name no operator")
        await require_registered(rpc, deployment, self._operator)
        status = await StakingBinding(rpc, deployment.staking).status(self._operator)
        self._standing = Standing(rpc, deployment, self._operator)
        if self._signer is None:
            raise _Skipped("the signer's key could not be read")
        if status.signer not in self._held:
            raise ConfigurationError(
                f"the registered signer is {status.signer}, the keystore holds "
                f"{' and '.join(self._held)}",
                hint="point signer_keystore at the registered key, or `oracle operator "
                "rotate-signer`",
            )
        self._signer = status.signer
        return Finding("registration", CheckStatus.GOOD, f"signer {status.signer}")

    async def _stake(self) -> Finding:
        return await self._need_standing().stake()

    async def _announced(self) -> Finding:
        return await self._need_standing().announced()

    async def _gas(self) -> Finding:
        if self._signer is None:
            raise _Skipped("the signer's key could not be read")
        gas = await signer_gas(self._need_rpc(), self._payer or self._signer)
        told = f"{format_wad(gas.balance_wei)} coin: {gas.in_words}"
        if (lack := lack_of_gas(gas)) is not None:
            pays = gas.largest_answers and gas.reveals
            health = CheckStatus.WARNING if pays else CheckStatus.BAD
            return Finding("gas", health, lack.what, lack.next_step)
        return Finding("gas", CheckStatus.GOOD, told)

    async def _models(self) -> list[Finding]:
        library = ModelLibrary(self._settings.model_store)
        standing = self._need_standing()
        found = await standing.models(self._signer, library)
        return [*found, *await standing.prices(self._settings)]

    async def _full_requests(self) -> Finding | list[Finding]:
        beat = self._heartbeat.read()
        if beat is not None and not beat.ended:
            silent = time.time() - beat.beat_at
            if silent <= _SILENT_SECONDS or process_of(beat) is not None:
                return not_timed_beside_a_node()
        library = ModelLibrary(self._settings.model_store)
        local = connection.chain_is_local(self._settings)
        return await self._need_standing().full_requests(self._settings, library, local=local)

    # ---- what the node keeps

    async def _database(self) -> Finding:
        location = self._settings.database_url
        if _is_absent(location):
            return Finding("database", CheckStatus.GOOD, f"{location}, made at the first start")
        storage = open_storage(location, SystemClock())
        try:
            totals = await storage.jobs.totals()
        finally:
            await storage.close()
        shown = masked(location) if "://" in location else location
        return Finding("database", CheckStatus.GOOD, f"{shown}, {sum(totals.jobs.values()):,} jobs")

    async def _node(self) -> Finding | list[Finding]:
        beat = self._heartbeat.read()
        if beat is None:
            return Finding("node", CheckStatus.GOOD, f"none has run here yet; start it: {START}")
        silent = time.time() - beat.beat_at
        if beat.ended:
            told = f"none runs here; the last ended {silent:.0f} s ago"
            return Finding("node", CheckStatus.WARNING, told, START)
        if silent > _SILENT_SECONDS:
            told = f"it has been silent for {silent:.0f} s: killed, or it hangs"
            return Finding("node", CheckStatus.BAD, told, f"{START}; its log says why it ended")
        if beat.trouble:
            return [
                Finding("node", CheckStatus.BAD, f"{step}: {what}", "`oracle node status`")
                for step, what in beat.trouble.items()
            ]
        return Finding(
            "node", CheckStatus.GOOD, f"process {beat.process_id}, block {beat.cursor_block}"
        )

    # ---- what a check needs of those before it

    def _need_deployment(self) -> Deployment:
        if self._deployment is None:
            raise _Skipped("there is no deployment")
        return self._deployment

    def _need_rpc(self) -> Rpc:
        if self._rpc is None:
            raise _Skipped("there is no endpoint")
        return self._rpc

    def _need_standing(self) -> Standing:
        if self._standing is None:
            raise _Skipped("the operator is not registered, or could not be looked up")
        return self._standing


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _is_absent(location: str) -> bool:
    return "://" not in location and not Path(location).exists()
