"""Templates and the files beside them, as responses. Everything written into a page is escaped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from oracle.errors import InputError, NotFound, OracleError
from oracle.web.look.filters import FILTERS
from oracle.web.problems import Problem

_log = structlog.get_logger("oracle.web")

PREFIX: Final = "/look"
_FOREVER = "public, max-age=31536000, immutable"
_KINDS: Final = {
    "style.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class Look:
    """The templates of one site over the shared ones."""

    def __init__(
        self,
        package: str,
        *,
        filters: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """
        Args:
            package: the package whose `templates` folder has the site's own.
            filters: the site's own, beside the shared ones.
            values: what every template knows.
        """
        shared = files("oracle.web.look") / "static"
        self._static = {name: (shared / name).read_bytes() for name in _KINDS}
        self._environment = Environment(
            loader=ChoiceLoader([PackageLoader(package), PackageLoader("oracle.web.look")]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update({**FILTERS, **filters})
        self._environment.globals.update({**values, "asset": self._asset})

    @property
    def assets(self) -> list[web.RouteDef]:
        """Routes of the style sheet, the script and the icon."""
        return [web.get(f"{PREFIX}/{name}", self._serve) for name in _KINDS]

    def render(self, template: str, **values: Any) -> str:
        """A template's text."""
        return self._environment.get_template(template).render(values)

    def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A template as a page. `now` is there for the script's ages."""
        text = self.render(template, now=time.time(), **values)
        return web.Response(text=text, status=status, content_type="text/html")

    @property
    def explain(self) -> Any:
        """Middleware: refusals as a page for browsers, and as JSON for everybody else."""

        @web.middleware
        async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await handler(request)
            except ConnectionError:
                raise
            except Exception as error:
                problem = _problem(request, error)
                if "text/html" not in request.headers.get("Accept", ""):
                    return problem.response()
                shown = self.page("problem.html", status=problem.status, reason=problem.reason)
                shown.headers.update(problem.headers)
                return shown

        return explained

    def _asset(self, name: str) -> str:
        """The address of a shared file; it changes when the file does."""
        return f"{PREFIX}/{name}?v={hashlib.sha256(self._static[name]).hexdigest()[:12]}"

    async def _serve(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        return web.Response(
            body=self._static[name],
            content_type=_KINDS[name],
            charset="utf-8",
            headers={"Cache-Control": _FOREVER},
        )


def _problem(request: web.Request, error: Exception) -> Problem:
    """What is said of an error: of a defect, nothing of the inside."""
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(404, error.message)
        case InputError():
            return Problem(400, error.message)
        case OracleError():
            _log.error("cannot serve", path=request.path, error=error.message)
            return Problem(503, "this cannot be served now")
        case web.HTTPException():
            headers = {
                name: error.headers[name] for name in ("Allow", "Location") if name in error.headers
            }
            return Problem(error.status, error.reason.lower(), headers=headers)
        case _:
            _log.exception("a defect of the server", path=request.path, exc_info=error)
            return Problem(500, "a defect of this server; it was logged")
