"""Secrets that can be recognised: planted where a node has its own, and looked for everywhere else.

Knows the forms in which a secret leaks (as it is, percent-encoded, base64, hexadecimal, its bytes),
and nothing of who leaks it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote


def canary(name: str) -> str:
    """A text that nothing else has in it, that can be part of an address, and that names itself."""
    return f"canary{name}{secrets.token_hex(8)}"


@dataclass(slots=True)
class Canaries:
    """Named secrets, and where one was seen.

    Attributes:
        planted: files that hold a secret because they should, such as the settings.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    planted: set[Path] = field(default_factory=set)

    def new(self, name: str) -> str:
        self.secrets[name] = canary(name)
        return self.secrets[name]

    def plant(self, path: Path, text: str) -> Path:
        """A file that only its owner reads, with a secret in it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        self.planted.add(path)
        return path

    def seen_in(self, text: str | bytes) -> list[str]:
        """The names of those that a text holds, in whatever form."""
        data = text.encode() if isinstance(text, str) else text
        lower = data.lower()
        return [
            name
            for name, forms in self._forms().items()
            if any((form if name in self.keys else form.lower()) in lower for form in forms)
            or (name in self.keys and self.keys[name] in data)
        ]

    def seen_below(self, folder: Path) -> dict[str, list[str]]:
        """The files below a folder that hold one, except those where it was planted."""
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in self.planted:
                try:
                    content = path.read_bytes()
                except FileNotFoundError:  # of a node that runs: it lasted for a moment
                    continue
                if names := self.seen_in(content):
                    found[str(path.relative_to(folder))] = names
        return found

    def _forms(self) -> Mapping[str, list[bytes]]:
        forms = {}
        for name, secret in self.secrets.items():
            raw = secret.encode()
            # Of base64, the part that does not depend on where in a text the secret stands.
            shifted = [base64.b64encode(b" " * n + raw)[4:-4] for n in range(3)]
            forms[name] = [raw, quote(secret, safe="").encode(), raw.hex().encode(), *shifted]
        for name, key in self.keys.items():
            forms[name] = [key.hex().encode(), str(int.from_bytes(key, "big")).encode()]
        return forms
