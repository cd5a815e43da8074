"""`oracle selfcheck`: the court's verdict on this machine, before it stakes anything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.readiness import Lack, lacks
from oracle.bootstrap.selfcheck import selfcheck as judge_own
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.cli.output import Output
from oracle.core.model import Model, had_again
from oracle.core.types import address
from oracle.errors import (
    ChainUnreachable,
    CheatFound,
    ConfigurationError,
    ModelFileError,
    NotFound,
)
from oracle.inference.model_library import ModelLibrary

_TRACES = 20
_PROGRAM = re.compile(r"program 0x([0-9a-f]+)")


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


async def _registered() -> Sequence[Model]:
    try:
        async with connection.client(settings()) as client:
            return await client.registry.models()
    except (ConfigurationError, ChainUnreachable):
        return ()


async def _of_models(error: ModelFileError) -> ModelFileError:
    """The same of a damaged file, with the model that it is of, if a chain says so."""
    configured = settings()
    library = ModelLibrary(configured.model_store)
    own = None if configured.operator is None else address(configured.operator)
    for one in await _registered():
        root, tier = one.terms.program_root, one.terms.tier
        if one.live and library.has(root, tier) and library.damage(root, tier) == error.message:
            return ModelFileError(f"{one.name}: {error.message}", hint=had_again(one, own))
    return error


async def _names() -> dict[str, str]:
    """What programs are registered as, by their roots in hex; nothing where no chain says so."""
    configured = settings()
    models = await _registered()
    # Anybody may register a program once more. The first one's name is what people know it by, and
    # who registered it again here knows it by its own.
    found: dict[str, str] = {}
    for one in models:
        root = one.terms.program_root.hex()
        if one.live and root not in found:
            found[root] = one.name
        elif one.live and one.registrar == configured.operator and one.name != found[root]:
            found[root] += f", {one.name}"
    return found


def named(what: str, names: Mapping[str, str]) -> str:
    """What was judged, by its model's name where a program is given by the start of its root."""
    match = _PROGRAM.search(what)
    if match is None:
        return what
    name = next((name for root, name in names.items() if root.startswith(match[1])), None)
    return what if name is None else f"{what[: match.start()]}{name} ({match[0]})"


async def check_machine(
    out: Output, most: int = _TRACES, *, quiet: bool = False, missing: Sequence[Lack] = ()
) -> None:
    """Judges, and prints what it found unless `quiet`.

    Raises:
        CheatFound: this machine must not bond.
        ModelFileError: a stored file is damaged.
    """
    with out.progress("judging this machine's own traces"):
        try:
            done = await asyncio.to_thread(judge_own, settings(), most, lambda _: None)
        except ModelFileError as error:
            raise await _of_models(error) from error
    broken = [one for one in done if one.problem]
    if not quiet or broken:
        names = await _names()
        out.table(
            "Selfcheck",
            ("what", "tier", "elements", "verdict"),
            [
                (
                    named(one.what, names),
                    one.tier.name.lower(),
                    one.elements,
                    one.problem or "honest",
                )
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
