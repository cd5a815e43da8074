"""The tree of verbs by name. A verb's module is imported when the verb is called and not before.

The libraries behind chain and models take seconds to import, and help should not. Knows what verbs
are called and where they are, and nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

VERBS: Final[Mapping[str, tuple[str, str]]] = {
    # name: (module, what the list of verbs says)
    "devnet": ("devnet", "A local chain with contracts, models, an operator and money on it."),
    "keystore": ("keystore", "Encrypted keys."),
    "model": ("model", "Models: compile, certify, register, look up."),
    "operator": ("operator", "An operator's stake and offers, under the owner's key."),
    "account": ("account", "A key's OPG at the contracts: prepaid, earned, refunded, slashed."),
    "node": ("node", "The operator's worker."),
    "bench": ("bench", "Measure gas, latency, throughput, hashing, and what accountability costs."),
    "deploy": (
        "deploy",
        "Deploy all contracts with the owner's key; write the addresses file.",
    ),
    "request": ("request", "Ask a model, and with --wait print its answer."),
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
    "receipt": (
        "verify",
        "Save the signed receipt of an answer as a file, to be verified by anybody at any time.",
    ),
    "cancel": ("request", "Take back a request that nobody has accepted."),
    "reclaim": (
        "request",
        "Get the fee back of a request whose deadline passed; a silent operator is slashed by it.",
    ),
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


class LazyVerbs(TyperGroup):
    """Lists every verb by the table above, and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=text) for name, (_, text) in VERBS.items()}

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
    return typer.main.get_group(root).commands[name]
