"""The reference of the contracts, from the NatSpec of their interfaces as solc reads it."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak
from tables import cell, code, table

_ROOT = Path(__file__).resolve().parent.parent
SHOWN = (
    "interfaces/IInferenceOracle.sol",
    "interfaces/IInferenceConsumer.sol",
    "InferenceConsumer.sol",
    "interfaces/IModelRegistry.sol",
    "interfaces/IOperatorStaking.sol",
    "interfaces/IDisputeManager.sol",
    "interfaces/IFraudVerifier.sol",
    "periphery/IAnswerViews.sol",
    "periphery/IViewGateway.sol",
    "periphery/IViewCredit.sol",
    "libraries/Tensors.sol",
    "libraries/Decision.sol",
)
_IMPORT = re.compile(r'^import\s+(?:\{[^}]*\}\s+from\s+)?"([^"]+)";', re.MULTILINE)
_PACKAGES = {
    "@openzeppelin/contracts/": "node_modules/@openzeppelin/contracts/",
    "solady/src/": "node_modules/solady/src/",
    "solady/": "node_modules/solady/src/",
}


def page() -> str:
    """Functions, events and errors of everything that others call or inherit."""
    compiled = compile_shown()
    parts = [
        "# Contracts\n",
        "What can be called, what is emitted and what is refused. The life of a request and who "
        "may do what: [protocol](../protocol.md).\n",
    ]
    for path in SHOWN:
        name = Path(path).stem
        parts += _contract(name, compiled[f"contracts/src/{path}"][name])
    return "\n".join(parts)


def _contract(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    developer, user = facts["devdoc"], facts["userdoc"]
    yield f"## {name}\n"
    for text in (developer.get("title"), user.get("notice")):
        if text:
            yield cell(text) + "\n"
    kinds = (
        ("functions", "function", "methods"),
        ("events", "event", "events"),
        ("errors", "error", "errors"),
    )
    for title, kind, key in kinds:
        entries = [one for one in facts["abi"] if one["type"] == kind]
        if not entries:
            continue
        rows = []
        for entry in sorted(entries, key=lambda one: str(one["name"])):
            row = [code(_shown(entry)), _words(developer, user, key, signature(entry))]
            if kind == "error":
                row.insert(0, code(f"0x{keccak(text=signature(entry))[:4].hex()}"))
            rows.append(row)
        yield f"### {name}: {title}\n"
        head = [kind, "what it does" if kind == "function" else "meaning"]
        yield table(["selector", *head] if kind == "error" else head, rows)


def signature(entry: Mapping[str, Any]) -> str:
    """As selectors are made of it, and as solc files its NatSpec."""
    return f"{entry['name']}({','.join(_type(one) for one in entry['inputs'])})"


def _words(developer: Any, user: Any, key: str, described: str) -> str:
    """Notice, details, parameters and what is returned, of one function, event or error."""
    told, more = user.get(key, {}).get(described, {}), developer.get(key, {}).get(described, {})
    if isinstance(told, list):
        told = told[0]
    if isinstance(more, list):
        more = more[0]
    parts = [told.get("notice", ""), more.get("details", "")]
    parts += [f"`{name}`: {text}" for name, text in more.get("params", {}).items()]
    parts += [
        f"Returns{'' if name.startswith('_') else f' `{name}`'}: {text}"
        for name, text in more.get("returns", {}).items()
    ]
    return "<br>".join(cell(one) for one in parts if one)


def _shown(entry: Mapping[str, Any]) -> str:
    shown = f"{entry['name']}({', '.join(_named(one) for one in entry['inputs'])})"
    outputs = entry.get("outputs") or ()
    return shown + (f" → {', '.join(_named(one) for one in outputs)}" if outputs else "")


def _named(parameter: Mapping[str, Any]) -> str:
    kind = str(parameter.get("internalType") or parameter["type"])
    kind = re.sub(r"^(struct|enum|contract) (\w+\.)?", "", kind)
    return f"{kind} {parameter['name']}".strip()


def _type(parameter: Mapping[str, Any]) -> str:
    kind = str(parameter["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(one) for one in parameter['components'])}){kind[5:]}"


def compile_shown() -> Mapping[str, Any]:
    """ABI and NatSpec of each contract, by its file and its name."""
    sources: dict[str, str] = {}
    waiting = [f"contracts/src/{path}" for path in SHOWN]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        sources[name] = _file(name).read_text()
        for target in _IMPORT.findall(sources[name]):
            if target.startswith("."):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            waiting.append(target)
    asked = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {"outputSelection": {"*": {"*": ["abi", "devdoc", "userdoc"]}}},
    }
    run = subprocess.run(
        ["node", str(_ROOT / "scripts" / "solc"), "--standard-json"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
    )
    said = json.loads(run.stdout[run.stdout.index("{") :])
    wrong = [
        one["formattedMessage"] for one in said.get("errors", ()) if one["severity"] == "error"
    ]
    if wrong:
        raise RuntimeError(wrong[0])
    found: Mapping[str, Any] = said["contracts"]
    return found


def _file(name: str) -> Path:
    for start, folder in _PACKAGES.items():
        if name.startswith(start):
            return _ROOT / folder / name.removeprefix(start)
    return _ROOT / name
