"""Programs as they are served to others: by root, read off the event loop, a few remembered.

Responsible for turning the library's errors into "not here". Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from oracle.errors import NotFound
from oracle.inference.model_library import ModelLibrary
from oracle.program.compile import load_program
from oracle.program.instruction import Program
from oracle.program.manifest import ProgramManifest

_REMEMBERED = 8


class PublishedPrograms:
    """The programs of one library."""

    def __init__(self, library: ModelLibrary, *, remembered: int = _REMEMBERED) -> None:
        self._library = library
        self._most = remembered
        self._programs: OrderedDict[bytes, Program] = OrderedDict()
        self._loading = asyncio.Lock()

    async def program(self, root: bytes) -> Program:
        """Raises NotFound where it is not stored here."""
        async with self._loading:
            known = self._programs.get(root)
            if known is None:
                known = await self._load(root)
                self._programs[root] = known
                while len(self._programs) > self._most:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(root)
            return known

    async def file(self, root: bytes) -> bytes:
        """The program file. Raises NotFound where it is not stored here."""
        if not await asyncio.to_thread(self._library.program_path(root).is_file):
            raise NotFound(f"program 0x{root.hex()} is not stored here")
        return await asyncio.to_thread(self._library.read_program, root)

    async def manifest(self, root: bytes) -> ProgramManifest:
        """What is written beside the program. Raises NotFound where there is nothing."""
        found = await asyncio.to_thread(self._library.manifest, root)
        if found is None:
            raise NotFound(f"program 0x{root.hex()} has no manifest here")
        return found

    async def _load(self, root: bytes) -> Program:
        return await asyncio.to_thread(load_program, await self.file(root))
