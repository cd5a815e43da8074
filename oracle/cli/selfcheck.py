"""`oracle selfcheck`: the court's verdict on this machine, before it stakes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.readiness import Lack, lacks
from oracle.bootstrap.selfcheck import selfcheck as judge_own
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.cli.output import Output
from oracle.core.types import address
from oracle.errors import ChainUnreachable, CheatFound, ConfigurationError, NotFound
from oracle.inference.model_library import ModelLibrary

_TRACES = 20


def register(app: typer.Typer) -> None:
    verb(app, "selfcheck")(selfcheck)


async def selfcheck(
    most: Annotated[int, typer.Option("--traces", min=0, help="Latest traces to judge.")] = _TRACES,
    as_json: Json = False,
) -> None:
    """Judge this node's latest traces and trial runs of its programs, as the court would."""
    out = output(as_json)
    missing = await _missing()
    await check_machine(out, most, missing=missing)
    if not as_json:
        for one in missing:
            out.say(f"missing: {one.what}\n  next: {one.next_step}")


async def _missing() -> list[Lack]:
    """What keeps this node from serving, where settings say whose it is."""
    configured = settings()
    if configured.operator is None:
        return []
    operator = address(configured.operator)
    try:
        async with connection.client(configured) as client:
            signer = (await client.staking.status(operator)).signer
            library = ModelLibrary(configured.model_store)
            return await lacks(client.rpc, client.deployment, operator, signer, library)
    except (
        ConfigurationError,
        ChainUnreachable,
        NotFound,
    ) as error:  # a machine is judged without a chain
        return [
            Lack(
                "unchecked",
                f"gas and offers could not be looked up: {error.message}",
                error.hint or "",
            )
        ]


async def check_machine(
    out: Output, most: int = _TRACES, *, quiet: bool = False, missing: Sequence[Lack] = ()
) -> None:
    """Judges, and prints what it found unless `quiet`.

    Raises:
        CheatFound: this machine must not bond.
    """
    with out.progress("judging this machine's own traces"):
        done = await asyncio.to_thread(judge_own, settings(), most, lambda _: None)
    broken = [one for one in done if one.problem]
    if not quiet or broken:
        out.table(
            "Selfcheck",
            ("what", "tier", "elements", "verdict"),
            [
                (one.what, one.tier.name.lower(), one.elements, one.problem or "honest")
                for one in done
            ],
            **({"missing": [one.as_facts() for one in missing]} if out.as_json else {}),
        )
    if broken:
        raise CheatFound(
            "this machine does not keep the court's bounds",
            hint="do not bond with it: compare its onnxruntime, driver and provider with the "
            "execution profile (docs/program.md)",
        )
