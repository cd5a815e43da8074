"""The tree of verbs by name. A verb's module is imported when the verb is called and not before.

The libraries behind chain and models take seconds to import, and help should not. Knows what verbs
are called and where they are, and nothing of what they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

VERBS: Final[Mapping[str, tuple[str, str]]] = {
    # name: (module, what the list of verbs says)
    "init": (
        "init",
        "Write oracle.toml (or --config) with every setting and what it means; with keys on "
        "demand.",
    ),
    "up": (
        "up",
        "Keep a node running, on a local devnet where there is no chain; end with its exit code.",
    ),
    "devnet": ("devnet", "A local chain with contracts, models, an operator and money on it."),
    "keystore": ("keystore", "Encrypted keys."),
    "model": ("model", "Models: compile, certify, register, look up."),
    "operator": ("operator", "An operator's stake and offers, under the owner's key."),
    "account": ("account", "A key's OPG at the contracts: prepaid, earned, refunded, slashed."),
    "node": ("node", "The operator's worker."),
    "job": ("job", "The worker's jobs: what it holds, why, and once more."),
    "tx": ("transaction", "The worker's transactions, and a hand on those that are stuck."),
    "chain": ("chain", "The chain as the worker reads it: once more."),
    "bench": ("bench", "Measure gas, latency, throughput, hashing, and what accountability costs."),
    "deploy": (
        "deploy",
        "Deploy all contracts with the owner's key; write the addresses file.",
    ),
    "request": ("request", "Ask a model, and with --wait print its answer."),
    "view": (
        "view",
        "Ask a model in a view call: a signed answer, no transaction, no key (ERC-3668).",
    ),
    "credit": ("credit", "A key's OPG with an operator, for views that have a price."),
    "post": (
        "view",
        "Open an answer of a view to the court: send its request, acceptance and answer.",
    ),
    "show": (
        "request",
        "Tell the whole story of a request: terms, transactions, answer, receipt and money.",
    ),
    "court": ("court", "The court, off the chain: judge a whole trace."),
    "selfcheck": (
        "selfcheck",
        "Judge this node's latest traces and trial runs of its programs, as the court would.",
    ),
    "verify": (
        "verify",
        "Check an answer without trusting its operator: signature, model, trace, run and money.",
    ),
    "watch": (
        "watch",
        "Follow all answers, judge their traces, and take what is wrong to the court.",
    ),
    "explorer": (
        "explorer",
        "Serve the public explorer: every request, model and operator; needs no key.",
    ),
    "receipt": (
        "verify",
        "Save the signed receipt of an answer as a file, to be verified by anybody at any time.",
    ),
    "cancel": ("request", "Take back a request that nobody has accepted."),
    "reclaim": (
        "request",
        "Get the fee back of a request whose deadline passed; a silent operator is slashed by it.",
    ),
    "notice": ("request", "Deliver a notice again that a request's consumer could not be told."),
    "settings": (
        "settings",
        "List every setting. Set one in oracle.toml, or as ORACLE_ and its name in capitals.",
    ),
    "demo": (
        "demo",
        "Start a chain, an operator and its worker; have contracts and scripts ask; "
        "show the books.",
    ),
}

PANELS: Final[Mapping[str, tuple[str, ...]]] = {
    # heading: its verbs, each in the order in which help shows them
    "For who asks (requester)": (
        *("request", "show", "verify", "receipt", "cancel", "reclaim", "notice"),
        *("view", "credit", "post", "account"),
    ),
    "For who answers (operator)": (
        *("init", "operator", "model", "selfcheck", "up", "node", "job", "tx", "chain"),
    ),
    "For who watches (watcher)": ("watch", "court", "explorer"),
    "Tools": ("demo", "devnet", "keystore", "settings", "deploy", "bench"),
}


class LazyVerbs(TyperGroup):
    """Lists every verb by the tables above, and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=VERBS[name][1], rich_help_panel=heading)
            for heading, names in PANELS.items()
            for name in names
        }

    def get_params(self, ctx: Any) -> list[Any]:
        return _flags_without_values(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _unknown_options_in_words():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _unknown_options_in_words():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load(str(name)) if listed is not None else None, rest


def load(name: str) -> Any:
    """The verb, or the tree of verbs, of this name."""
    module = import_module(f"oracle.cli.{VERBS[name][0]}")
    root = typer.Typer()
    if hasattr(module, "register"):
        module.register(root)
    else:
        root.add_typer(module.app, name=name)
    command = typer.main.get_group(root).commands[name]
    _plain_flags(command)
    return command


@contextmanager
def _unknown_options_in_words() -> Iterator[None]:
    """Says of what is no option here what was probably meant, where that is known."""
    try:
        yield
    except Exception as error:
        given = getattr(error, "option_name", None)  # typer keeps the error's class to itself
        said = None if given is None else _meant(str(given), getattr(error, "ctx", None))
        if said is not None:
            vars(error).update(message=said, possibilities=None)
        raise


def _meant(given: str, context: Any) -> str | None:
    if given == "--json" and hasattr(getattr(context, "command", None), "commands"):
        return "--json goes after the whole verb, as in: oracle job list --json"
    if re.match(r"-\d", given):
        return "an amount or number that begins with - is not taken: none is below 0"
    return None


def _plain_flags(command: Any) -> None:
    """Has help show the flags of a command, and of those below it, as what takes no value."""
    context = typer.Context(command, help_option_names=["-h", "--help"])
    _flags_without_values(command.get_params(context))
    for below in getattr(command, "commands", {}).values():
        _plain_flags(below)


def _flags_without_values(parameters: list[Any]) -> list[Any]:
    for one in parameters:
        if getattr(one, "is_flag", False) and one.metavar is None:
            one.metavar = ""  # in its place help would say <bool>
    return parameters
