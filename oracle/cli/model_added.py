"""What is said of a model that was just registered: what was chosen for it, and that it was before.

Responsible for refusing what an id that is taken already cannot be. Registers nothing.
"""

from __future__ import annotations

from oracle.bootstrap.models import AddedModel
from oracle.cli.output import Output
from oracle.client.deprecated import ended
from oracle.core.schema import DEFAULT_MAX_BATCH
from oracle.errors import InputError
from oracle.program.most_rows import FULL_TRACE_BYTES


def told_if_registered(added: AddedModel, name: str, uri: str, out: Output, *, asked: bool) -> None:
    """Says that these terms had an id already. Raises InputError where that is not what was asked
    for: another name or URI, or a model that takes requests."""
    if added.before is None:
        return
    if not added.before.live:
        raise InputError(
            f"{added.name}: this model {ended(added.before)}",
            hint="change the window or retrain, for a new id; the file is kept here, for requests "
            "that this one still owes an answer",
        )
    told = f"registered already as {added.name!r}"
    if uri and uri != added.before.uri:
        raise InputError(
            f"{told}, and its URI stays {added.before.uri!r} (0x{added.id.hex()})",
            hint="announce where your own services are with `oracle operator endpoint`: whoever "
            "offers a model serves its program",
        )
    if name == added.name:
        out.say(told)
        return
    told += ", and this name stays: an id does not depend on the name"
    if asked:
        raise InputError(
            f"{told} (0x{added.id.hex()})",
            hint=f"ask it as {added.name!r}, or by its id; another --window makes another model",
        )
    out.say(told)


def told_what_was_chosen(
    added: AddedModel, out: Output, *, reveal_window: int | None, max_rows: int | None
) -> None:
    """Says what nobody asked for, and warns of a reveal window that somebody did."""
    seconds, advice = added.terms.reveal_window, added.advice
    if advice is not None and reveal_window is None:
        out.say(
            f"reveal window: {seconds} s, chosen for a model {advice.depth} steps deep on this "
            "deployment; --reveal-window sets another"
        )
    elif advice is not None and (warning := advice.warning(seconds)):
        out.say(f"warning: {warning}")
    compiled = added.prepared.compiled
    if compiled is None or compiled.single_only is not None or max_rows is not None:
        return
    if (rows := compiled.schema.max_batch) < DEFAULT_MAX_BATCH:
        row_mib = compiled.program.row_trace_bytes / 2**20
        out.say(
            f"rows of one request: {rows} at most, not {DEFAULT_MAX_BATCH}: each leaves a trace of "
            f"{row_mib:.1f} MiB, and all of a request's fit {FULL_TRACE_BYTES >> 20} MiB so; "
            "--max-rows sets another number"
        )
