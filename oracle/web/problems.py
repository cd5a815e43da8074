"""Every refusal as JSON: a status, a reason in words, and the parameter that was at fault.

Responsible for turning errors on purpose into responses, and all others into a 500 that says
nothing of the inside. Knows no route.
"""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from oracle.errors import InputError, NotFound, OracleError

_log = structlog.get_logger("oracle.web")


class Problem(Exception):
    """A request that is refused."""

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        parameter: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.parameter = parameter
        self.headers = headers or {}

    def response(self) -> web.Response:
        body = {"error": self.reason}
        if self.parameter is not None:
            body["parameter"] = self.parameter
        return web.json_response(body, status=self.status, headers=self.headers)


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers errors as JSON."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except NotFound as error:
        return Problem(404, error.message).response()
    except InputError as error:
        return Problem(400, error.message).response()
    except OracleError as error:
        _log.error("cannot serve", path=request.path, error=error.message)
        return Problem(503, "this cannot be served now").response()
    except web.HTTPException as refused:
        headers = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else {}
        return Problem(refused.status, refused.reason.lower(), headers=headers).response()
    except ConnectionError:
        raise
    except Exception:
        _log.exception("a defect of the server", path=request.path)
        return Problem(500, "a defect of this server; it was logged").response()


def busy() -> Problem:
    """Too much at once."""
    return Problem(503, "busy; try again", headers={"Retry-After": "1"})
