"""One verification in a process of its own, which can be ended whatever it does.

A stranger's model and trace are run and judged there: it has no key, a bound on its memory, and is
killed when its time is up. Run as a module it reads what to verify from standard input and writes a
line of JSON for each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from oracle.errors import InferenceError, OracleError
from oracle.settings import Settings

MODULE: Final = "oracle.bootstrap.explorer_check"

_PR_SET_PDEATHSIG: Final = 1
_MEMORY_BYTES: Final = 6 << 30
_TRACE_BYTES: Final = 256 << 20
_LONGEST_LINE: Final = 4 << 20
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
_KEYS: Final = ("keystore", "signer_", "password", "next_signer")


class ProcessChecks:
    """A `CheckRunner` that starts a process for each."""

    def __init__(self, settings: Settings, *, public_only: bool) -> None:
        self._settings = settings
        self._public_only = public_only

    async def __call__(self, request_id: bytes) -> AsyncIterator[Mapping[str, Any]]:
        """Steps, and then the verdict. The process is gone when this ends, however it does."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            limit=_LONGEST_LINE,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(self._told(request_id).encode())
            await process.stdin.drain()
            process.stdin.close()
            over = False
            async for line in process.stdout:
                found = json.loads(line)
                if "error" in found:
                    raise InferenceError(str(found["error"]))
                over = over or "verdict" in found
                yield found
            if not over:
                raise InferenceError("the process that verified it ended early")
        except (ValueError, ConnectionError) as error:
            raise InferenceError("the process that verified it said nothing readable") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _told(self, request_id: bytes) -> str:
        values = self._settings.model_dump(mode="json")
        named = {
            name: value for name, value in values.items() if not any(one in name for one in _KEYS)
        }
        return json.dumps(
            {"settings": named, "request": request_id.hex(), "public_only": self._public_only}
        )


async def _verify(told: Mapping[str, Any]) -> None:
    from oracle.bootstrap.verify import Options, verify_answer
    from oracle.client.trace_reader import ReadLimits
    from oracle.verify.report import Report, Step

    request_id = bytes.fromhex(told["request"])

    def say(step: Step) -> None:
        (found,) = Report(request_id, (step,)).facts()["steps"]
        _write(found)

    settings = Settings.model_construct(**Settings.model_validate(told["settings"]).model_dump())
    limits = ReadLimits(trace_bytes=_TRACE_BYTES, attempts=2, public_only=told["public_only"])
    report = await verify_answer(settings, request_id, Options(limits=limits), say)
    _write({"verdict": report.verdict.value, "text": report.verdict.text})


def _write(found: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Verifies what standard input says."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _MEMORY_BYTES if most == resource.RLIM_INFINITY else min(_MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if sys.platform == "linux":  # it ends with whoever started it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    told = json.loads(sys.stdin.read())
    try:
        asyncio.run(_verify(told))
    except OracleError as error:
        _write({"error": error.message})
    except MemoryError:
        _write({"error": "it takes more memory than there is for one verification"})


if __name__ == "__main__":
    main()
