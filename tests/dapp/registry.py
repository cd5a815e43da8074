"""An npm registry on this machine, of what lies in node_modules: `npm install` needs no net.

Serves a few packages at the versions that are installed here. Knows no other request of npm's.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def registry(*names: str) -> Iterator[str]:
    """Serves packages of node_modules; the registry's URL."""
    tarballs = {name: _tarball(REPOSITORY / "node_modules" / name) for name in names}

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, file = unquote(self.path).strip("/").partition("/-/")
            content = tarballs.get(name)
            if content is not None and not file:
                content = _document(name, content, f"http://{self.headers['Host']}")
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _tarball(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname="package", filter=_sources)
    return packed.getvalue()


def _sources(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without the compiled half of the package, which takes most of the time."""
    return None if "/build/" in entry.name else entry


def _document(name: str, tarball: bytes, url: str) -> bytes:
    facts = json.loads((REPOSITORY / "node_modules" / name / "package.json").read_text())
    version = facts["version"]
    digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    dist = {
        "tarball": f"{url}/{name}/-/{name.rsplit('/')[-1]}-{version}.tgz",
        "integrity": f"sha512-{digest}",
    }
    versions = {version: {"name": name, "version": version, "dist": dist}}
    return json.dumps(
        {"name": name, "dist-tags": {"latest": version}, "versions": versions}
    ).encode()
